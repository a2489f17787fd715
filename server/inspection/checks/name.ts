import { checkName } from '../../../shared/policy.ts';
import type { Check } from '../check.ts';

/** The name as given must not trick; the extension of the safe name must be one the policy lists. */
export function createNameCheck(): Check {
  return {
    name: 'name',
    async run({ policy, originalName, safeName }) {
      return checkName(policy, originalName) ?? checkName(policy, safeName);
    },
  };
}
