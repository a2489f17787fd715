import type { Platform, RequestBody, Source } from '../ports.ts';
import { checksumHeader, type RunningChecksum } from './checksum.ts';

/** A body up to this size is held in memory; what is larger is read while it is sent. A browser's chunk is never larger. */
const IN_MEMORY_BYTES = 32 * 1024 * 1024;
/** What is left for the last PATCH of a large body: its checksum goes ahead of it, so its bytes have been read before. */
const TAIL_BYTES = 1024 * 1024;
/** Of a checksum without a pause: some 2 ms on a phone. */
const PIECE_BYTES = 1024 * 1024;

/** Makes the bodies of one attempt's PATCHes from a source, and carries the checksum along with what is read. */
export class SourceReader {
  readonly #source: Source;
  readonly #checksum: RunningChecksum | undefined;
  readonly #platform: Pick<Platform, 'crc32' | 'breathe'>;
  #isOver = false;

  constructor(source: Source, checksum: RunningChecksum | undefined, platform: Pick<Platform, 'crc32' | 'breathe'>) {
    this.#source = source;
    this.#checksum = checksum;
    this.#platform = platform;
  }

  /** The attempt is over: a read that comes back later must not touch the checksum of the next one. */
  end(): void {
    this.#isOver = true;
  }

  /** @throws UploadError as `Source.read` */
  async slice(start: number, end: number): Promise<{ value: RequestBody; done: boolean }> {
    await this.#checksum?.seek(start, (from, to) => this.#read(from, to));
    this.#checksum?.mark();
    this.#source.release(start);
    const { size } = this.#source;
    if (size === null) return this.#sliceStream(start, end);
    let stop = Math.min(end, size);
    if (stop === size && stop - start > IN_MEMORY_BYTES && this.#checksum !== undefined) stop = size - TAIL_BYTES;
    return { value: await this.#body(start, stop), done: stop === size };
  }

  /** Of the whole file, where every byte up to `end` has been read; undefined without. */
  checksumHeader(end: number): string | undefined {
    const checksum = this.#checksum?.at(end);
    return checksum === undefined ? undefined : checksumHeader(checksum);
  }

  async #read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.#source.read(start, end);
    if (this.#isOver) throw new Error('The attempt is over.');
    return bytes;
  }

  /** Where the end is not known, one byte more than is sent tells whether there is more: a body that only ends the upload is spared. */
  async #sliceStream(start: number, end: number): Promise<{ value: RequestBody; done: boolean }> {
    const bytes = await this.#read(start, end + 1);
    const body = bytes.subarray(0, end - start);
    return { value: await this.#inMemory(start, body), done: bytes.length === body.length };
  }

  async #body(start: number, end: number): Promise<RequestBody> {
    if (end - start <= IN_MEMORY_BYTES) return this.#inMemory(start, await this.#read(start, end));
    return {
      size: end - start,
      read: async (from, to) => {
        const bytes = await this.#read(start + from, start + to);
        this.#checksum?.add(start + from, bytes);
        return bytes;
      },
    };
  }

  async #inMemory(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<RequestBody> {
    // A view on the whole is the whole: a browser sends it without a copy.
    const read = async (start: number, end: number) => (start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
    const body = { size: bytes.length, read };
    if (this.#checksum === undefined) return body;
    const { crc32, breathe } = this.#platform;
    let sum = 0;
    for (let start = 0; start < bytes.length; start += PIECE_BYTES) {
      if (start > 0) await breathe?.();
      sum = crc32(bytes.subarray(start, start + PIECE_BYTES), sum);
    }
    if (this.#isOver) throw new Error('The attempt is over.');
    this.#checksum.addKnown(offset, bytes.length, sum);
    return { ...body, crc32: sum };
  }
}
