// The client in a browser. `node.ts` has the same names for Node.
import type { QueueOptions, UploadOptions } from './options.ts';
import type { UploadQueue } from './queue.ts';
import type { ResumeRecord, ResumeStore } from './resume-store.ts';
import type { UploadHandle } from './snapshot.ts';

export { ERRORS, type ErrorCode, UploadError } from '../shared/errors.ts';
export type { HeadersRequest, QueueOptions, Timeouts, UploadHeaders, UploadOptions } from './options.ts';
export type { QueueSnapshot, UploadQueue } from './queue.ts';
export type { ResumeRecord, ResumeStore } from './resume-store.ts';
export type {
  CancelOptions,
  UploadHandle,
  UploadResult,
  UploadSnapshot,
  UploadState,
  Waiting,
  WaitingReason,
} from './snapshot.ts';

/** What can be sent. Bytes are not copied: do not change them while they are on their way. */
export type UploadSource = File | Blob | Uint8Array<ArrayBuffer>;

/** Starts at once. */
export function upload(_source: UploadSource, _options: UploadOptions): UploadHandle {
  throw new Error('The browser has no transport yet.');
}

export function createQueue(_options: QueueOptions): UploadQueue<UploadSource> {
  throw new Error('The browser has no transport yet.');
}

/** What earlier visits left unfinished, the latest first. */
export async function interrupted(_store?: ResumeStore): Promise<ResumeRecord[]> {
  return [];
}
