// Received bytes that the store does not hold yet. They are copies, because lent buffers go back at the end of their write.
import { unlink } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { OpenFile } from '../../disk/open-file.ts';

const PIECE_BYTES = 256 * 1024;

/** Bytes [start, end) of an upload. */
export interface PendingBytes {
  readonly start: number;
  readonly end: number;
  append(buffers: readonly Buffer[]): Promise<void>;
  /** A stream of bytes [from, to) of the upload. */
  read(from: number, to: number): Readable;
  /** Drops the bytes before this offset, which the store holds. */
  dropBefore(offset: number): Promise<void>;
  close(): Promise<void>;
}

/** Pending bytes in memory, for stores that get each write at once. */
export class PendingMemory implements PendingBytes {
  #start: number;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(start: number) {
    this.#start = start;
  }

  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#start + this.#bytes.byteLength;
  }

  async append(buffers: readonly Buffer[]): Promise<void> {
    this.#bytes = Buffer.concat([this.#bytes, ...buffers]);
  }

  read(from: number, to: number): Readable {
    return Readable.from([this.#bytes.subarray(from - this.#start, to - this.#start)], { objectMode: false });
  }

  async dropBefore(offset: number): Promise<void> {
    this.#bytes = this.#bytes.subarray(offset - this.#start);
    this.#start = offset;
  }

  async close(): Promise<void> {}
}

/** Pending bytes in a file, for stores that get large slices: many slow senders and large slices take no memory. */
export class PendingFile implements PendingBytes {
  readonly #file: OpenFile;
  #start: number;
  #end: number;
  /** Position of byte `start` in the file. */
  #at = 0;

  private constructor(file: OpenFile, start: number) {
    this.#file = file;
    this.#start = start;
    this.#end = start;
  }

  static async open(path: string, start: number): Promise<PendingFile> {
    const file = await OpenFile.open(path, 'wx+', 0o640);
    // The file ends with its descriptor, also in a crash. That loses nothing: none of its bytes was acknowledged.
    await unlink(path);
    return new PendingFile(file, start);
  }

  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
  }

  async append(buffers: readonly Buffer[]): Promise<void> {
    for (const buffer of buffers) {
      for (let written = 0; written < buffer.byteLength; ) {
        const bytes = await this.#file.writev([buffer.subarray(written)], this.#at + this.#end - this.#start);
        written += bytes;
        this.#end += bytes;
      }
    }
  }

  read(from: number, to: number): Readable {
    return Readable.from(this.#pieces(this.#at + from - this.#start, this.#at + to - this.#start), { objectMode: false });
  }

  async dropBefore(offset: number): Promise<void> {
    this.#at += offset - this.#start;
    this.#start = offset;
    // An empty file is written from its start again, so that it does not grow.
    if (this.#start === this.#end) this.#at = 0;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async *#pieces(from: number, to: number): AsyncIterable<Buffer> {
    for (let at = from; at < to; ) {
      const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, to - at));
      const bytes = await this.#file.read(piece, 0, at);
      if (bytes === 0) throw new Error('The spool file ended early.');
      yield piece.subarray(0, bytes);
      at += bytes;
    }
  }
}
