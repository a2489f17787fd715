import type { UploadId } from '../ledger/upload-id.ts';

export interface WriterOptions {
  /** With this size the upload is complete: it is then made durable as its writer ends. */
  completeBytes: number | null;
  /** All of it, from the first byte on, comes in one write, which may make it durable on its way. Before that, nothing is made. */
  inOne?: boolean;
  /** The body carries its own checksum: `end(false)` says that it is not what was sent, and all of it is to be forgotten. */
  isProvisional?: boolean;
  /** Asked right before bytes are stored later than by the `write` that brought them. @throws when the lock is lost */
  requireHeld?: () => void;
  /** Told when everything before `offset` is stored: within each `write`, or some time later, for several together. */
  onStored?(offset: number): void;
  /** How many bytes the ledger counts now: whoever goes on after a crash goes on from there, or from further. */
  counted?(): number;
  /** Something has to be written down, or has failed: asks for a `write` soon, though it be one of no bytes. */
  nudge?(): void;
}

/**
 * What is known of a complete upload's bytes: durable; unproved, because a sync of them failed, whatever a second call
 * says; or not asked yet.
 */
export type Proof = 'durable' | 'unproved' | 'unknown';

/** Appends one body, under the upload's lock. One call is in flight at a time, but for `sync`. */
export interface StagingWriter {
  /** Bytes that the next `write` may bring at most, so that what counts as stored can end with it: up to the end of a part. */
  readonly room: number;
  /**
   * Resolves, or rejects, when nobody reads the buffers any more: they are stored, or copied to be stored together with others.
   * What was stored before a fault stays stored.
   * @throws what the system says of a failed write, this one or one before
   */
  write(buffers: readonly Buffer[]): Promise<void>;
  /** Makes durable what is stored, while more is being written. */
  sync(): Promise<void>;
  /** The body is over: resolves when all of it is stored. @param mayComplete whether `completeBytes` bytes are all there is */
  end(mayComplete: boolean): Promise<Proof>;
  /** To be called whatever became of the body; resolves when nothing of it is on its way any more. */
  close(): Promise<void>;
}

/** Acknowledged bytes are gone from where they were stored. Nothing brings them back: the upload can only end. */
export class StagedBytesLost extends Error {
  override readonly name = 'StagedBytesLost';
}

/** Where the bytes of a whole upload can be had without their passing through here; neither: they are to be read. */
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
  /** As its own server tells it; undefined: it is in the storage's own bucket. */
  etag?: string;
}

/** Reads staged bytes while an inspection runs. */
export interface StagedReader {
  readonly size: number;
  /** Bytes [start, end), fewer only where the file ends. */
  read(start: number, end: number): Promise<Buffer>;
  /** Everything from `start` on, in order, in constant memory. */
  stream(start?: number): AsyncIterable<Buffer>;
  close(): Promise<void>;
}

/**
 * Bytes in progress. Whoever writes, truncates or removes holds the upload's lock; bytes are only ever appended, so
 * a size once seen is a promise.
 */
export interface Staging {
  /**
   * Whether what is stored can be read while more is to come. Where it can't, an upload goes on from where the ledger has
   * its running checksum: never beyond what is stored, and what is stored beyond is written anew.
   */
  readonly isReadableInProgress: boolean;
  /**
   * The bytes are kept by code that is not Landfall's. What it hands back is held against the running checksum before a file is
   * accepted, and its word that all is stored begins no inspection.
   */
  readonly isReadBack: boolean;
  /** Bytes stored; 0 when there is nothing of this upload. */
  size(id: UploadId): Promise<number>;
  /**
   * To append from `offset` on. The first writer makes the place; what is stored beyond the offset is written anew, or, where a store
   * can't write it anew, passed over: what comes again is the same, or the running checksum tells.
   * @throws StagedBytesLost
   */
  openWriter(id: UploadId, offset: number, options: WriterOptions): Promise<StagingWriter>;
  /** Makes the bytes durable. After it threw, they are unproved, whatever a second call says: only `renew` can help. */
  sync(id: UploadId): Promise<void>;
  /** Copies the bytes to a new place, makes that durable, and puts it in the old one's stead. Whether it holds the right bytes is the caller's to prove. @throws the signal's reason, the old place untouched */
  renew(id: UploadId, signal?: AbortSignal): Promise<void>;
  truncate(id: UploadId, size: number): Promise<void>;
  /** @throws the signal's reason, where bytes are put together first to be read; StagedBytesLost */
  open(id: UploadId, signal?: AbortSignal): Promise<StagedReader>;
  /**
   * Takes the bytes away of an upload that has ended, or never had a row. Where that fails it is tried again soon, for as long
   * as the process lives; what is left then, the next start finds by `list`. Fine when they are gone already. Never rejects.
   */
  remove(id: UploadId): Promise<void>;
  /** The ids of everything staged, leftovers of `renew` cleared on the way. May run beside all else. */
  list(): AsyncIterable<UploadId>;
  /** Of an upload whose bytes are whole and durable. Undefined: there are none. @throws the signal's reason */
  place(id: UploadId, signal?: AbortSignal): Promise<StagedFile | undefined>;
  /** Bytes that are free for new uploads; Infinity where there is no telling. */
  freeBytes(): Promise<number>;
}
