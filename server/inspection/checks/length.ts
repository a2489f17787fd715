import { checkLength } from '../../../shared/policy.ts';
import type { Check } from '../check.ts';

/** Empty files and, where a deferred or a wrong length got past the creation, files that are too large. */
export function createLengthCheck(): Check {
  return {
    name: 'length',
    async run({ policy, length }) {
      return checkLength(policy, length);
    },
  };
}
