import { heldLocks } from '../browser/optional-apis.ts';
import type { ResumeRecord } from '../resume-store.ts';

/** Keys of the records whose uploads another tab is sending at this moment. */
export async function keysInUse(records: readonly ResumeRecord[]): Promise<ReadonlySet<string>> {
  const held = await heldLocks();
  return new Set(records.map(({ key }) => key).filter((key) => held.some((name) => name.endsWith(key))));
}
