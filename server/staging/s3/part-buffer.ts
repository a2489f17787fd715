import { createHash, type Hash } from 'node:crypto';
import type { Holder, PartMemory } from '../../s3/part-memory.ts';

const FIRST_BUFFER_BYTES = 64 * 1024;
const BUFFER_GROWTH = 4;
const FAST_MS = 5000;
/** No byte waits longer than this for its part to become full, so that a crash loses little of a slow sender's bytes. */
const HOLD_MS = 60_000;

/** The bytes of a body's present part that are in memory. All bodies share this memory. */
export class PartBuffer implements Holder {
  readonly #memory: PartMemory;
  readonly #wake: () => void;
  #buffer = Buffer.alloc(0);
  #filled = 0;
  /** SHA-256 of the bytes. */
  #hash: Hash | undefined;
  #filledSinceMs = 0;
  #isFlushAsked = false;
  /** True when the last part filled quickly: the next one then gets its whole memory at once. */
  #isFast = false;
  #holdTimer: NodeJS.Timeout | undefined;

  /** @param wake called when the bytes should be flushed to S3 soon */
  constructor(memory: PartMemory, wake: () => void) {
    this.#memory = memory;
    this.#wake = wake;
    memory.enter(this);
  }

  get held(): number {
    return this.#buffer.byteLength;
  }

  get pace(): number {
    return this.#filled / (performance.now() - this.#filledSinceMs + 1);
  }

  flush(): void {
    this.#isFlushAsked = true;
    this.#wake();
  }

  get isFlushAsked(): boolean {
    return this.#isFlushAsked;
  }

  /** Number of the body's bytes in the buffer. */
  get filled(): number {
    return this.#filled;
  }

  get isFull(): boolean {
    return this.#filled === this.#buffer.byteLength;
  }

  /** Valid until `handOn` or `drop`. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#filled);
  }

  /** Copies as much of the chunk as fits, and returns the number of copied bytes. */
  fill(chunk: Buffer): number {
    const copied = chunk.copy(this.#buffer, this.#filled);
    this.#filled += copied;
    this.#hash ??= createHash('sha256');
    this.#hash.update(chunk.subarray(0, copied));
    return copied;
  }

  /**
   * Enlarges the buffer. Buffers start small, so that a thousand slow senders hold little memory, and soon have the size of a part. A
   * part that is larger than the memory allows (its size was fixed under other settings) is stored in pieces.
   * Resolves to false when the bytes must be flushed first.
   */
  async grow(partBytes: number, mostBytes: number): Promise<boolean> {
    const { held } = this;
    const most = Math.min(mostBytes, this.#memory.most);
    if (held >= most) return false;
    const size = Math.min(most, this.#isFast ? partBytes : Math.max(FIRST_BUFFER_BYTES, held * BUFFER_GROWTH));
    if ((await this.#memory.take(this, size - held)) !== 'taken') return false;
    const larger = this.#memory.buffer(size);
    this.#buffer.copy(larger, 0, 0, this.#filled);
    this.#buffer = larger;
    if (held === 0) {
      this.#filledSinceMs = performance.now();
      this.#holdTimer ??= setTimeout(() => this.flush(), HOLD_MS);
    }
    return true;
  }

  /**
   * Hands the full part to the caller, who sends `bytes` and then gives back `memory`, which holds them. `sha256` in hex; undefined for
   * no bytes.
   */
  handOn(): { bytes: Buffer; memory: Buffer<ArrayBuffer>; sha256: string | undefined } {
    const { bytes } = this;
    const memory = this.#buffer;
    const sha256 = this.#hash?.digest('hex');
    this.#empty();
    this.#isFast = performance.now() - this.#filledSinceMs < FAST_MS;
    this.#isFlushAsked = false;
    this.endFlush();
    return { bytes, memory, sha256 };
  }

  /** Call at the start of a flush: a request to flush that comes later needs another flush. */
  beginFlush(): void {
    this.#isFlushAsked = false;
  }

  /** Call at the end of a flush. */
  endFlush(): void {
    this.endHold();
    this.#memory.flushed(this);
  }

  endHold(): void {
    clearTimeout(this.#holdTimer);
    this.#holdTimer = undefined;
  }

  /** Gives the memory back: the bytes are flushed, or not needed. */
  drop(): void {
    const { held } = this;
    this.#empty();
    this.endFlush();
    if (held > 0) this.#memory.give(held);
  }

  close(): void {
    this.drop();
    this.#memory.leave(this);
  }

  #empty(): void {
    this.#buffer = Buffer.alloc(0);
    this.#filled = 0;
    this.#hash = undefined;
  }
}
