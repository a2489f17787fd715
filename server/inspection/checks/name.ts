import { checkName } from '../../../shared/policy.ts';
import type { Check } from '../check.ts';

/** The given name must not be deceptive; the extension of the safe name must be one that the policy lists. */
export function createNameCheck(): Check {
  return {
    name: 'name',
    async run({ policy, originalName, safeName }) {
      return checkName(policy, originalName) ?? checkName(policy, safeName);
    },
  };
}
