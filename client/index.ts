// The entry for browsers. `node.ts` exports the same names for Node.

import { browserPlatform } from './browser/platform.ts';
import { type BrowserSource, browserSource } from './browser/source.ts';
import { startQueue, type UploadQueue } from './handle/queue.ts';
import type { UploadHandle } from './handle/snapshot.ts';
import { startUpload } from './handle/upload.ts';
import { bindUploader, type Uploader, type UploaderDefaults } from './handle/uploader.ts';
import type { QueueOptions, UploadOptions } from './options.ts';
import { type ForgetOptions, forgetRecord, interruptedIn } from './resume/interrupted.ts';
import type { ResumeRecord, ResumeStore } from './resume/store.ts';

export { ERRORS, type ErrorCode, type ErrorEntry, type Rate, UploadError, type UploadErrorOptions } from '../shared/errors.ts';
export type { UploadQueue } from './handle/queue.ts';
export type { QueueSnapshot } from './handle/queue-snapshot.ts';
export type {
  CancelOptions,
  SnapshotOfAnyState,
  StateDetails,
  UploadHandle,
  UploadResult,
  UploadSnapshot,
  UploadState,
  Waiting,
  WaitingReason,
} from './handle/snapshot.ts';
export type { Uploader, UploaderDefaults } from './handle/uploader.ts';
export type { HeadersRequest, QueueOptions, Timeouts, UploadHeaders, UploadOptions } from './options.ts';
export type { ForgetOptions } from './resume/interrupted.ts';
export type { ResumeRecord, ResumeStore } from './resume/store.ts';

/**
 * A source that a browser can send. `upload` and `add` of a queue copy a `Uint8Array` before they return, and keep the copy as long as
 * the handle, so prefer a `File` or `Blob` for much data.
 */
export type UploadSource = BrowserSource;

/**
 * Sends one file. The upload starts at once and resumes by itself after every interruption.
 *
 * @param source a `File`, a `Blob` or bytes
 * @param options only `endpoint` is required
 * @returns a handle to watch, pause, resume and cancel it; `done` resolves once the server has accepted the file
 * @throws TypeError for an invalid source or option. The handle reports all later errors
 *
 * @example
 * ```ts
 * import { upload } from 'landfall';
 *
 * const handle = upload(file, { endpoint: 'https://uploads.example/files' });
 * handle.subscribe(({ state, confirmed, size }) => console.log(state, confirmed, size));
 * const { url, name } = await handle.done;
 * console.log(`${name} is at ${url}`);
 * ```
 */
export function upload(source: UploadSource, options: UploadOptions): UploadHandle {
  return startUpload(browserSource(source), options, browserPlatform);
}

/**
 * Sends many files, a few at a time, in the order in which they were added.
 *
 * @param options the options of `upload`, for all files, and `concurrency`. @default { concurrency: 3 }
 * @throws TypeError for an invalid option
 *
 * @example
 * ```ts
 * import { createQueue } from 'landfall';
 *
 * const queue = createQueue({ endpoint: 'https://uploads.example/files', concurrency: 2 });
 * for (const file of files) queue.add(file);
 * const { counts } = await queue.idle();
 * console.log(`${counts.accepted} accepted, ${counts.rejected} refused`);
 * ```
 */
export function createQueue(options: QueueOptions): UploadQueue<UploadSource> {
  return startQueue(options, browserPlatform, browserSource);
}

/**
 * Lists the unfinished uploads of earlier visits of the page, the latest first. Uploading the same file again resumes its upload.
 *
 * @param store where the resume records are kept. @default `localStorage`
 * @throws an error of the store
 *
 * @example
 * ```ts
 * import { interrupted } from 'landfall';
 *
 * for (const { name, confirmed, size } of await interrupted()) console.log(name, `${confirmed} of ${size} bytes are there`);
 * ```
 */
export function interrupted(store: ResumeStore = browserPlatform.store): Promise<ResumeRecord[]> {
  return interruptedIn(store);
}

/**
 * Discards an unfinished upload that `interrupted()` listed, so that the same file starts from the first byte. To end an upload that
 * runs, call `cancel()` of its handle instead.
 *
 * @param options `deleteRemote` also deletes the upload on the server. @default { deleteRemote: false }
 * @throws UploadError ERR_UPLOAD_LOCKED, after 2 s, while a tab or process sends the upload, which then stays; another one when the
 * server did not delete the upload; the record is then removed all the same
 *
 * @example
 * ```ts
 * import { forget, interrupted } from 'landfall';
 *
 * const [latest] = await interrupted();
 * if (latest) await forget(latest, { deleteRemote: true });
 * ```
 */
export function forget(record: ResumeRecord, options: ForgetOptions = {}): Promise<void> {
  return forgetRecord(record, options, browserPlatform);
}

/**
 * Binds options that all uploads of an application share.
 *
 * @param defaults `endpoint` is required. An option of a call replaces the default of the same name; `metadata` and `timeouts` are
 * merged key by key
 * @returns `upload` and `queue`, which take the options of `upload` and `createQueue`, all of them optional
 *
 * @example
 * ```ts
 * import { createUploader } from 'landfall';
 *
 * const { upload, queue } = createUploader({ endpoint: 'https://uploads.example/files', metadata: { project: '42' } });
 * await upload(file, { metadata: { caption: 'Harbour' } }).done; // sent with project and caption
 * const many = queue({ concurrency: 2 });
 * ```
 */
export function createUploader(defaults: UploaderDefaults): Uploader<UploadSource> {
  return bindUploader(defaults, upload, createQueue);
}
