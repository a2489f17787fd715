import type { Readable } from 'node:stream';
import type { UploadId } from '../ledger/upload-id.ts';

/** How a body ended: whole, or cut with what came before it stored. */
export type BodyEnd = 'whole' | 'cut' | 'interrupted' | 'too-long' | 'too-slow';

export interface BodyLimits {
  /** Bytes the body may have; one more ends it with `too-long`. */
  maxBytes: number;
  /** Aborted when the lock was lost: stop after the write in flight, `interrupted`. */
  signal: AbortSignal;
  /** It is little, and of use only whole: nothing is handed on, or stored, before its end. */
  inOne?: boolean;
  /** A body that brings less than 1 KiB in this time ends with `too-slow`. */
  bodyTimeoutMs: number;
}

export interface WriteOptions extends BodyLimits {
  /** With this size the upload is complete: it is then made durable before `write` resolves. */
  completeSize: number | null;
  /** Called with each batch before it is written; what it throws ends the write, the batch unwritten. */
  onBatch(batch: readonly Buffer[], offset: number): Promise<void> | void;
  /** Asked right before what was gathered is written, where that is later than its batch. @throws when the lock is lost */
  requireHeld?: () => void;
  /**
   * Called when everything before `offset` is written: with each batch, or some time later, for several together. `sync`
   * makes it durable, while more is being written.
   */
  onWritten?(sync: () => Promise<void>, offset: number): void;
  /** How many bytes the ledger counts now: whoever goes on after a crash goes on from there, or from further. */
  counted?(): number;
}

/**
 * What is known of a complete upload's bytes: durable; unproved, because a sync of them failed, whatever a second call
 * says; or not asked yet.
 */
export type Proof = 'durable' | 'unproved' | 'unknown';

export interface Written {
  /** Bytes stored of this body. */
  bytes: number;
  end: BodyEnd;
  proof: Proof;
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
  /** Bytes stored; 0 when there is nothing of this upload. */
  size(id: UploadId): Promise<number>;
  /** Appends; the first write makes the place. @throws what the system says of a failed write */
  write(id: UploadId, offset: number, body: Readable, options: WriteOptions): Promise<Written>;
  /** Makes the bytes durable. After it threw, they are unproved, whatever a second call says: only `renew` can help. */
  sync(id: UploadId): Promise<void>;
  /** Copies the bytes to a new place, makes that durable, and puts it in the old one's stead. Whether it holds the right bytes is the caller's to prove. @throws the signal's reason, the old place untouched */
  renew(id: UploadId, signal?: AbortSignal): Promise<void>;
  truncate(id: UploadId, size: number): Promise<void>;
  /** @throws the signal's reason, where bytes are put together first to be read */
  open(id: UploadId, signal?: AbortSignal): Promise<StagedReader>;
  /**
   * Takes the bytes away of an upload that has ended, or never had a row. Where that fails it is tried again soon, for as long
   * as the process lives; what is left then, the next start finds by `list`. Fine when they are gone already. Never rejects.
   */
  remove(id: UploadId): Promise<void>;
  /** The ids of everything staged, leftovers of `renew` cleared on the way. */
  list(): AsyncIterable<UploadId>;
  /** Bytes that are free for new uploads; Infinity where there is no telling. */
  freeBytes(): Promise<number>;
}
