import type { Readable } from 'node:stream';
import { isUint8Array } from 'node:util/types';
import { UploadError } from '../../shared/errors.ts';
import type { Source } from '../ports.ts';

/**
 * A source that can be read once. Its upload survives broken connections, but not the end of this process.
 *
 * @example
 * ```ts
 * import { upload, type UploadStream } from 'landfall';
 *
 * const typed: UploadStream = { stream: process.stdin, name: 'dump.tar' };
 * await upload(typed, { endpoint: 'https://uploads.example/files' }).done;
 * ```
 */
export interface UploadStream {
  /** A Node or web stream, or any other async iterable of bytes. When the upload ends early, the stream is destroyed or cancelled. */
  stream: AsyncIterable<Uint8Array>;
  /** Name of the file. */
  name: string;
  /** Bytes, a whole number; absent when the length is not known in advance. */
  size?: number;
}

/** @throws TypeError when the stream cannot be read, or the size is no number of bytes */
export function checkStream({ stream, size }: UploadStream): void {
  if (typeof stream?.[Symbol.asyncIterator] !== 'function')
    throw new TypeError('`stream` must be a Node or web stream, or another async iterable of bytes.');
  if (stream instanceof ReadableStream && stream.locked) throw new TypeError('`stream` is locked, because something else reads it.');
  const bytes: unknown = size ?? 0;
  if (!Number.isSafeInteger(bytes) || Number(bytes) < 0) throw new TypeError('`size` must be a whole number of bytes of at least 0.');
}

/** The streams that an upload has begun to read. Another upload would store only the rest of the bytes. */
const opened = new WeakSet<object>();

/** Reads a stream piece by piece. */
interface PieceReader {
  next(): Promise<{ done?: boolean | undefined; value?: unknown }>;
  /** Ends the stream, without waiting for a `next()` that may never settle. */
  stop(): void;
}

function readerOf(stream: AsyncIterable<Uint8Array>): PieceReader {
  // The iterator of a web stream cannot be stopped while it waits for a piece; a reader can.
  if (stream instanceof ReadableStream) {
    const reader = stream.getReader();
    return { next: () => reader.read(), stop: () => void reader.cancel().catch(() => {}) };
  }
  const iterator = stream[Symbol.asyncIterator]();
  return {
    next: async () => iterator.next(),
    stop: () => {
      // `return` waits for the present `next` of a Node stream; destroying the stream ends both.
      (stream as Partial<Readable>).destroy?.();
      void Promise.resolve(iterator.return?.()).catch(() => {});
    },
  };
}

/** Keeps the bytes that were read and are not confirmed yet: about one chunk. */
export class StreamSource implements Source {
  readonly name: string;
  readonly type = '';
  readonly size: number | null;
  readonly lastModified = null;
  readonly isResumable = false;
  readonly #reader: PieceReader;
  /** In order. The first piece begins at `#start`. */
  #pieces: Uint8Array[] = [];
  #start = 0;
  #end = 0;
  #hasEnded = false;

  /** @throws UploadError ERR_SOURCE_UNREADABLE when the stream was opened before */
  constructor({ stream, name, size }: UploadStream) {
    if (opened.has(stream)) throw new UploadError('ERR_SOURCE_UNREADABLE', { detail: 'A stream can be read only once.' });
    opened.add(stream);
    this.name = name;
    this.size = size ?? null;
    this.#reader = readerOf(stream);
  }

  async read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    if (start < this.#start) throw new UploadError('ERR_SOURCE_UNREADABLE', { detail: 'A stream can be read only once.' });
    // Reads one byte beyond the declared size, to check that the stream ends there.
    const wanted = end === this.size ? end + 1 : end;
    while (this.#end < wanted && !this.#hasEnded) await this.#readPiece();
    const { size } = this;
    if (size !== null && (this.#end > size || (this.#hasEnded && this.#end < size))) {
      throw new UploadError('ERR_SOURCE_CHANGED', { detail: 'The stream does not have the declared number of bytes.' });
    }
    return this.#copy(start, Math.min(end, this.#end));
  }

  release(offset: number): void {
    for (let first = this.#pieces[0]; first !== undefined && this.#start + first.length <= offset; first = this.#pieces[0]) {
      this.#pieces.shift();
      this.#start += first.length;
    }
  }

  async close(): Promise<void> {
    this.#reader.stop();
  }

  async #readPiece(): Promise<void> {
    const { done, value } = await this.#reader.next().catch((cause) => {
      throw new UploadError('ERR_SOURCE_UNREADABLE', { detail: 'The stream failed.', cause });
    });
    if (done) this.#hasEnded = true;
    else if (!isUint8Array(value)) {
      throw new UploadError('ERR_SOURCE_UNREADABLE', {
        detail: `The stream yielded a value of the type ${typeof value} instead of a Uint8Array.`,
      });
    } else if (value.length > 0) {
      this.#pieces.push(value);
      this.#end += value.length;
    }
  }

  #copy(start: number, end: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(Math.max(end - start, 0));
    let at = this.#start;
    for (const piece of this.#pieces) {
      const from = Math.max(start - at, 0);
      const to = Math.min(end - at, piece.length);
      if (from < to) bytes.set(piece.subarray(from, to), at + from - start);
      at += piece.length;
    }
    return bytes;
  }
}
