// Writes lent buffers to a store, a slice at a time. Each slice is one write of the store, small enough that a failed write leaves
// nothing behind it. After a failed write, the writer asks the store for its size instead of trusting the error.
import { backoffMs, pause } from '../../runtime/pause.ts';
import { type Proof, StagedBytesLost, type StagingWriter, type WriterOptions } from '../staging.ts';
import type { PendingBytes } from './pending-bytes.ts';
import type { StoreAccess } from './store-access.ts';
import { StoreFault } from './store-fault.ts';

/** Stores do not retry: without these tries, one SlowDown of S3 would end a request. */
const TRIES = 5;
const LONGEST_WAIT_MS = 2000;

export interface StoreWriting {
  access: StoreAccess;
  name: string;
  /** Starts at the end of the store's bytes, or before it, with the bytes that the store will store again. */
  pending: PendingBytes;
  /** Number of bytes that the store holds. More than the offset when an earlier body stored more than was counted. */
  held: number;
  /** True when the store has completed the upload and accepts no more bytes. */
  isSealed: boolean;
  sliceBytes: number;
}

export class StoreWriter implements StagingWriter {
  readonly #writing: StoreWriting;
  readonly #options: WriterOptions;
  #position: number;
  #held: number;

  constructor(writing: StoreWriting, offset: number, options: WriterOptions) {
    this.#writing = writing;
    this.#options = options;
    this.#position = offset;
    this.#held = writing.held;
  }

  /** Up to the end of the next slice, so that it can be counted as stored, or up to the end of the bytes that are skipped. */
  get capacity(): number {
    const { access, pending, sliceBytes } = this.#writing;
    if (this.#position < this.#held) return this.#held - this.#position;
    if (access.isDirect || this.#options.isProvisional) return Number.POSITIVE_INFINITY;
    return Math.max(pending.start + sliceBytes - this.#position, 1);
  }

  async write(buffers: readonly Buffer[]): Promise<void> {
    const { access, pending, sliceBytes } = this.#writing;
    const before = this.#position;
    const fresh = after(buffers, this.#held - before);
    this.#position += sizeOf(buffers);
    await pending.append(fresh);
    // Bytes that may have to be removed are kept from the store, since most stores cannot truncate.
    const isSlice = access.isDirect || (pending.end - pending.start >= sliceBytes && pending.end !== this.#options.completeBytes);
    if (isSlice && !this.#options.isProvisional) await this.#sendPending(false);
    this.#reportStored();
  }

  sync(): Promise<void> {
    return this.#writing.access.sync(this.#writing.name);
  }

  async end(mayComplete: boolean): Promise<Proof> {
    const { access, name } = this.#writing;
    const { completeBytes, isProvisional } = this.#options;
    if (isProvisional && !mayComplete) return 'unknown';
    await this.#sendPending(mayComplete);
    this.#reportStored();
    if (mayComplete && this.#position === completeBytes) {
      await access.seal(name, completeBytes);
      const isSynced = await access.sync(name).then(
        () => true,
        () => false,
      );
      return isSynced ? 'durable' : 'sync-failed';
    }
    return access.isDurableByWrite && this.#held > 0 ? 'durable' : 'unknown';
  }

  close(): Promise<void> {
    return this.#writing.pending.close();
  }

  /**
   * @param isLast true to send also the byte that completes the upload. Before the body's end it is kept back, as the body may be too
   * long
   */
  async #sendPending(isLast: boolean): Promise<void> {
    const { pending, sliceBytes, access } = this.#writing;
    const { completeBytes, requireHeld } = this.#options;
    const limit = isLast || pending.end !== completeBytes ? pending.end : pending.end - 1;
    while (this.#held < limit) {
      requireHeld?.();
      const end = access.isDirect ? limit : Math.min(limit, pending.start + sliceBytes);
      await this.#send(end);
      await pending.dropBefore(end);
    }
  }

  /** Resolves when the store holds all bytes before `end`. */
  async #send(end: number): Promise<void> {
    const { access, name, pending } = this.#writing;
    for (let attempt = 1; ; attempt++) {
      const fault = await access.write(name, this.#held, pending.read(this.#held, end)).then(
        (offset) => (offset === end ? undefined : new StoreFault(`The store reports offset ${offset} after a write up to ${end}.`)),
        (error: unknown) => error,
      );
      if (fault !== undefined) this.#held = await this.#heldNow(end);
      else this.#held = end;
      if (this.#held === end) return;
      if (attempt === TRIES) throw fault;
      await pause(Math.min(backoffMs(attempt - 1), LONGEST_WAIT_MS));
      this.#options.requireHeld?.();
    }
  }

  /** Number of bytes in the store after a failed write. @throws StagedBytesLost when bytes before the pending ones are missing */
  async #heldNow(end: number): Promise<number> {
    const { access, name, pending } = this.#writing;
    const held = await access.held(name);
    const size = held?.size ?? 0;
    if (held?.hasGap || size < pending.start || size > end) {
      throw new StagedBytesLost(`After a failed write the store holds ${size} bytes, outside ${pending.start} to ${end}.`);
    }
    return size;
  }

  #reportStored(): void {
    this.#options.onStored?.(Math.min(this.#position, this.#held));
  }
}

function sizeOf(buffers: readonly Buffer[]): number {
  return buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** The buffers without their first `bytes`. */
function after(buffers: readonly Buffer[], bytes: number): readonly Buffer[] {
  if (bytes <= 0) return buffers;
  const rest: Buffer[] = [];
  let skip = bytes;
  for (const buffer of buffers) {
    if (skip < buffer.byteLength) rest.push(buffer.subarray(skip));
    skip = Math.max(skip - buffer.byteLength, 0);
  }
  return rest;
}
