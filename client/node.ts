// The client in Node. `index.ts` has the same names for browsers.

import { startQueue, type UploadQueue } from './handle/queue.ts';
import type { UploadHandle } from './handle/snapshot.ts';
import { startUpload } from './handle/upload.ts';
import { nodePlatform } from './node/platform.ts';
import { type NodeSource, nodeSource } from './node/source.ts';
import type { QueueOptions, UploadOptions } from './options.ts';
import { type ForgetOptions, forgetRecord, interruptedIn } from './resume/interrupted.ts';
import type { ResumeRecord, ResumeStore } from './resume/store.ts';

export { ERRORS, type ErrorCode, UploadError } from '../shared/errors.ts';
export type { UploadQueue } from './handle/queue.ts';
export type { QueueSnapshot } from './handle/queue-snapshot.ts';
export type {
  CancelOptions,
  UploadHandle,
  UploadResult,
  UploadSnapshot,
  UploadState,
  Waiting,
  WaitingReason,
} from './handle/snapshot.ts';
export type { UploadStream } from './node/stream-source.ts';
export type { HeadersRequest, QueueOptions, Timeouts, UploadHeaders, UploadOptions } from './options.ts';
export type { ForgetOptions } from './resume/interrupted.ts';
export type { ResumeRecord, ResumeStore } from './resume/store.ts';

/** A path, a `file:` URL, bytes (not to be changed while they are sent), or a stream with a name. */
export type UploadSource = NodeSource;

/**
 * Starts at once.
 *
 * @throws TypeError for a source, endpoint or number that makes no sense; everything later is told by the handle
 */
export function upload(source: UploadSource, options: UploadOptions): UploadHandle {
  return startUpload(nodeSource(source), options, nodePlatform);
}

/** Uploads that take turns. @throws TypeError as `upload` */
export function createQueue(options: QueueOptions): UploadQueue<UploadSource> {
  return startQueue(options, nodePlatform, nodeSource);
}

/** What earlier visits or processes left unfinished, the latest first: uploading the same file again goes on there. */
export function interrupted(store: ResumeStore = nodePlatform.store): Promise<ResumeRecord[]> {
  return interruptedIn(store);
}

/**
 * Drops a record of `interrupted()`: the same file starts anew after that. Not for one that is being sent; `cancel()` its handle.
 *
 * @throws UploadError when `deleteRemote` was asked and the server could not be made to delete it; the record is gone all the same
 */
export function forget(record: ResumeRecord, options: ForgetOptions = {}): Promise<void> {
  return forgetRecord(record, options, nodePlatform);
}
