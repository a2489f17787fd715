import type { UploadId } from './upload-id.ts';
// What processes on one ledger tell each other, so that nobody need ask again and again. Hints only: one may get lost, and
// whoever waits for one looks into the ledger now and then all the same.
export type Notice = 'state' | 'want' | 'free';

export interface Notices {
  /** To all other processes: an upload's state has changed; its lock is wanted; its lock is free. */
  tell(notice: Notice, uploadId: UploadId): void;
  /** Calls back when another process tells. Returns how to stop. */
  on(notice: Notice, listener: (uploadId: UploadId) => void): () => void;
  /** Calls back when some may have been missed. Returns how to stop. */
  onGap(listener: () => void): () => void;
  close(): Promise<void>;
}
