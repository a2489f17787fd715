// What a queue shows of itself: its uploads, and their sums.
import type { UploadSnapshot, UploadState } from './snapshot.ts';
import { isOver, MOVES } from './states.ts';

/** Frozen, the same object as long as nothing changed: it suits `useSyncExternalStore` and its like. */
export interface QueueSnapshot {
  /** In order: the first are sent first. */
  readonly uploads: readonly UploadSnapshot[];
  /** How many stand in each state. */
  readonly counts: Readonly<Record<UploadState, number>>;
  /** Sums over all that is not cancelled, rejected or failed. */
  readonly sent: number;
  readonly confirmed: number;
  readonly size: number;
  readonly bytesPerSecond: number;
  /** Null where it can't be told. */
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
