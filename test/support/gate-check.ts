import type { Check } from '../../server/index.ts';

/** A check that accepts each file once the test opens the gate, and how many files have come to it. */
export function gateCheck(): { check: Check; open(): void; seen: { begun: number } } {
  const { promise, resolve: open } = Promise.withResolvers<void>();
  const seen = { begun: 0 };
  const check: Check = {
    name: 'gate',
    async run() {
      seen.begun += 1;
      await promise;
      return undefined;
    },
  };
  return { check, open, seen };
}
