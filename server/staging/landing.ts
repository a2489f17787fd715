// Memory that lifted bodies are read into. Slow clients share one buffer, and their bytes are copied out of it at once, into small blocks
// that are used again. A fast client gets two leased buffers: the connection reads into one while the other is written. What was written
// is used again from the front, while the processor's cache still has it.
// A fast client that stalls keeps its two buffers until it resumes or is cut off. While no buffers are left, all other clients share one.

import { countYoungBytes } from '../runtime/young-garbage.ts';

/** Node reads the same amount at once. */
const SHARED_BYTES = 64 * 1024;
/** Room for several writes. With 512 KiB, a connection that is faster than its writes stops reading between them. */
const LEASED_BYTES = 1024 * 1024;
/** The least free space for a read. */
const LEAST_ROOM = 64 * 1024;
/** 32 MiB in all. */
const MOST_LEASED = 32;
/** A slow client's read rarely brings more. */
const BLOCK_BYTES = 4 * 1024;
const SLAB_BLOCKS = 64;
/** 4 MiB in all. */
const MOST_SLABS = 16;

interface Leased {
  memory: Buffer;
  /** Views of this memory that are not released yet. */
  views: number;
}

/** The buffers of all connections. */
export class LandingBuffers {
  /** Emptied before the next read, so several connections can wait for a read into it. */
  readonly shared: Buffer = Buffer.allocUnsafeSlow(SHARED_BYTES);
  readonly #free: Leased[] = [];
  #made = 0;
  /** The blocks of each slab, in their order. */
  readonly #slabs = new Map<ArrayBufferLike, readonly Buffer[]>();
  readonly #freeBlocks: Buffer[] = [];

  /** Copies bytes into a block if one is free and large enough. Node's own small buffers would keep 64 KiB alive for each of them. */
  copy(bytes: Buffer): Buffer {
    if (bytes.byteLength > BLOCK_BYTES) return unpooledCopy(bytes);
    if (this.#freeBlocks.length === 0 && this.#slabs.size < MOST_SLABS) this.#cutSlab();
    const block = this.#freeBlocks.pop();
    if (block === undefined) return unpooledCopy(bytes);
    bytes.copy(block);
    return block.subarray(0, bytes.byteLength);
  }

  /** Takes the memory back if it is a block. */
  giveBlock({ buffer, byteOffset }: Buffer): void {
    const block = this.#slabs.get(buffer)?.[byteOffset / BLOCK_BYTES];
    if (block !== undefined) this.#freeBlocks.push(block);
  }

  #cutSlab(): void {
    const slab = Buffer.allocUnsafeSlow(SLAB_BLOCKS * BLOCK_BYTES);
    const blocks = Array.from({ length: SLAB_BLOCKS }, (_, index) => slab.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES));
    this.#slabs.set(slab.buffer, blocks);
    this.#freeBlocks.push(...blocks);
  }

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

/** The buffers of one connection. */
export class Landing {
  readonly #buffers: LandingBuffers;
  #pair: [Leased, Leased] | undefined;
  #current: 0 | 1 = 0;
  #position = 0;
  #isLeaving = false;
  /** Whether the next read goes into the shared buffer. */
  #isShared = true;

  constructor(buffers: LandingBuffers) {
    this.#buffers = buffers;
  }

  /** The memory for the next read. Node asks right after each read and keeps the answer while the connection is paused. */
  next(): Buffer {
    this.#isShared = this.#pair === undefined || this.#isLeaving;
    this.#giveBack();
    if (this.#pair === undefined || this.#isShared) return this.#buffers.shared;
    const { memory, views } = this.#pair[this.#current];
    // Starts again at the front, because memory that was used just now is in the processor's cache.
    if (views === 0) this.#position = 0;
    return memory.subarray(this.#position);
  }

  get isLeased(): boolean {
    return this.#pair !== undefined && !this.#isLeaving;
  }

  get isIdle(): boolean {
    return this.#pair?.every(({ views }) => views === 0) ?? true;
  }

  /** True when a read would overwrite bytes that are not written yet. */
  get isFull(): boolean {
    return this.isLeased && this.#position === 0 && (this.#pair?.[this.#current].views ?? 0) > 0;
  }

  lease(): void {
    this.#isLeaving = false;
    this.#pair ??= this.#buffers.take();
  }

  /** Uses the shared buffer from the next read on. */
  leave(): void {
    this.#isLeaving = true;
  }

  /** Call when the connection is closed. */
  close(): void {
    this.#isLeaving = true;
    this.#isShared = true;
    this.#giveBack();
  }

  /** Returns true for bytes in leased memory: they stay there until `release`. */
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

  /** The bytes in memory that does not change before `release`: where they are, or a copy. */
  hold(bytes: Buffer): Buffer {
    return this.keep(bytes) ? bytes : this.#buffers.copy(bytes);
  }

  release(views: readonly Buffer[]): void {
    for (const view of views) {
      const leased = this.#find(view.buffer);
      if (leased !== undefined) leased.views -= 1;
      else this.#buffers.giveBlock(view);
    }
    this.#giveBack();
  }

  #find(memory: ArrayBufferLike): Leased | undefined {
    return this.#pair?.find((leased) => leased.memory.buffer === memory);
  }

  /** Returns the buffers to the pool once nothing reads into them and all their bytes are written. */
  #giveBack(): void {
    if (this.#pair === undefined || !this.#isLeaving || !this.#isShared || this.#pair.some(({ views }) => views > 0)) return;
    this.#buffers.give(this.#pair);
    this.#pair = undefined;
    this.#current = 0;
    this.#position = 0;
  }
}

/** A copy with memory of its own. */
export function unpooledCopy(bytes: Buffer): Buffer {
  countYoungBytes(bytes.byteLength);
  const copy = Buffer.allocUnsafeSlow(bytes.byteLength);
  bytes.copy(copy);
  return copy;
}
