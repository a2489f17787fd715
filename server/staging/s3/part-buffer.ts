import type { Holder, PartMemory } from '../../s3/part-memory.ts';

const FIRST_BUFFER_BYTES = 64 * 1024;
const BUFFER_GROWTH = 4;
const FAST_MS = 5000;
/** No byte waits longer than this for its part to become full: a crash loses no more of what a slow sender sent. */
const HOLD_MS = 60_000;

/** What is in memory of the part that a body gathers: a piece of what all bodies share. */
export class PartBuffer implements Holder {
  readonly #memory: PartMemory;
  readonly #nudge: () => void;
  #buffer = Buffer.alloc(0);
  #filled = 0;
  #filledSinceMs = 0;
  #isFlushAsked = false;
  /** Whether the part before came quickly: then the next is given its whole memory at once. */
  #isFast = false;
  #holdTimer: NodeJS.Timeout | undefined;

  /** @param nudge called when what is held should be written down, soon */
  constructor(memory: PartMemory, nudge: () => void) {
    this.#memory = memory;
    this.#nudge = nudge;
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
    this.#nudge();
  }

  get isFlushAsked(): boolean {
    return this.#isFlushAsked;
  }

  /** Bytes of the body in it. */
  get filled(): number {
    return this.#filled;
  }

  get isFull(): boolean {
    return this.#filled === this.#buffer.byteLength;
  }

  /** Good until `handOn` or `drop`. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#filled);
  }

  /** As much of it as there is room for; how much that was. */
  fill(chunk: Buffer): number {
    const copied = chunk.copy(this.#buffer, this.#filled);
    this.#filled += copied;
    return copied;
  }

  /**
   * Buffers begin small, so that a thousand slow senders hold little, and are whole parts soon; but for parts of before the memory
   * was made smaller, which come in pieces.
   * False: what is held must be written down first.
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

  /** The part is full: it is another's to send, and `memory`, in which its bytes are, another's to give back. */
  handOn(): { bytes: Buffer; memory: Buffer<ArrayBuffer> } {
    const { bytes } = this;
    const memory = this.#buffer;
    this.#buffer = Buffer.alloc(0);
    this.#filled = 0;
    this.#isFast = performance.now() - this.#filledSinceMs < FAST_MS;
    this.#isFlushAsked = false;
    this.endFlush();
    return { bytes, memory };
  }

  /** What is asked for from now on is asked anew. */
  beginFlush(): void {
    this.#isFlushAsked = false;
  }

  /** Nothing is held that was to be written down. */
  endFlush(): void {
    this.endHold();
    this.#memory.flushed(this);
  }

  endHold(): void {
    clearTimeout(this.#holdTimer);
    this.#holdTimer = undefined;
  }

  /** It is written down, or nobody wants it: the memory goes back. */
  drop(): void {
    const { held } = this;
    this.#buffer = Buffer.alloc(0);
    this.#filled = 0;
    this.endFlush();
    if (held > 0) this.#memory.give(held);
  }

  close(): void {
    this.drop();
    this.#memory.leave(this);
  }
}
