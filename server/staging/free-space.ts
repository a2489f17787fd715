import { UploadError } from '../../shared/errors.ts';
import type { Staging } from './staging.ts';

/** Staging leaves this much of the disk free, so that the ledger can still write verdicts. */
export const RESERVED_BYTES: number = 1024 * 1024;
const ASK_EVERY_MS = 1000;
/** An answer that was asked for ahead is used for this long. */
const AHEAD_MS = 100;

/** Free space for staged bytes: the disk is asked at intervals, and writes are subtracted in between. */
export class FreeSpace {
  readonly #staging: Staging;
  #free = 0;
  #askedMs = Number.NEGATIVE_INFINITY;
  #asking: { atMs: number; answer: Promise<number> } | undefined;

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
      const { atMs, answer } = this.#takeAnswer();
      this.#free = (await answer) - bytes;
      this.#askedMs = atMs;
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

  /** Like `askAgain`, and asks at once, for a body whose first bytes will come soon. */
  askAhead(): void {
    this.askAgain();
    this.#asking = this.#ask();
    // The next call reports the error.
    this.#asking.answer.catch(() => undefined);
  }

  #takeAnswer(): { atMs: number; answer: Promise<number> } {
    const asking = this.#asking;
    this.#asking = undefined;
    return asking !== undefined && performance.now() - asking.atMs < AHEAD_MS ? asking : this.#ask();
  }

  #ask(): { atMs: number; answer: Promise<number> } {
    return { atMs: performance.now(), answer: this.#staging.freeBytes() };
  }
}
