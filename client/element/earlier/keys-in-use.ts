import type { ResumeRecord } from '../../resume/store.ts';

/** Keys of the records whose uploads another tab is sending at this moment. */
export async function keysInUse(records: readonly ResumeRecord[]): Promise<ReadonlySet<string>> {
  // No Web Locks on plain http.
  const held = 'locks' in navigator && navigator.locks ? ((await navigator.locks.query().catch(() => undefined))?.held ?? []) : [];
  return new Set(records.map(({ key }) => key).filter((key) => held.some(({ name }) => name?.endsWith(key))));
}
