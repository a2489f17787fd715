import type { Platform, RequestBody, Source } from '../ports.ts';
import { checksumHeader, type RunningChecksum } from './checksum.ts';
import type { SourceVerification } from './source-verification.ts';

/** A body up to this size is read into memory; a larger one is read while it is sent. A browser's chunks are never larger. */
const IN_MEMORY_BYTES = 32 * 1024 * 1024;
/** Bytes of a large body that are left for a last PATCH, whose headers carry the checksum of the whole file. */
const TAIL_BYTES = 1024 * 1024;
/** Bytes to checksum without a pause: about 2 ms on a phone. */
const PIECE_BYTES = 1024 * 1024;

export interface ReadableSource {
  readonly source: Source;
  /** Updated while bytes are read; undefined when checksums are off. */
  readonly checksum: RunningChecksum | undefined;
  /** Undefined for a source that cannot be read twice. */
  readonly verification: SourceVerification | undefined;
}

/** Reads the PATCH bodies of one attempt from a source, and updates the running checksum. */
export class SourceReader {
  readonly #source: Source;
  readonly #checksum: RunningChecksum | undefined;
  readonly #verification: SourceVerification | undefined;
  readonly #platform: Pick<Platform, 'crc32' | 'yieldToPage'>;
  #hasEnded = false;

  constructor({ source, checksum, verification }: ReadableSource, platform: Pick<Platform, 'crc32' | 'yieldToPage'>) {
    this.#source = source;
    this.#checksum = checksum;
    this.#verification = verification;
    this.#platform = platform;
  }

  /** Ends the attempt: a read that completes later must not change the checksum that the next attempt uses. */
  end(): void {
    this.#hasEnded = true;
  }

  /** The body of the next PATCH. Returns the last bytes only after the file was verified. @throws UploadError as `Source.read` */
  async slice(start: number, end: number): Promise<{ value: RequestBody; done: boolean }> {
    await this.#startAt(start);
    const { size } = this.#source;
    if (size === null) return this.#sliceStream(start, end);
    let stop = Math.min(end, size);
    if (stop === size && stop - start > IN_MEMORY_BYTES && this.#checksum !== undefined) stop = size - TAIL_BYTES;
    const verify = (read: number) => (read === size ? this.verify() : undefined);
    return { value: await this.#body(start, stop, verify), done: stop === size };
  }

  /** Like `slice`, but exactly these bytes and unverified: a signed part URL fixes the size. @throws UploadError as `Source.read` */
  async part(start: number, end: number): Promise<RequestBody> {
    await this.#startAt(start);
    return this.#body(start, end, () => {});
  }

  /** Verifies the file. Call before the upload is completed. @throws UploadError ERR_SOURCE_CHANGED, or as `Source.read` */
  async verify(): Promise<void> {
    const { size } = this.#source;
    if (size === null || this.#verification === undefined) return;
    // This attempt has not read the parts that an earlier attempt sent.
    if (this.#verification.rereadsWhole) await this.#checksum?.seek(size, (from, to) => this.#read(from, to));
    await this.#verification.verify(this.#checksum?.at(size), (from, to) => this.#read(from, to));
  }

  /** The checksum header of the first `end` bytes; undefined unless all of them have been read. */
  checksumHeader(end: number): string | undefined {
    const checksum = this.#checksum?.at(end);
    return checksum === undefined ? undefined : checksumHeader(checksum);
  }

  /** Moves to `start`. The server has every byte before it. */
  async #startAt(start: number): Promise<void> {
    await this.#checksum?.seek(start, (from, to) => this.#read(from, to));
    this.#checksum?.markConfirmed();
    this.#source.release(start);
  }

  async #read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.#source.read(start, end);
    if (this.#hasEnded) throw new Error('The attempt is over.');
    return bytes;
  }

  /** Reads one byte more than the chunk, to know whether the stream ends: this saves a request that only declares the length. */
  async #sliceStream(start: number, end: number): Promise<{ value: RequestBody; done: boolean }> {
    const bytes = await this.#read(start, end + 1);
    const body = bytes.subarray(0, end - start);
    return { value: await this.#inMemory(start, body), done: bytes.length === body.length };
  }

  /** @param onRead called before bytes are handed out, with the offset after the last of them */
  async #body(start: number, end: number, onRead: (end: number) => void | Promise<void>): Promise<RequestBody> {
    if (end - start <= IN_MEMORY_BYTES) {
      const body = await this.#inMemory(start, await this.#read(start, end));
      await onRead(end);
      return body;
    }
    return {
      size: end - start,
      read: async (from, to) => {
        const bytes = await this.#read(start + from, start + to);
        this.#checksum?.add(start + from, bytes);
        await onRead(start + to);
        return bytes;
      },
    };
  }

  async #inMemory(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<RequestBody> {
    // Returns the whole array itself when all of it is requested, so that a browser sends it without a copy.
    const read = async (start: number, end: number) => (start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
    const body = { size: bytes.length, read };
    if (this.#checksum === undefined) return body;
    const { crc32, yieldToPage } = this.#platform;
    let sum = 0;
    for (let start = 0; start < bytes.length; start += PIECE_BYTES) {
      if (start > 0) await yieldToPage?.();
      sum = crc32(bytes.subarray(start, start + PIECE_BYTES), sum);
    }
    if (this.#hasEnded) throw new Error('The attempt is over.');
    this.#checksum.addKnown(offset, bytes.length, sum);
    return { ...body, crc32: sum };
  }
}
