import { UploadError } from '../../shared/errors.ts';
import type { Platform, Source } from '../ports.ts';
import { fingerprintOf } from '../resume/journal.ts';
import type { Crc32 } from './checksum.ts';

/** Up to this size a file is read again whole: a second or two on a phone, against hours for one that arrived as a mixture. */
const CHEAP_BYTES = 256 * 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;

/**
 * A file that is written to while it is sent would arrive as a mixture of two. Before its last bytes leave, samples of it are
 * read again and, where that is cheap or asked for, all of it, and compared with what was read before.
 */
export class SourceVerification {
  readonly #size: number;
  /** Of the samples, when it was opened. */
  readonly #fingerprint: string;
  readonly readsWhole: boolean;
  readonly #platform: { crc32: Crc32; breathe: Platform['breathe'] };
  /** The CRC-32 of all of it, once it was read twice with the same one. */
  #verified: number | undefined;

  /** @param readsWhole by its size where undefined */
  constructor(size: number, fingerprint: string, platform: Pick<Platform, 'crc32' | 'breathe'>, readsWhole: boolean = size <= CHEAP_BYTES) {
    this.#size = size;
    this.#fingerprint = fingerprint;
    this.#platform = platform;
    this.readsWhole = readsWhole;
  }

  /**
   * @param crc32 of all that was read for sending; undefined where none was carried along: then samples have to do
   * @throws UploadError ERR_SOURCE_CHANGED, or as `Source.read`
   */
  async verify(crc32: number | undefined, read: Source['read']): Promise<void> {
    // Asking for the verdict again sends the last byte again.
    if (crc32 !== undefined && crc32 === this.#verified) return;
    const fingerprint = await fingerprintOf({ size: this.#size, read }, this.#platform.crc32);
    const isSame = fingerprint === this.#fingerprint && (crc32 === undefined || !this.readsWhole || (await this.#checksum(read)) === crc32);
    if (!isSame) throw new UploadError('ERR_SOURCE_CHANGED', { detail: 'It was changed while it was sent.' });
    this.#verified = crc32;
  }

  async #checksum(read: Source['read']): Promise<number> {
    const { crc32, breathe } = this.#platform;
    let sum = 0;
    for (let start = 0; start < this.#size; start += PIECE_BYTES) {
      if (start > 0) await breathe?.();
      sum = crc32(await read(start, Math.min(start + PIECE_BYTES, this.#size)), sum);
    }
    return sum;
  }
}
