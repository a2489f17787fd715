/** Inflates parts of documents, never more than a document of its size may ask for. */
import { Readable } from 'node:stream';
import { constants, createInflate, createInflateRaw, inflateRawSync } from 'node:zlib';
import { BrokenContainer, type ByteRanges, readAt } from './byte-ranges.ts';

/** What is to be looked at is more than can be. */
export class TooMuchInside extends BrokenContainer {}

/** So much any document may ask for; a large one more. Some tenths of a second of another thread's time. */
const LEAST_BYTES = 64 * 1024 * 1024;
const BYTES_PER_BYTE = 16;
/** Packed bytes that surely show a beginning: the tables of one deflated block take less than 300. */
const PEEK_BYTES = 512;
/** Of one object at a time, in memory. Its directory and the names in it stand near the beginning, as programs write them. */
const MAX_OBJECT_BYTES = 16 * 1024 * 1024;
const BLOCK_BYTES = 64 * 1024;

export interface Inflated {
  bytes: Buffer;
  /** There is more of it. */
  isCut: boolean;
}

/** Packed and unpacked bytes both count: a crafted directory may name the same ones thousands of times. */
export class Inflater {
  #left: number;

  constructor(documentBytes: number) {
    this.#left = LEAST_BYTES + BYTES_PER_BYTE * documentBytes;
  }

  /** The first bytes, some hundred where there are so many. What is broken holds nothing. @throws TooMuchInside */
  async beginning(packed: ByteRanges, enoughBytes: number): Promise<Buffer> {
    const first = await readAt(packed, 0, PEEK_BYTES);
    this.spend(first.length);
    try {
      const bytes = inflateRawSync(first, { finishFlush: constants.Z_SYNC_FLUSH });
      this.spend(bytes.length);
      if (bytes.length >= enoughBytes || packed.length <= PEEK_BYTES) return bytes;
    } catch (error) {
      if (isBroken(error)) return Buffer.alloc(0);
      throw error;
    }
    return (await this.object(packed, 'raw', enoughBytes)).bytes;
  }

  /** As much of it as is held in memory. What is broken ends where it is. @throws TooMuchInside */
  async object(packed: ByteRanges, wrapping: 'raw' | 'zlib', maxBytes: number = MAX_OBJECT_BYTES): Promise<Inflated> {
    const options = { finishFlush: constants.Z_SYNC_FLUSH, chunkSize: BLOCK_BYTES };
    const inflate = wrapping === 'raw' ? createInflateRaw(options) : createInflate(options);
    const source = Readable.from(this.#blocks(packed), { objectMode: false, highWaterMark: BLOCK_BYTES });
    source.on('error', (error) => inflate.destroy(error));
    source.pipe(inflate);
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      for await (const chunk of inflate as AsyncIterable<Buffer>) {
        this.spend(chunk.length);
        chunks.push(chunk);
        length += chunk.length;
        if (length >= maxBytes) return { bytes: Buffer.concat(chunks), isCut: true };
      }
    } catch (error) {
      if (!isBroken(error)) throw error;
    } finally {
      source.destroy();
    }
    return { bytes: Buffer.concat(chunks), isCut: false };
  }

  async *#blocks(packed: ByteRanges): AsyncGenerator<Buffer, void, void> {
    for (let at = 0; at < packed.length; at += BLOCK_BYTES) {
      const block = await readAt(packed, at, at + BLOCK_BYTES);
      if (block.length === 0) return;
      this.spend(block.length);
      yield block;
    }
  }

  /** Other work that a crafted document may ask for again and again counts as so many bytes. @throws TooMuchInside */
  spend(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0) throw new TooMuchInside('It unpacks to more than a document of its size does.');
  }
}

function isBroken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('Z_');
}
