import type { QueueOptions, UploadOptions } from './options.ts';
import type { CancelOptions, UploadHandle, UploadSnapshot, UploadState } from './snapshot.ts';

/** Frozen, the same object as long as nothing changed. */
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

/** Many uploads, a few at a time, in order. `Source` is what the platform can send. */
export interface UploadQueue<Source> {
  readonly snapshot: QueueSnapshot;
  /** Calls the listener at once, then after each change, at most ten times a second for progress. */
  subscribe(listener: (snapshot: QueueSnapshot) => void): () => void;
  /** Adds at the end; starts when its turn comes. Options add to the queue's own. */
  add(source: Source, options?: Partial<UploadOptions>): UploadHandle;
  get(id: string): UploadHandle | undefined;
  /** A new handle in the place of one that ended without `accepted`, going on where possible; the same one otherwise. */
  retry(id: string): UploadHandle | undefined;
  /** Another place in the order; 0 is the front. One that is being sent is not stopped by it. */
  move(id: string, index: number): void;
  /** Drops one that is over from the list. False when it is not over or not here. */
  remove(id: string): boolean;
  /** All that is not over stands still, also what is added later, until `resume()`. */
  pause(): void;
  resume(): void;
  cancel(options?: CancelOptions): Promise<void>;
  /** Resolves when every upload in it is over. */
  idle(): Promise<QueueSnapshot>;
}

export type CreateQueue<Source> = (options: QueueOptions) => UploadQueue<Source>;
