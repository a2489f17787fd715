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
  /** A Node or web stream, or any other iterable of bytes. */
  stream: AsyncIterable<Uint8Array>;
  /** Name of the file. */
  name: string;
  /** Bytes; absent when the length is not known in advance. */
  size?: number;
}

/** Keeps the bytes that were read and are not confirmed yet: about one chunk. */
export class StreamSource implements Source {
  readonly name: string;
  readonly type = '';
  readonly size: number | null;
  readonly lastModified = null;
  readonly isResumable = false;
  readonly #iterator: AsyncIterator<Uint8Array>;
  /** In order. The first piece begins at `#start`. */
  #pieces: Uint8Array[] = [];
  #start = 0;
  #end = 0;
  #hasEnded = false;

  constructor({ stream, name, size }: UploadStream) {
    this.name = name;
    this.size = size ?? null;
    this.#iterator = stream[Symbol.asyncIterator]();
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
    await this.#iterator.return?.();
  }

  async #readPiece(): Promise<void> {
    let next: IteratorResult<Uint8Array>;
    try {
      next = await this.#iterator.next();
    } catch (cause) {
      throw new UploadError('ERR_SOURCE_UNREADABLE', { detail: 'The stream failed.', cause });
    }
    if (next.done) this.#hasEnded = true;
    else if (next.value.length > 0) {
      this.#pieces.push(next.value);
      this.#end += next.value.length;
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
