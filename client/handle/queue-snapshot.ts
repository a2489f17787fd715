// What a queue shows of itself: its uploads, and their sums.
import type { UploadSnapshot, UploadState } from './snapshot.ts';
import { isOver, MOVES } from './states.ts';

/**
 * What a queue shows of itself. Frozen, and the same object as long as nothing changed: it suits `useSyncExternalStore` and its like.
 *
 * @example
 * ```ts
 * import { createQueue, type QueueSnapshot } from 'landfall';
 *
 * const show = ({ counts, sent, size, etaSeconds }: QueueSnapshot) => console.log(counts.accepted, sent, size, etaSeconds);
 * createQueue({ endpoint: '/files' }).subscribe(show);
 * ```
 */
export interface QueueSnapshot {
  /** In order: the first are sent first. */
  readonly uploads: readonly UploadSnapshot[];
  /** How many stand in each state. */
  readonly counts: Readonly<Record<UploadState, number>>;
  /** Bytes that left this device. This sum and the next three leave out what is cancelled, rejected or failed. */
  readonly sent: number;
  /** Bytes that the server acknowledged. */
  readonly confirmed: number;
  /** Bytes of all files. */
  readonly size: number;
  /** Speed of all uploads together. */
  readonly bytesPerSecond: number;
  /** Seconds until the last byte is sent at this speed; null before the speed has settled, and while nothing moves. */
  readonly etaSeconds: number | null;
  /** `pause()` was called for the whole queue. */
  readonly isPaused: boolean;
  /** Every upload in it is over; true for an empty queue. */
  readonly isIdle: boolean;
}

/** After a start or a wait it takes so long until the speed tells how long the rest will take. */
const SETTLED_AFTER_MS = 3000;

/** The snapshots of one queue: they know since when something is under way. */
export class QueueView {
  /** On the clock of `performance.now()`; undefined while nothing is under way. */
  #movingSince: number | undefined;

  of(uploads: readonly UploadSnapshot[], isPaused: boolean): QueueSnapshot {
    const counts = Object.fromEntries(Object.keys(MOVES).map((state) => [state, 0])) as Record<UploadState, number>;
    const sum = { sent: 0, confirmed: 0, size: 0, bytesPerSecond: 0 };
    for (const { state, sent, confirmed, size, bytesPerSecond } of uploads) {
      counts[state] += 1;
      if (state === 'cancelled' || state === 'rejected' || state === 'failed') continue;
      sum.sent += sent;
      sum.confirmed += confirmed;
      sum.size += size ?? sent;
      sum.bytesPerSecond += bytesPerSecond;
    }
    const isMoving = counts.preparing + counts.uploading + counts.inspecting > 0;
    this.#movingSince = isMoving ? (this.#movingSince ?? performance.now()) : undefined;
    const isSettled = this.#movingSince !== undefined && performance.now() - this.#movingSince >= SETTLED_AFTER_MS;
    const left = Math.max(sum.size - sum.sent, 0);
    return Object.freeze({
      uploads: Object.freeze(uploads),
      counts: Object.freeze(counts),
      ...sum,
      etaSeconds: isSettled && left > 0 && sum.bytesPerSecond >= 1 ? left / sum.bytesPerSecond : null,
      isPaused,
      isIdle: uploads.every(({ state }) => isOver(state)),
    });
  }
}

/** Of a queue that has no uploads. */
export const EMPTY_QUEUE: QueueSnapshot = new QueueView().of([], false);
