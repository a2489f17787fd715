/** Runs the default checks on bytes in memory, and compares the early check with the whole inspection. */
import { expect } from 'vitest';
import { createDefaultChecks } from '../../server/inspection/checks/default-checks.ts';
import { checkHead } from '../../server/inspection/checks/early.ts';
import type { Detector } from '../../server/inspection/detector.ts';
import { safeFileName } from '../../shared/filename.ts';
import type { Policy } from '../../shared/policy.ts';
import { DEFAULT_POLICY, type InspectionOutcome, inspectContent } from './inspect-content.ts';

export interface Inspector {
  /** The outcome of the whole inspection, after checking that the early check does not contradict it. */
  inspect(name: string | null, content: Uint8Array, policy?: Policy): Promise<InspectionOutcome>;
  /** Its code, or `accepted`. */
  codeOf(name: string | null, content: Uint8Array, policy?: Policy): Promise<string>;
}

export function createInspector(detector: Detector): Inspector {
  const checks = createDefaultChecks(detector);
  const inspect: Inspector['inspect'] = async (name, content, policy = DEFAULT_POLICY) => {
    const outcome = await inspectContent(checks, { name, content, policy });
    const safeName = name === null ? null : safeFileName(name);
    for (const known of [content.length, 5_000, 70_000]) {
      const head = content.subarray(0, known);
      const early = await checkHead(detector, { head, safeName, claimedType: null, length: content.length, policy });
      if (outcome.rejection === undefined) expect(early).toBeUndefined();
    }
    return outcome;
  };
  return {
    inspect,
    codeOf: async (...input) => (await inspect(...input)).rejection?.code ?? 'accepted',
  };
}
