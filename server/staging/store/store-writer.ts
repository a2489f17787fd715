// From lent buffers to a store, a slice at a time. Each slice is one write of the store, small enough that a write that fails leaves
// nothing behind it; what the store says of a write that failed is not believed, but what it holds is asked for.
import { backoffMs, pause } from '../../runtime/pause.ts';
import { type Proof, StagedBytesLost, type StagingWriter, type WriterOptions } from '../staging.ts';
import type { PendingBytes } from './pending-bytes.ts';
import type { StoreAccess } from './store-access.ts';
import { StoreFault } from './store-fault.ts';

/** Stores do not repeat what fails: one SlowDown of S3 would end a request. */
const ATTEMPTS = 5;
const LONGEST_WAIT_MS = 2000;

export interface StoreWriting {
  access: StoreAccess;
  name: string;
  /** Begins where the store ends, or before, with what the store stores once more. */
  pending: PendingBytes;
  /** Bytes that the store holds: beyond the offset where an earlier body brought more than was counted. */
  held: number;
  /** Nothing more can come: the store has made one whole of it. */
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

  /** Up to where the next slice ends, so that what counts ends with it; or up to where what is passed over does. */
  get room(): number {
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
    // What may have to be forgotten does not come to the store: most can't take it back.
    const isSlice = access.isDirect || (pending.end - pending.start >= sliceBytes && pending.end !== this.#options.completeBytes);
    if (isSlice && !this.#options.isProvisional) await this.#handOver(false);
    this.#tellStored();
  }

  sync(): Promise<void> {
    return this.#writing.access.sync(this.#writing.name);
  }

  async end(mayComplete: boolean): Promise<Proof> {
    const { access, name } = this.#writing;
    const { completeBytes, isProvisional } = this.#options;
    if (isProvisional && !mayComplete) return 'unknown';
    await this.#handOver(mayComplete);
    this.#tellStored();
    if (mayComplete && this.#position === completeBytes) {
      await access.seal(name, completeBytes);
      const isProved = await access.sync(name).then(
        () => true,
        () => false,
      );
      return isProved ? 'durable' : 'unproved';
    }
    return access.isDurableByWrite && this.#held > 0 ? 'durable' : 'unknown';
  }

  close(): Promise<void> {
    return this.#writing.pending.close();
  }

  /** @param isLast the byte that completes the upload goes, too: until then more may follow it than there is */
  async #handOver(isLast: boolean): Promise<void> {
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

  /** Resolves when the store holds everything before `end`. */
  async #send(end: number): Promise<void> {
    const { access, name, pending } = this.#writing;
    for (let attempt = 1; ; attempt++) {
      const fault = await access.write(name, this.#held, pending.read(this.#held, end)).then(
        (said) => (said === end ? undefined : new StoreFault(`The store says ${said} after a write up to ${end}.`)),
        (error: unknown) => error,
      );
      if (fault !== undefined) this.#held = await this.#found(end);
      else this.#held = end;
      if (this.#held === end) return;
      if (attempt === ATTEMPTS) throw fault;
      await pause(Math.min(backoffMs(attempt - 1), LONGEST_WAIT_MS));
      this.#options.requireHeld?.();
    }
  }

  /** How much the store has after a write that failed. @throws StagedBytesLost when it is less than can be written once more */
  async #found(end: number): Promise<number> {
    const { access, name, pending } = this.#writing;
    const held = await access.held(name);
    const size = held?.size ?? 0;
    if (held?.hasGap || size < pending.start || size > end) {
      throw new StagedBytesLost(`After a write that failed the store holds ${size} bytes, and not from ${pending.start} on.`);
    }
    return size;
  }

  #tellStored(): void {
    this.#options.onStored?.(Math.min(this.#position, this.#held));
  }
}

function sizeOf(buffers: readonly Buffer[]): number {
  return buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** What follows the first `bytes` of the buffers. */
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
