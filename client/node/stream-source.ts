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
  /** A Node or web stream, or anything else that gives bytes. */
  stream: AsyncIterable<Uint8Array>;
  /** Name of the file. */
  name: string;
  /** Bytes; left out where the end is not known before it comes. */
  size?: number;
}

/** Holds what was read and not confirmed yet: as much as a chunk. */
export class StreamSource implements Source {
  readonly name: string;
  readonly type = '';
  readonly size: number | null;
  readonly lastModified = null;
  readonly isResumable = false;
  readonly #iterator: AsyncIterator<Uint8Array>;
  /** In order; the first one begins at `#start`. */
  #held: Uint8Array[] = [];
  #start = 0;
  #end = 0;
  #isOver = false;

  constructor({ stream, name, size }: UploadStream) {
    this.name = name;
    this.size = size ?? null;
    this.#iterator = stream[Symbol.asyncIterator]();
  }

  async read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    if (start < this.#start) throw new UploadError('ERR_SOURCE_UNREADABLE', { detail: 'A stream can be read only once.' });
    // One byte further at the end, where a stream that says its size must end.
    const wanted = end === this.size ? end + 1 : end;
    while (this.#end < wanted && !this.#isOver) await this.#pull();
    const { size } = this;
    if (size !== null && (this.#end > size || (this.#isOver && this.#end < size))) {
      throw new UploadError('ERR_SOURCE_CHANGED', { detail: 'The stream does not have as many bytes as was said.' });
    }
    return this.#copy(start, Math.min(end, this.#end));
  }

  release(offset: number): void {
    for (let first = this.#held[0]; first !== undefined && this.#start + first.length <= offset; first = this.#held[0]) {
      this.#held.shift();
      this.#start += first.length;
    }
  }

  async close(): Promise<void> {
    await this.#iterator.return?.();
  }

  async #pull(): Promise<void> {
    let next: IteratorResult<Uint8Array>;
    try {
      next = await this.#iterator.next();
    } catch (cause) {
      throw new UploadError('ERR_SOURCE_UNREADABLE', { detail: 'The stream failed.', cause });
    }
    if (next.done) this.#isOver = true;
    else if (next.value.length > 0) {
      this.#held.push(next.value);
      this.#end += next.value.length;
    }
  }

  #copy(start: number, end: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(Math.max(end - start, 0));
    let at = this.#start;
    for (const piece of this.#held) {
      const from = Math.max(start - at, 0);
      const to = Math.min(end - at, piece.length);
      if (from < to) bytes.set(piece.subarray(from, to), at + from - start);
      at += piece.length;
    }
    return bytes;
  }
}
