import type { StagedReader } from '../staging.ts';
import type { StoreAccess } from './store-access.ts';
import { StoreFault } from './store-fault.ts';

/** Reads a store's bytes by ranges. */
export class StoreReader implements StagedReader {
  readonly size: number;
  readonly #access: StoreAccess;
  readonly #name: string;

  constructor(access: StoreAccess, name: string, size: number) {
    this.#access = access;
    this.#name = name;
    this.size = size;
  }

  read(start: number, end: number): Promise<Buffer> {
    return collect(this.#range(start, Math.min(end, this.size)));
  }

  stream(start = 0): AsyncIterable<Buffer> {
    return this.#range(start, this.size);
  }

  async close(): Promise<void> {}

  /** @throws StoreFault when the store gives fewer bytes than it holds: a response that broke off may look like one that ended */
  async *#range(start: number, end: number): AsyncIterable<Buffer> {
    let at = start;
    if (start >= end) return;
    try {
      for await (const bytes of this.#access.range(this.#name, start, end)) {
        at += bytes.byteLength;
        yield bytes;
      }
    } catch (error) {
      throw error instanceof StoreFault ? error : new StoreFault('The store broke off in the middle of a read.', { cause: error });
    }
    if (at !== end) throw new StoreFault(`The store gave ${at - start} bytes of ${end - start}.`);
  }
}

/** Reads bytes in memory. */
export class MemoryReader implements StagedReader {
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get size(): number {
    return this.#bytes.byteLength;
  }

  async read(start: number, end: number): Promise<Buffer> {
    return this.#bytes.subarray(start, end);
  }

  async *stream(start = 0): AsyncIterable<Buffer> {
    if (start < this.size) yield this.#bytes.subarray(start);
  }

  async close(): Promise<void> {}
}

async function collect(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}
