// The snapshot of a queue: its uploads and their totals.
import type { UploadSnapshot, UploadState } from './snapshot.ts';
import { isFinal, TRANSITIONS } from './states.ts';

/**
 * The state of a queue: its uploads and their totals. Frozen, and the same object until something changes, so it suits
 * `useSyncExternalStore`.
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
  /** In queue order: the first is sent first. */
  readonly uploads: readonly UploadSnapshot[];
  /** Number of uploads in each state. */
  readonly counts: Readonly<Record<UploadState, number>>;
  /** Bytes that left this device. This total and the next three leave out cancelled, rejected and failed uploads. */
  readonly sent: number;
  /** Bytes that the server acknowledged. */
  readonly confirmed: number;
  /** Bytes of all files. */
  readonly size: number;
  /** Combined speed of all uploads. */
  readonly bytesPerSecond: number;
  /** Seconds until the last byte is sent at this speed; null until the speed has settled, and while no bytes are sent. */
  readonly etaSeconds: number | null;
  /** `pause()` was called for the whole queue. */
  readonly isPaused: boolean;
  /** Every upload has ended; true for an empty queue. */
  readonly isIdle: boolean;
}

/** Time after a start or a wait until the speed predicts the remaining time well enough. */
const SETTLED_AFTER_MS = 3000;

/** Makes the snapshots of one queue. Remembers since when uploads are active. */
export class SnapshotMaker {
  /** Milliseconds of `performance.now()`; undefined while no upload is active. */
  #movingSince: number | undefined;

  of(uploads: readonly UploadSnapshot[], isPaused: boolean): QueueSnapshot {
    const counts = Object.fromEntries(Object.keys(TRANSITIONS).map((state) => [state, 0])) as Record<UploadState, number>;
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
      isIdle: uploads.every(({ state }) => isFinal(state)),
    });
  }
}

/** Snapshot of a queue without uploads. */
export const EMPTY_QUEUE: QueueSnapshot = new SnapshotMaker().of([], false);
