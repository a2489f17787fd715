import type { UploadId } from './upload-id.ts';
// Notices between the processes that serve one ledger, so that none has to poll it often. A notice may get lost, so a process that
// waits for one also reads the ledger now and then.
export type Notice = 'state' | 'want' | 'free';

export interface Notices {
  /** Notifies all other processes: an upload's state has changed, its lock is wanted, or its lock is free. */
  notify(notice: Notice, uploadId: UploadId): void;
  /** Calls the listener for each notice of another process. Returns a function that stops this. */
  on(notice: Notice, listener: (uploadId: UploadId) => void): () => void;
  /** Calls the listener when notices may have been missed. Returns a function that stops this. */
  onGap(listener: () => void): () => void;
  close(): Promise<void>;
}
