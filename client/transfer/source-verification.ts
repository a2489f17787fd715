import { UploadError } from '../../shared/errors.ts';
import type { Platform, Source } from '../ports.ts';
import { fingerprintOf } from '../resume/journal.ts';
import type { Crc32 } from './checksum.ts';

/** Up to this size the whole file is read again, which takes a second or two on a phone. */
const REREAD_WHOLE_BYTES = 256 * 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;

/**
 * Detects that a file changed while it was sent, since the server would then store a mixture of two versions. Before the last bytes
 * are sent, samples of the file, or the whole file if it is small or the application asks for it, are read again and compared.
 */
export class SourceVerification {
  readonly #size: number;
  /** Fingerprint of the samples when the file was opened. */
  readonly #fingerprint: string;
  readonly rereadsWhole: boolean;
  readonly #platform: { crc32: Crc32; yieldToPage: Platform['yieldToPage'] };
  /** CRC-32 of the whole file after a successful verification. */
  #verified: number | undefined;

  /** @param rereadsWhole default: depends on the size */
  constructor(
    size: number,
    fingerprint: string,
    platform: Pick<Platform, 'crc32' | 'yieldToPage'>,
    readsWhole: boolean = size <= REREAD_WHOLE_BYTES,
  ) {
    this.#size = size;
    this.#fingerprint = fingerprint;
    this.#platform = platform;
    this.rereadsWhole = readsWhole;
  }

  /**
   * @param crc32 of all bytes that were read for sending; undefined when checksums are off, in which case only samples are compared
   * @throws UploadError ERR_SOURCE_CHANGED, or as `Source.read`
   */
  async verify(crc32: number | undefined, read: Source['read']): Promise<void> {
    // A repeated request for the verdict sends the last byte again; the file is verified already.
    if (crc32 !== undefined && crc32 === this.#verified) return;
    const fingerprint = await fingerprintOf({ size: this.#size, read }, this.#platform.crc32);
    const isSame =
      fingerprint === this.#fingerprint && (crc32 === undefined || !this.rereadsWhole || (await this.#checksum(read)) === crc32);
    if (!isSame) throw new UploadError('ERR_SOURCE_CHANGED', { detail: 'It was changed while it was being sent.' });
    this.#verified = crc32;
  }

  async #checksum(read: Source['read']): Promise<number> {
    const { crc32, yieldToPage } = this.#platform;
    let sum = 0;
    for (let start = 0; start < this.#size; start += PIECE_BYTES) {
      if (start > 0) await yieldToPage?.();
      sum = crc32(await read(start, Math.min(start + PIECE_BYTES, this.#size)), sum);
    }
    return sum;
  }
}
