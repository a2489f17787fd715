import type { Platform, RequestBody, Source } from '../ports.ts';
import { checksumHeader, type RunningChecksum } from './checksum.ts';
import type { SourceVerification } from './source-verification.ts';

/** A body up to this size is held in memory; what is larger is read while it is sent. A browser's chunk is never larger. */
const IN_MEMORY_BYTES = 32 * 1024 * 1024;
/** What is left for the last PATCH of a large body: its checksum goes ahead of it, so its bytes have been read before. */
const TAIL_BYTES = 1024 * 1024;
/** Of a checksum without a pause: some 2 ms on a phone. */
const PIECE_BYTES = 1024 * 1024;

export interface ReadableSource {
  readonly source: Source;
  /** Carried along with what is read; undefined where none is wanted. */
  readonly checksum: RunningChecksum | undefined;
  /** Undefined for what can't be read twice. */
  readonly verification: SourceVerification | undefined;
}

/** Makes the bodies of one attempt's PATCHes from a source, and carries the checksum along with what is read. */
export class SourceReader {
  readonly #source: Source;
  readonly #checksum: RunningChecksum | undefined;
  readonly #verification: SourceVerification | undefined;
  readonly #platform: Pick<Platform, 'crc32' | 'breathe'>;
  #isOver = false;

  constructor({ source, checksum, verification }: ReadableSource, platform: Pick<Platform, 'crc32' | 'breathe'>) {
    this.#source = source;
    this.#checksum = checksum;
    this.#verification = verification;
    this.#platform = platform;
  }

  /** The attempt is over: a read that comes back later must not touch the checksum of the next one. */
  end(): void {
    this.#isOver = true;
  }

  /** Of the last bytes: not before it is clear that the file is still the same. @throws UploadError as `Source.read` */
  async slice(start: number, end: number): Promise<{ value: RequestBody; done: boolean }> {
    await this.#begin(start);
    const { size } = this.#source;
    if (size === null) return this.#sliceStream(start, end);
    let stop = Math.min(end, size);
    if (stop === size && stop - start > IN_MEMORY_BYTES && this.#checksum !== undefined) stop = size - TAIL_BYTES;
    const verify = (read: number) => (read === size ? this.verify() : undefined);
    return { value: await this.#body(start, stop, verify), done: stop === size };
  }

  /** As `slice`, but exactly these bytes, and unverified: an address is for a part of its size. @throws UploadError as `Source.read` */
  async part(start: number, end: number): Promise<RequestBody> {
    await this.#begin(start);
    return this.#body(start, end, () => {});
  }

  /** Before the server is told that all of it was sent. @throws UploadError ERR_SOURCE_CHANGED, or as `Source.read` */
  async verify(): Promise<void> {
    const { size } = this.#source;
    if (size === null || this.#verification === undefined) return;
    // Parts that were sent by an earlier attempt are not read by this one.
    if (this.#verification.readsWhole) await this.#checksum?.seek(size, (from, to) => this.#read(from, to));
    await this.#verification.verify(this.#checksum?.at(size), (from, to) => this.#read(from, to));
  }

  /** Of the whole file, where every byte up to `end` has been read; undefined without. */
  checksumHeader(end: number): string | undefined {
    const checksum = this.#checksum?.at(end);
    return checksum === undefined ? undefined : checksumHeader(checksum);
  }

  /** What comes before is with the server. */
  async #begin(start: number): Promise<void> {
    await this.#checksum?.seek(start, (from, to) => this.#read(from, to));
    this.#checksum?.mark();
    this.#source.release(start);
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

  /** @param onRead up to where the bytes about to be handed out reach */
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
