import type { Check } from '../check.ts';

export function createArchiveCheck(): Check {
  return {
    name: 'archive',
    async run() {
      return undefined;
    },
  };
}
