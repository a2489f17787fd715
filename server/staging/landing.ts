// Where bytes land. Who is slow shares one buffer with all others, and what came is copied out of it at once. Who is fast gets two
// that are lent on to the writes: one is read into while the other is written. They are small enough to stay in the cache.
// Who stalls in the middle keeps two until it goes on or is cut; when the pool is empty by that, others are read as if they were slow.

/** As Node reads at once by itself. */
const SHARED_BYTES = 64 * 1024;
const LEASED_BYTES = 512 * 1024;
/** Read no less than this at once. */
const LEAST_ROOM = 64 * 1024;
/** In all, 32 MiB. */
const MOST_LEASED = 64;

interface Leased {
  memory: Buffer;
  /** Views of it that are not released yet. */
  views: number;
}

/** For all connections of a server. */
export class LandingBuffers {
  /** Read out before anything else can be read: also while others wait to be read into it. */
  readonly shared: Buffer = Buffer.allocUnsafeSlow(SHARED_BYTES);
  readonly #free: Leased[] = [];
  #made = 0;

  take(): [Leased, Leased] | undefined {
    while (this.#free.length < 2 && this.#made < MOST_LEASED) {
      this.#made += 1;
      this.#free.push({ memory: Buffer.allocUnsafeSlow(LEASED_BYTES), views: 0 });
    }
    const [first, second] = [this.#free.pop(), this.#free.pop()];
    if (first !== undefined && second !== undefined) return [first, second];
    if (first !== undefined) this.#free.push(first);
    return undefined;
  }

  give(pair: readonly Leased[]): void {
    this.#free.push(...pair);
  }
}

/** For one connection. */
export class Landing {
  readonly #buffers: LandingBuffers;
  #pair: [Leased, Leased] | undefined;
  #current: 0 | 1 = 0;
  #position = 0;
  #isLeaving = false;
  /** Where the next read goes. */
  #isShared = true;

  constructor(buffers: LandingBuffers) {
    this.#buffers = buffers;
  }

  /** Where the next read goes, asked right after the last one; it stands also while nothing is read. */
  next(): Buffer {
    this.#isShared = this.#pair === undefined || this.#isLeaving;
    this.#giveBack();
    if (this.#pair === undefined || this.#isShared) return this.#buffers.shared;
    const { memory, views } = this.#pair[this.#current];
    // What was written already is in the cache.
    if (views === 0) this.#position = 0;
    return memory.subarray(this.#position);
  }

  get isLeased(): boolean {
    return this.#pair !== undefined && !this.#isLeaving;
  }

  get isIdle(): boolean {
    return this.#pair?.every(({ views }) => views === 0) ?? true;
  }

  /** Whether a read would overwrite what is still to be written. */
  get isFull(): boolean {
    return this.isLeased && this.#position === 0 && (this.#pair?.[this.#current].views ?? 0) > 0;
  }

  lease(): void {
    this.#isLeaving = false;
    this.#pair ??= this.#buffers.take();
  }

  /** From the next read on. */
  leave(): void {
    this.#isLeaving = true;
  }

  /** The connection is closed: nothing lands any more. */
  close(): void {
    this.#isLeaving = true;
    this.#isShared = true;
    this.#giveBack();
  }

  /** Whether it came into leased memory: then it stays there until it is released. */
  keep(view: Buffer): boolean {
    const { buffer, byteOffset, byteLength } = view;
    const leased = this.#find(buffer);
    if (leased === undefined) return false;
    leased.views += 1;
    this.#position = byteOffset + byteLength;
    if (leased.memory.byteLength - this.#position < LEAST_ROOM) {
      this.#current = this.#current === 0 ? 1 : 0;
      this.#position = 0;
    }
    return true;
  }

  release(views: readonly Buffer[]): void {
    for (const { buffer } of views) {
      const leased = this.#find(buffer);
      if (leased !== undefined) leased.views -= 1;
    }
    this.#giveBack();
  }

  #find(memory: ArrayBufferLike): Leased | undefined {
    return this.#pair?.find((leased) => leased.memory.buffer === memory);
  }

  /** Not before the last read into it is over, and the last write out of it. */
  #giveBack(): void {
    if (this.#pair === undefined || !this.#isLeaving || !this.#isShared || this.#pair.some(({ views }) => views > 0)) return;
    this.#buffers.give(this.#pair);
    this.#pair = undefined;
    this.#current = 0;
    this.#position = 0;
  }
}
