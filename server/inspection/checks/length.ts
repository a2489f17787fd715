import { checkLength } from '../../../shared/policy.ts';
import type { Check } from '../check.ts';

/** Refuses empty files, and files that are too large, because a deferred or wrong length can pass the creation. */
export function createLengthCheck(): Check {
  return {
    name: 'length',
    async run({ policy, length }) {
      return checkLength(policy, length);
    },
  };
}
