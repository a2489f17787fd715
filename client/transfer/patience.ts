import { UploadError } from '../../shared/errors.ts';
import type { WaitingReason } from '../handle/snapshot.ts';
import type { Tracker } from '../handle/tracker.ts';
import type { Surroundings } from '../ports.ts';
import { Ending } from './failure.ts';
import { pause } from './pause.ts';
import { Backoff, Budget } from './retry.ts';

/** A server that answers "not yet" sooner than this would be asked in a tight loop. */
const ASK_AGAIN_MS = 1000;
/** A device without a network is asked so often whether that is still true: some never say that they are back. */
const OFFLINE_RETRY_MS = 30_000;
/** After silence longer than every timer the device slept: that time was nobody's fault. */
const LONGEST_SILENCE_MS = 150_000;

/** How long one upload waits and goes on trying. */
export class Patience {
  readonly #budget: Budget;
  readonly #backoff = new Backoff();
  readonly #surroundings: Surroundings;
  readonly #tracker: Tracker;
  /** On the clock of `performance.now()`. */
  #begunAt = 0;
  #movedAt = 0;
  /** Bytes left since the server last said what it has: it may have more than we know. */
  #mayHaveMore = false;
  /** It has all but the byte that is held back: there is no more to have. */
  #isComplete = false;
  #wake: (() => void) | undefined;

  constructor(budgetMs: number, surroundings: Surroundings, tracker: Tracker) {
    this.#budget = new Budget(budgetMs);
    this.#surroundings = surroundings;
    this.#tracker = tracker;
  }

  /** An attempt begins. */
  begin(): void {
    this.#begunAt = performance.now();
    this.#movedAt = this.#begunAt;
    this.#mayHaveMore = false;
  }

  /** Bytes are leaving. */
  moved(): void {
    this.#movedAt = performance.now();
    this.#mayHaveMore = !this.#isComplete;
  }

  /** The server said what it has. False when that is nothing new, something is missing, and the budget is spent. */
  heard(hasProgressed: boolean, isComplete: boolean): boolean {
    this.#movedAt = performance.now();
    this.#mayHaveMore = false;
    this.#isComplete = isComplete;
    if (!hasProgressed) return isComplete || !this.#budget.isSpent;
    this.#budget.progressed();
    this.#backoff.progressed();
    return true;
  }

  /** The attempt failed. */
  failed(): void {
    const silence = Math.min(performance.now() - this.#movedAt, LONGEST_SILENCE_MS);
    this.#budget.spend(this.#movedAt - this.#begunAt + silence);
  }

  /**
   * Resolves when the next attempt is due.
   *
   * @param limitMs where hope is less than the budget says
   * @throws Ending when the budget is spent, or the reason of the signal
   */
  async wait(reason: WaitingReason, error: UploadError, signal: AbortSignal, limitMs: number = Number.POSITIVE_INFINITY): Promise<void> {
    const isOffline = reason === 'offline';
    // Others of this sender come to their end first, however long they take.
    const isFree = isOffline || reason === 'too-many';
    // What the server has is known only when it was asked again.
    if (!isFree && this.#budget.isSpentOf(limitMs) && !this.#mayHaveMore) throw new Ending('failed', gaveUp(error));
    const { retryAfterSeconds } = error;
    const ms = isOffline ? OFFLINE_RETRY_MS : this.#backoff.next(reason, retryAfterSeconds);
    this.#tracker.move({ state: 'waiting', waiting: isOffline ? { reason } : { reason, until: Date.now() + ms }, error });
    const begunMs = performance.now();
    await pause(ms, signal, (wake) => {
      this.#wake = wake;
      // A server that said when is not asked before; only the user may.
      const woken = () => {
        // Another network: what failed on the last one says nothing of it.
        this.#backoff.progressed();
        wake();
      };
      const forget = retryAfterSeconds === undefined ? this.#surroundings.onWake(woken) : () => {};
      return () => {
        this.#wake = undefined;
        forget();
      };
    });
    // Not what the device slept beyond it.
    if (!isFree) this.#budget.spend(Math.min(performance.now() - begunMs, ms));
  }

  /** Every byte is there and the server is looking at them: not a lack of progress. @throws the reason of the signal */
  async askAgain(signal: AbortSignal, afterSeconds?: number): Promise<void> {
    this.#tracker.move({ state: 'inspecting' });
    this.#budget.progressed();
    this.#backoff.progressed();
    const elapsedMs = performance.now() - this.#begunAt;
    await pause(afterSeconds === undefined ? Math.max(ASK_AGAIN_MS - elapsedMs, 0) : afterSeconds * 1000, signal);
  }

  /** Ends a wait. */
  tryNow(): void {
    this.#wake?.();
  }
}

export function gaveUp(cause?: UploadError): UploadError {
  return new UploadError('ERR_GAVE_UP', cause === undefined ? {} : { detail: cause.message, cause });
}
