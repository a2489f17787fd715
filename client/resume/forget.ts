import type { UploadOptions } from '../options.ts';
import type { Platform } from '../ports.ts';
import { GuardedHttp } from '../transfer/guarded-http.ts';
import { terminate } from '../transfer/termination.ts';
import type { ResumeRecord } from './store.ts';

export interface ForgetOptions extends Pick<UploadOptions, 'store' | 'headers' | 'timeouts' | 'withCredentials'> {
  /** Also delete what the server has of it; otherwise that expires by itself. Default false. */
  deleteRemote?: boolean;
}

/**
 * The record goes first, whatever becomes of the server's part.
 *
 * @throws UploadError when `deleteRemote` was asked and the server could not be made to delete it; and what the store throws
 */
export async function forgetRecord(record: ResumeRecord, options: ForgetOptions, platform: Platform): Promise<void> {
  const { store = platform.store, deleteRemote = false } = options;
  await store.remove(record.key);
  if (deleteRemote) await terminate(new GuardedHttp(platform, options), record);
}
