import { UploadError } from '../../shared/errors.ts';
import type { UploadOptions } from '../options.ts';
import type { Platform } from '../ports.ts';
import { GuardedHttp } from '../transfer/guarded-http.ts';
import { terminate } from '../transfer/termination.ts';
import type { ResumeRecord, ResumeStore } from './store.ts';

/** Servers expire unfinished uploads long before this. */
const LISTED_MS = 30 * 24 * 60 * 60_000;
/** Older records that stay. Their age alone is no reason to remove them, because the clock of this device may be wrong for a while. */
const KEPT_UNLISTED = 100;
/** Time limit for the lock of an upload: a handle that was just paused holds it for a moment. */
const LOCK_WITHIN_MS = 2000;

/** Lists the records of the last 30 days, the latest first. Removes older ones only when there are more than a hundred. */
export async function interruptedIn(store: ResumeStore): Promise<ResumeRecord[]> {
  const records = (await store.list()).sort((a, b) => b.updatedAt.localeCompare(a.updatedAt));
  const isOld = ({ updatedAt }: ResumeRecord) => !(Date.now() - Date.parse(updatedAt) < LISTED_MS);
  const surplus = records.filter(isOld).slice(KEPT_UNLISTED);
  await Promise.all(surplus.map(({ key }) => store.remove(key).catch(() => {})));
  return records.filter((record) => !isOld(record));
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
 * @throws UploadError ERR_UPLOAD_LOCKED while a tab or process sends the upload; when `deleteRemote` was set and the server did not
 * delete the upload; errors of the store
 */
export async function forgetRecord(record: ResumeRecord, options: ForgetOptions, platform: Platform): Promise<void> {
  const { store = platform.store, deleteRemote = false } = options;
  const release = await platform.locks
    .acquire(record.key, AbortSignal.timeout(LOCK_WITHIN_MS), () => {})
    .catch(() => {
      throw new UploadError('ERR_UPLOAD_LOCKED');
    });
  try {
    await store.remove(record.key);
    if (deleteRemote) await terminate(new GuardedHttp(platform, options), record);
  } finally {
    release();
  }
}
