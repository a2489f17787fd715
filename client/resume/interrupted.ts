import type { UploadOptions } from '../options.ts';
import type { Platform } from '../ports.ts';
import { GuardedHttp } from '../transfer/guarded-http.ts';
import { terminate } from '../transfer/termination.ts';
import type { ResumeRecord, ResumeStore } from './store.ts';

/** Servers expire unfinished uploads long before this. */
const FORGET_AFTER_MS = 30 * 24 * 60 * 60_000;

/** Lists records, the latest first, and removes those older than 30 days. */
export async function interruptedIn(store: ResumeStore): Promise<ResumeRecord[]> {
  const records = await store.list();
  const isStale = ({ updatedAt }: ResumeRecord) => !(Date.now() - Date.parse(updatedAt) < FORGET_AFTER_MS);
  await Promise.all(records.filter(isStale).map(({ key }) => store.remove(key).catch(() => {})));
  return records.filter((record) => !isStale(record)).sort((a, b) => b.updatedAt.localeCompare(a.updatedAt));
}

/**
 * How an unfinished upload is discarded. The other options are those of `upload`, and apply to the request that deletes it.
 *
 * @example
 * ```ts
 * import { forget, interrupted } from 'landfall';
 *
 * for (const record of await interrupted()) await forget(record, { deleteRemote: true, withCredentials: true });
 * ```
 */
export interface ForgetOptions extends Pick<UploadOptions, 'store' | 'headers' | 'timeouts' | 'withCredentials'> {
  /** Also delete the upload on the server, where it otherwise expires. @default false */
  deleteRemote?: boolean;
}

/**
 * Removes the record first, so that it is gone even when the server cannot be reached.
 *
 * @throws UploadError when `deleteRemote` was set and the server did not delete the upload; errors of the store
 */
export async function forgetRecord(record: ResumeRecord, options: ForgetOptions, platform: Platform): Promise<void> {
  const { store = platform.store, deleteRemote = false } = options;
  await store.remove(record.key);
  if (deleteRemote) await terminate(new GuardedHttp(platform, options), record);
}
