import type { UploadId } from '../ledger/upload-id.ts';
// Who works on an upload's bytes now: the port that requests, the sweeper and the finish use, and that each way of locking fills.

/** Asks the holder to let go as soon as it can. */
export type RequestRelease = () => Promise<void> | void;

/** One request's turn. The shape is that of @tus/server, which takes and gives back the lock around its handlers. */
export interface Lock {
  /** Resolves when the lock is this request's. @throws UploadError ERR_UPLOAD_LOCKED when it does not become free in time */
  lock(signal: AbortSignal, requestRelease: RequestRelease): Promise<void>;
  unlock(): Promise<void>;
}

export interface TryLock {
  /** Runs `work` under the lock when nobody holds it; resolves with false, at once, when somebody does. */
  tryWith(id: UploadId, work: () => Promise<void>): Promise<boolean>;
}

/** The locks on uploads' bytes, as the resource uses them. */
export interface UploadLocker extends TryLock {
  newLock(id: UploadId): Lock;
  /** The next lock is on an upload that has no row yet: nobody but the request that creates it can know of it, in any process. */
  expectNew(id: UploadId): void;
  /** Bytes came: the holder is alive. */
  touch(id: UploadId): void;
  /**
   * To be called right before each write. Returns the name that the ledger knows the holder by, where it knows one.
   * @throws UploadError ERR_UPLOAD_LOCKED where the lock is not the caller's any more
   */
  requireHeld(id: UploadId): string | undefined;
  /**
   * For those who only look: waits until the holder has been silent for long enough to be asked, and has let go, so that
   * what it received is stored and counted. One that goes on receiving is left alone. Resolves with whether there was one.
   */
  quiesce(id: UploadId): Promise<boolean>;
  /** Whether the bytes are being written on another machine, or were by someone who left them unproved: only what is proved is known of them. */
  isWrittenElsewhere(id: UploadId): Promise<boolean>;
}
