import type { UploadId } from '../ledger/upload-id.ts';
// The port of the locks on uploads' bytes. Requests, the sweeper and the finish use it; each way of locking implements it.

/** Asks the lock's holder to release it as soon as it can. */
export type RequestRelease = () => Promise<void> | void;

/** The lock of one request. It has the shape that @tus/server expects: @tus/server acquires and releases it around its handlers. */
export interface Lock {
  /** Resolves when this request holds the lock. @throws UploadError ERR_UPLOAD_LOCKED when the lock does not become free in time */
  lock(signal: AbortSignal, requestRelease: RequestRelease): Promise<void>;
  unlock(): Promise<void>;
}

export interface TryLock {
  /** Runs `work` under the lock if the lock is free. Otherwise resolves to false at once. */
  tryWith(id: UploadId, work: () => Promise<void>): Promise<boolean>;
}

export interface UploadLocker extends TryLock {
  newLock(id: UploadId): Lock;
  /** Announces that the next lock is on an upload without a row, which no other request of any process can know of. */
  expectNew(id: UploadId): void;
  /** Records that the lock's holder received bytes. */
  touch(id: UploadId): void;
  /**
   * Call right before each write. Returns the holder's name in the ledger; undefined where locks are not kept in the ledger.
   * @throws UploadError ERR_UPLOAD_LOCKED when the caller no longer holds the lock
   */
  requireHeld(id: UploadId): string | undefined;
  /**
   * Call before reading the offset. When the holder receives no bytes for `ALIVE_MS`, it is asked to release the lock, and this
   * waits for the release: by then, all bytes that the holder received are stored and counted. A holder that keeps receiving
   * keeps the lock. Resolves to true when there was a holder.
   */
  quiesce(id: UploadId): Promise<boolean>;
  /**
   * Resolves to true when a process on another machine writes the upload's bytes, or released the lock before its last bytes were
   * known to be durable. This machine can then rely on nothing beyond the proven offset.
   */
  isWrittenElsewhere(id: UploadId): Promise<boolean>;
}
