import type { WaitingReason } from '../handle/snapshot.ts';
import { type Failure, isGone } from './failure.ts';

const BASE_MS = 500;
const CAP_MS = 30_000;
/** An unreachable host costs nothing to ask, and should be found soon after it is back. */
const UNREACHABLE_CAP_MS = 5000;
/** Limits `Retry-After`, so that a misconfigured server cannot make an upload wait for hours. */
const RETRY_AFTER_CAP_MS = 10 * 60_000;

export type Decision =
  /** Retry after a pause. */
  | { kind: 'retry'; reason: WaitingReason }
  /** The server has every byte; ask for the verdict again. Does not count against the budget. */
  | { kind: 'await-verdict' }
  /** Retry at once, with new headers of the application. */
  | { kind: 'reauthorize' }
  /** Retry at once, with smaller chunks. */
  | { kind: 'shrink' }
  /** Create a new upload: the server no longer has this one, or has another under its key. */
  | { kind: 'restart' }
  /** The server rejected the file. */
  | { kind: 'reject' }
  | { kind: 'fail' };

export interface RetryContext {
  /** False when the device reports no network. */
  isOnline: boolean;
  /** The application supplies headers by a function that has not yet been asked for new ones after a 401. */
  canReauthorize: boolean;
  /** This handle has not created a second upload yet. */
  canRestart: boolean;
}

/** A body that was too slow, at a wrong offset, or damaged: reading the server's offset repairs it. */
const REPAIRED = new Set([408, 409, 460]);
const BUSY = new Set([423, 425, 429]);
const HOPELESS_5XX = new Set([501, 505]);

/** Decides what follows a failed request. Retries whenever a retry can help; the budget limits for how long. */
export function decide(failure: Failure, circumstances: RetryContext): Decision {
  const { reason, status, method, error } = failure;
  switch (reason) {
    case 'permanent':
      return { kind: 'fail' };
    case 'unreachable':
    case 'interrupted':
    case 'stalled':
      return { kind: 'retry', reason: circumstances.isOnline ? reason : 'offline' };
    case 'unexpected':
      // Probably a captive portal's sign-in page. As the answer to a creation, more likely a wrong address.
      return method === 'POST' ? { kind: 'fail' } : { kind: 'retry', reason: 'interrupted' };
  }
  if (error.code === 'ERR_INSPECTION_PENDING' || error.code === 'ERR_INSPECTING') return { kind: 'await-verdict' };
  if (REPAIRED.has(status)) return { kind: 'retry', reason: 'interrupted' };
  if (error.code === 'ERR_TOO_MANY_UPLOADS') return { kind: 'retry', reason: 'too-many' };
  if (BUSY.has(status)) return { kind: 'retry', reason: 'busy' };
  if (status >= 500) {
    if (HOPELESS_5XX.has(status)) return { kind: 'fail' };
    return { kind: 'retry', reason: error.code === 'ERR_NO_SPACE' ? 'no-space' : 'busy' };
  }
  switch (status) {
    case 401:
      return { kind: circumstances.canReauthorize ? 'reauthorize' : 'fail' };
    case 404:
    case 410:
      if (method === 'POST') return { kind: 'fail' };
      // A proxy whose server is being replaced. The server still has the upload.
      if (!isGone(failure)) return { kind: 'retry', reason: 'busy' };
      return { kind: circumstances.canRestart ? 'restart' : 'fail' };
    case 413:
      if (!failure.hasProblemDocument && failure.bodyBytes > 0) return { kind: 'shrink' };
      return { kind: failure.hasProblemDocument ? 'reject' : 'fail' };
    case 422:
      // An earlier visit used this key for a different creation, for example with other metadata.
      if (error.code === 'ERR_IDEMPOTENCY_KEY_REUSED') return { kind: circumstances.canRestart ? 'restart' : 'fail' };
      return { kind: failure.hasProblemDocument && error.code !== 'ERR_SOURCE_CHANGED' ? 'reject' : 'fail' };
    default:
      return { kind: 'fail' };
  }
}

/** Exponential backoff with full jitter, so that the clients of one server do not all return at the same moment. */
export class Backoff {
  #failures = 0;
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Bytes were confirmed since the last failure, so the next retry comes at once. */
  progressed(): void {
    this.#failures = -1;
  }

  /** Milliseconds to wait. @param retryAfterSeconds `Retry-After` of the server; takes precedence */
  next(reason: WaitingReason, retryAfterSeconds?: number): number {
    const failures = this.#failures++;
    if (retryAfterSeconds !== undefined) return Math.min(retryAfterSeconds * 1000, RETRY_AFTER_CAP_MS);
    if (failures < 0) return 0;
    const cap = reason === 'unreachable' ? UNREACHABLE_CAP_MS : CAP_MS;
    return Math.floor(this.#random() * Math.min(cap, BASE_MS * 2 ** Math.min(failures, 16)));
  }
}

/** Time without confirmed progress: the only limit on retries. */
export class Budget {
  readonly #limitMs: number;
  #spentMs = 0;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  get isSpent(): boolean {
    return this.isSpentOf(this.#limitMs);
  }

  /** Whether a lower limit is spent. */
  isSpentOf(limitMs: number): boolean {
    return this.#spentMs >= Math.min(limitMs, this.#limitMs);
  }

  progressed(): void {
    this.#spentMs = 0;
  }

  /** @param ms of trying or waiting, without the time that the device slept or was offline */
  spend(ms: number): void {
    this.#spentMs += ms;
  }
}
