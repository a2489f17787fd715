import type { ResumeRecord, ResumeStore } from './store.ts';

/** Servers expire unfinished uploads long before. */
const FORGET_AFTER_MS = 30 * 24 * 60 * 60_000;

/** The latest first. Records nobody came back for are swept on the way. */
export async function interruptedIn(store: ResumeStore): Promise<ResumeRecord[]> {
  const records = await store.list();
  const isStale = ({ updatedAt }: ResumeRecord) => !(Date.now() - Date.parse(updatedAt) < FORGET_AFTER_MS);
  await Promise.all(records.filter(isStale).map(({ key }) => store.remove(key).catch(() => {})));
  return records.filter((record) => !isStale(record)).sort((a, b) => b.updatedAt.localeCompare(a.updatedAt));
}
