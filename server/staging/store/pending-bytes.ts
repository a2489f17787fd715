// Bytes that came and are not with the store yet: copies, since what was lent is another's again when its write has ended.
import { unlink } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { OpenFile } from '../../disk/open-file.ts';

const PIECE_BYTES = 256 * 1024;

/** Bytes [start, end) of an upload. */
export interface PendingBytes {
  readonly start: number;
  readonly end: number;
  append(buffers: readonly Buffer[]): Promise<void>;
  /** Bytes [from, to) of the upload, to be read once. */
  read(from: number, to: number): Readable;
  /** What comes before is with the store. */
  dropBefore(offset: number): Promise<void>;
  close(): Promise<void>;
}

/** For what is handed on at once. */
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

/** In a file, for what is gathered before: however many senders are slow, and however large a part has to be, it takes no memory. */
export class PendingFile implements PendingBytes {
  readonly #file: OpenFile;
  #start: number;
  #end: number;
  /** Where byte `start` is in the file. */
  #at = 0;

  private constructor(file: OpenFile, start: number) {
    this.#file = file;
    this.#start = start;
    this.#end = start;
  }

  static async open(path: string, start: number): Promise<PendingFile> {
    const file = await OpenFile.open(path, 'wx+', 0o640);
    // It goes with its descriptor, also in a crash: nothing in it was acknowledged.
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
    // The file begins anew where nothing is left in it: it never grows beyond what is gathered.
    if (this.#start === this.#end) this.#at = 0;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async *#pieces(from: number, to: number): AsyncIterable<Buffer> {
    for (let at = from; at < to; ) {
      const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, to - at));
      const bytes = await this.#file.read(piece, 0, at);
      if (bytes === 0) throw new Error('What was gathered ends early.');
      yield piece.subarray(0, bytes);
      at += bytes;
    }
  }
}
