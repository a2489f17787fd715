import { UploadError } from '../../shared/errors.ts';
import type { Staging } from './staging.ts';

/** Staging fills the disk up to this, so that the ledger can still write down what became of the uploads. */
export const RESERVED_BYTES: number = 1024 * 1024;
const ASK_EVERY_MS = 1000;

/** How much room there is for staged bytes: asked now and then, and counted in between. */
export class FreeSpace {
  readonly #staging: Staging;
  #free = 0;
  #askedMs = Number.NEGATIVE_INFINITY;

  constructor(staging: Staging) {
    this.#staging = staging;
  }

  /** Whether so many bytes could come; nothing is taken. @throws UploadError 507 */
  async require(bytes: number): Promise<void> {
    await this.take(bytes);
    this.#free += bytes;
  }

  /** Before so many bytes are written. @throws UploadError 507 */
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

  /** The next time is asked anew: the last answer may be old. */
  askAgain(): void {
    this.#askedMs = Number.NEGATIVE_INFINITY;
  }
}
