import { UploadError } from '../../shared/errors.ts';
import type { Staging } from './staging.ts';

/** Staging leaves this much of the disk free, so that the ledger can still write verdicts. */
export const RESERVED_BYTES: number = 1024 * 1024;
const ASK_EVERY_MS = 1000;

/** Free space for staged bytes: the disk is asked at intervals, and writes are subtracted in between. */
export class FreeSpace {
  readonly #staging: Staging;
  #free = 0;
  #askedMs = Number.NEGATIVE_INFINITY;

  constructor(staging: Staging) {
    this.#staging = staging;
  }

  /** Checks that this many bytes could be stored, without subtracting them. @throws UploadError 507 */
  async require(bytes: number): Promise<void> {
    await this.take(bytes);
    this.#free += bytes;
  }

  /** Subtracts bytes that are about to be written. @throws UploadError 507 */
  async take(bytes: number): Promise<void> {
    this.#free -= bytes;
    if (this.#free < RESERVED_BYTES || performance.now() - this.#askedMs > ASK_EVERY_MS) {
      this.#free = (await this.#staging.freeBytes()) - bytes;
      this.#askedMs = performance.now();
    }
    if (this.#free < RESERVED_BYTES) {
      this.askAgain();
      throw new UploadError('ERR_NO_SPACE', { retryAfterSeconds: 30 });
    }
  }

  /** Makes the next call ask the disk, because the last answer may be old. */
  askAgain(): void {
    this.#askedMs = Number.NEGATIVE_INFINITY;
  }
}
