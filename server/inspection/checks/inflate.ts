/** Inflates parts of documents, with a limit that depends on the size of the document. */
import { Readable } from 'node:stream';
import { constants, createInflate, createInflateRaw, inflateRawSync } from 'node:zlib';
import { BrokenContainer, type ByteRanges, readAt } from './byte-ranges.ts';

/** Inspecting the content would exceed a limit. */
export class TooMuchInside extends BrokenContainer {}

/** The limit for any document; larger documents have a higher one. Takes some tenths of a second in another thread. */
const LEAST_BYTES = 64 * 1024 * 1024;
const BYTES_PER_BYTE = 16;
/** Enough packed bytes to show a beginning: the tables of a deflated block take less than 300. */
const PEEK_BYTES = 512;
/** Memory for one object at a time. Programs write its directory and its names near the beginning. */
const MAX_OBJECT_BYTES = 16 * 1024 * 1024;
const BLOCK_BYTES = 64 * 1024;

export interface Inflated {
  bytes: Buffer;
  /** True when the object has more bytes than `bytes`. */
  isCut: boolean;
}

/** Counts packed and unpacked bytes: a crafted directory may name the same bytes thousands of times. */
export class Inflater {
  #left: number;

  constructor(documentBytes: number) {
    this.#left = LEAST_BYTES + BYTES_PER_BYTE * documentBytes;
  }

  /** The first bytes, at least `enoughBytes` if there are so many. A broken part counts as empty. @throws TooMuchInside */
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

  /** The content, up to `maxBytes`. Broken content ends where it breaks. @throws TooMuchInside */
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

  /** Counts other work, which a crafted document may cause again and again, as bytes. @throws TooMuchInside */
  spend(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0) throw new TooMuchInside('It unpacks to more than a document of its size does.');
  }
}

function isBroken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('Z_');
}
