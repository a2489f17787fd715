import type { UploadId } from '../ledger/upload-id.ts';

export interface WriterOptions {
  /** Length of the upload: when it is reached, `end` makes the bytes durable. Null while it is unknown. */
  completeBytes: number | null;
  /**
   * True when one write brings the whole upload, from its first byte on: this write may also make it durable, and nothing of the upload
   * exists in the store before it.
   */
  inOne?: boolean;
  /** True when the body has its own checksum: after `end(false)` none of its bytes may stay. */
  isProvisional?: boolean;
  /** Called right before bytes are stored that an earlier `write` brought. @throws when the lock is lost */
  requireHeld?: () => void;
  /** Called when all bytes before `offset` are stored: within each `write`, or later, for several writes together. */
  onStored?(offset: number): void;
  /** Bytes that the ledger counts now: after a crash, the upload continues from there or from a later offset. */
  counted?(): number;
  /** Asks for a `write` soon, also one without bytes, because a checkpoint is due or a store operation has failed. */
  wake?(): void;
}

/**
 * The durability of a complete upload's bytes. `sync-failed`: a sync of them failed, and a later successful sync would prove nothing.
 * `unknown`: they are not synced yet.
 */
export type Proof = 'durable' | 'sync-failed' | 'unknown';

/** Appends one body, under the upload's lock. One call is in flight at a time, except for `sync`. */
export interface StagingWriter {
  /** Most bytes of the next `write`: a write ends at the end of a part at the latest, so that the part can be counted as stored. */
  readonly capacity: number;
  /**
   * Settles when the buffers are no longer read: their bytes are stored, or copied to be stored together with others. Bytes that were
   * stored before a fault stay stored.
   * @throws the error of a failed write, of this call or of an earlier one
   */
  write(buffers: readonly Buffer[]): Promise<void>;
  /** Makes the stored bytes durable. May run beside `write`. */
  sync(): Promise<void>;
  /**
   * Call at the end of the body: resolves when all of it is stored.
   * @param mayComplete false when reaching `completeBytes` must not complete the upload
   */
  end(mayComplete: boolean): Promise<Proof>;
  /** Call always, also after a fault. Resolves when nothing of the body is in flight. */
  close(): Promise<void>;
}

/** Acknowledged bytes are lost. Nothing restores them, so the upload can only be ended. */
export class StagedBytesLost extends Error {
  override readonly name = 'StagedBytesLost';
}

/** Where the storage can link or copy a complete upload from. With neither a path nor an object, this process has to read the upload. */
export interface StagedFile {
  /** A file on this machine. */
  path?: string;
  /** An object in S3. */
  object?: StagedObject;
}

export interface StagedObject {
  bucket: string;
  key: string;
  size: number;
  /** The ETag that the object's server reports. Set when the object may be in another bucket than the storage's own. */
  etag?: string;
}

/** Reads staged bytes while an inspection runs. */
export interface StagedReader {
  readonly size: number;
  /** Bytes [start, end), fewer only where the file ends. */
  read(start: number, end: number): Promise<Buffer>;
  /** All bytes from `start` on, in order, in constant memory. */
  stream(start?: number): AsyncIterable<Buffer>;
  close(): Promise<void>;
}

/**
 * Keeps bytes in progress. Callers that write, truncate or remove hold the upload's lock. Bytes are only ever appended, so a size that
 * was once read stays valid.
 */
export interface Staging {
  /**
   * True when the bytes of an unfinished upload can be read. Otherwise an upload continues from the offset of its running checksum in
   * the ledger. That offset is never beyond the stored bytes, and bytes stored beyond it are overwritten.
   */
  readonly isReadableInProgress: boolean;
  /**
   * True when code that is not Landfall's keeps the bytes. Before a file is accepted, its bytes are read back and verified by the running
   * checksum, and only the ledger decides whether all bytes are stored.
   */
  readonly isReadBack: boolean;
  /** Number of stored bytes; 0 for an unknown upload. */
  size(id: UploadId): Promise<number>;
  /**
   * Opens a writer that appends from `offset` on. The first one creates the upload's file or object. Bytes stored beyond the offset are
   * overwritten. A store that cannot overwrite them skips the repeated bytes, and the running checksum shows whether they differ.
   * @throws StagedBytesLost
   */
  openWriter(id: UploadId, offset: number, options: WriterOptions): Promise<StagingWriter>;
  /** Makes the bytes durable. After a failed call, later calls prove nothing: only `renew` can make the bytes durable. */
  sync(id: UploadId): Promise<void>;
  /**
   * Copies the bytes to a new file, makes it durable, and replaces the old file by it. The caller verifies its content.
   * @throws the signal's reason; the old file is unchanged then
   */
  renew(id: UploadId, signal?: AbortSignal): Promise<void>;
  truncate(id: UploadId, size: number): Promise<void>;
  /** Opens a reader; in S3 this may first have to assemble the bytes. @throws the signal's reason, StagedBytesLost */
  open(id: UploadId, signal?: AbortSignal): Promise<StagedReader>;
  /**
   * Removes the bytes of an upload that has ended, or never had a row. Retries after a failure while the process lives; after that, the
   * next start finds them by `list`. Idempotent. Never rejects.
   */
  remove(id: UploadId): Promise<void>;
  /** The ids of all staged uploads. Also clears leftovers of `renew`. May run beside any other call. */
  list(): AsyncIterable<UploadId>;
  /** Locates a complete and durable upload. Resolves to undefined when it has no bytes. @throws the signal's reason */
  locate(id: UploadId, signal?: AbortSignal): Promise<StagedFile | undefined>;
  /** Free bytes for new uploads; Infinity when that is not known. */
  freeBytes(): Promise<number>;
}
