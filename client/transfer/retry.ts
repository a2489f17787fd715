import type { WaitingReason } from '../handle/snapshot.ts';
import type { Failure } from './failure.ts';

const BASE_MS = 500;
const CAP_MS = 30_000;
/** A host that answers again should not be kept waiting, and asking costs it nothing while it is away. */
const UNREACHABLE_CAP_MS = 5000;
/** A server that says "come back in an hour" is asked once more than it likes, so that nobody waits on a typing mistake. */
const RETRY_AFTER_CAP_MS = 10 * 60_000;

export type Decision =
  /** Ask again after a pause. */
  | { kind: 'retry'; reason: WaitingReason }
  /** Every byte is there; ask again for the verdict. Not a lack of progress. */
  | { kind: 'ask-again' }
  /** At once, with headers made anew. */
  | { kind: 'reauthorize' }
  /** At once, with smaller chunks. */
  | { kind: 'shrink' }
  /** The server no longer knows the upload, or knows another under its key: a new one. */
  | { kind: 'restart' }
  /** The verdict on this file. */
  | { kind: 'reject' }
  | { kind: 'fail' };

export interface Circumstances {
  /** The device knows no reason why the network should be away. */
  isOnline: boolean;
  /** The headers come from a function, which was not yet asked for new ones after a 401. */
  canReauthorize: boolean;
  /** This handle has not started over before. */
  canRestart: boolean;
}

/** A body that came in too slowly, at a wrong offset, or damaged: asking where to go on repairs it. */
const REPAIRED = new Set([408, 409, 460]);
const BUSY = new Set([423, 425, 429]);
const HOPELESS_5XX = new Set([501, 505]);

/** What follows a failed request. While there is hope it is tried again: how long is the budget's affair. */
export function decide(failure: Failure, circumstances: Circumstances): Decision {
  const { reason, status, method, error } = failure;
  switch (reason) {
    case 'hopeless':
      return { kind: 'fail' };
    case 'unreachable':
    case 'interrupted':
    case 'stalled':
      return { kind: 'retry', reason: circumstances.isOnline ? reason : 'offline' };
    case 'nonsense':
      // A hotel's sign-in page, say. At the creation it is rather a wrong address.
      return method === 'POST' ? { kind: 'fail' } : { kind: 'retry', reason: 'interrupted' };
  }
  if (error.code === 'ERR_INSPECTION_PENDING' || error.code === 'ERR_INSPECTING') return { kind: 'ask-again' };
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
      return { kind: method !== 'POST' && circumstances.canRestart ? 'restart' : 'fail' };
    case 413:
      if (!failure.isOurs && failure.bodyBytes > 0) return { kind: 'shrink' };
      return { kind: failure.isOurs ? 'reject' : 'fail' };
    case 422:
      // What an earlier visit asked for with this key was something else, of other metadata for one.
      if (error.code === 'ERR_IDEMPOTENCY_KEY_REUSED') return { kind: circumstances.canRestart ? 'restart' : 'fail' };
      return { kind: failure.isOurs && error.code !== 'ERR_SOURCE_CHANGED' ? 'reject' : 'fail' };
    default:
      return { kind: 'fail' };
  }
}

/** Full jitter: anything from 0 to a bound that doubles, so that a thousand clients of one server do not return together. */
export class Backoff {
  #failures = 0;
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Bytes were confirmed since the last failure: the next pause is none. */
  progressed(): void {
    this.#failures = -1;
  }

  /** Milliseconds to wait. @param retryAfterSeconds what the server asked for wins over everything */
  next(reason: WaitingReason, retryAfterSeconds?: number): number {
    const failures = this.#failures++;
    if (retryAfterSeconds !== undefined) return Math.min(retryAfterSeconds * 1000, RETRY_AFTER_CAP_MS);
    if (failures < 0) return 0;
    const cap = reason === 'unreachable' ? UNREACHABLE_CAP_MS : CAP_MS;
    return Math.floor(this.#random() * Math.min(cap, BASE_MS * 2 ** Math.min(failures, 16)));
  }
}

/** Time without confirmed progress: the one limit on trying. */
export class Budget {
  readonly #limitMs: number;
  #spentMs = 0;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  get isSpent(): boolean {
    return this.isSpentOf(this.#limitMs);
  }

  /** By a limit that is lower than its own. */
  isSpentOf(limitMs: number): boolean {
    return this.#spentMs >= Math.min(limitMs, this.#limitMs);
  }

  progressed(): void {
    this.#spentMs = 0;
  }

  /** @param ms of trying or waiting. Sleep of the device and offline time are not to be counted */
  spend(ms: number): void {
    this.#spentMs += ms;
  }
}
