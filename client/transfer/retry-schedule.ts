import { UploadError } from '../../shared/errors.ts';
import type { WaitingReason } from '../handle/snapshot.ts';
import type { Tracker } from '../handle/tracker.ts';
import type { PlatformEnvironment } from '../ports.ts';
import { UploadEnded } from './failure.ts';
import { pause } from './pause.ts';
import { Backoff, Budget } from './retry.ts';

/** Shortest time between two requests for the verdict, in case the server answers at once. */
const VERDICT_POLL_MS = 1000;
/** Time between attempts while offline: some devices never report that they are back online. */
const OFFLINE_RETRY_MS = 30_000;
/** Longer than every time limit. A longer silence means that the device slept, which does not count against the budget. */
const LONGEST_SILENCE_MS = 150_000;

/** Decides when one upload is retried, and when it has failed for too long. */
export class RetrySchedule {
  readonly #budget: Budget;
  readonly #backoff = new Backoff();
  readonly #environment: PlatformEnvironment;
  readonly #tracker: Tracker;
  /** On the clock of `performance.now()`. */
  #startedAt = 0;
  #lastActivityAt = 0;
  /** Bytes were sent since the server last reported its offset, so the server may have more than the client knows. */
  #hasUnconfirmedBytes = false;
  /** The server has every byte and holds back only the last, so no further progress is possible. */
  #hasEveryByte = false;
  #wake: (() => void) | undefined;

  constructor(budgetMs: number, environment: PlatformEnvironment, tracker: Tracker) {
    this.#budget = new Budget(budgetMs);
    this.#environment = environment;
    this.#tracker = tracker;
  }

  /** Call when an attempt begins. */
  startAttempt(): void {
    this.#startedAt = performance.now();
    this.#lastActivityAt = this.#startedAt;
    this.#hasUnconfirmedBytes = false;
  }

  /** Call when bytes have left this device. */
  bytesSent(): void {
    this.#lastActivityAt = performance.now();
    this.#hasUnconfirmedBytes = !this.#hasEveryByte;
  }

  /** Call when the server reported its offset. Returns false when there is no progress, bytes are missing and the budget is spent. */
  offsetReported(hasProgressed: boolean, isComplete: boolean): boolean {
    this.#lastActivityAt = performance.now();
    this.#hasUnconfirmedBytes = false;
    this.#hasEveryByte = isComplete;
    if (!hasProgressed) return isComplete || !this.#budget.isSpent;
    this.#budget.progressed();
    this.#backoff.progressed();
    return true;
  }

  /** Call when an attempt has failed. */
  attemptFailed(): void {
    const silence = Math.min(performance.now() - this.#lastActivityAt, LONGEST_SILENCE_MS);
    this.#budget.spend(this.#lastActivityAt - this.#startedAt + silence);
  }

  /**
   * Resolves when the next attempt is due.
   *
   * @param limitMs a limit below the budget, when success is unlikely
   * @throws UploadEnded when the budget is spent, or the reason of the signal
   */
  async waitForRetry(
    reason: WaitingReason,
    error: UploadError,
    signal: AbortSignal,
    limitMs: number = Number.POSITIVE_INFINITY,
  ): Promise<void> {
    const isOffline = reason === 'offline';
    // The wait ends when other uploads of this sender end, however long they take.
    const isUncounted = isOffline || reason === 'too-many';
    // The server may have received bytes of the failed attempt; only the next attempt can tell.
    if (!isUncounted && this.#budget.isSpentOf(limitMs) && !this.#hasUnconfirmedBytes)
      throw new UploadEnded('failed', noProgressError(error));
    const { retryAfterSeconds } = error;
    const ms = isOffline ? OFFLINE_RETRY_MS : this.#backoff.next(reason, retryAfterSeconds);
    this.#tracker.transition({ state: 'waiting', waiting: isOffline ? { reason } : { reason, until: Date.now() + ms }, error });
    const startedAt = performance.now();
    await pause(ms, signal, (wake) => {
      this.#wake = wake;
      // A server that sent Retry-After is not asked earlier, unless the user asks for it.
      const onWake = () => {
        // The failures of the old network say nothing about the new one.
        this.#backoff.progressed();
        wake();
      };
      const unsubscribe = retryAfterSeconds === undefined ? this.#environment.onWake(onWake) : () => {};
      return () => {
        this.#wake = undefined;
        unsubscribe();
      };
    });
    // Time that the device slept beyond the pause does not count.
    if (!isUncounted) this.#budget.spend(Math.min(performance.now() - startedAt, ms));
  }

  /** Waits while the server inspects the file, which does not count against the budget. @throws the reason of the signal */
  async waitForVerdict(signal: AbortSignal, afterSeconds?: number): Promise<void> {
    this.#tracker.transition({ state: 'inspecting' });
    this.#budget.progressed();
    this.#backoff.progressed();
    const elapsedMs = performance.now() - this.#startedAt;
    await pause(afterSeconds === undefined ? Math.max(VERDICT_POLL_MS - elapsedMs, 0) : afterSeconds * 1000, signal);
  }

  /** Ends a wait, so that the next attempt starts now. */
  retryNow(): void {
    this.#wake?.();
  }
}

export function noProgressError(cause?: UploadError): UploadError {
  return new UploadError('ERR_GAVE_UP', cause === undefined ? {} : { detail: cause.message, cause });
}
