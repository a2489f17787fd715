import type { QueueOptions, UploadOptions } from '../options.ts';
import type { Platform, SourceReference } from '../ports.ts';
import { type QueueSnapshot, QueueView } from './queue-snapshot.ts';
import type { CancelOptions, UploadHandle, UploadState } from './snapshot.ts';
import { isOver } from './states.ts';
import { tell } from './tracker.ts';
import { checkOptions, type Gate, startUpload } from './upload.ts';

/**
 * Many uploads, a few at a time, in order. `Source` is what the platform can send.
 *
 * @example
 * ```ts
 * import { createQueue } from 'landfall';
 *
 * const queue = createQueue({ endpoint: '/files' });
 * const handle = queue.add(file, { metadata: { caption: 'Harbour' } });
 * queue.move(handle.snapshot.id, 0); // before all others
 * await queue.idle();
 * ```
 */
export interface UploadQueue<Source> {
  /** Its uploads and their sums, now. */
  readonly snapshot: QueueSnapshot;
  /** Calls the listener at once, then after each change of state, and at most ten times a second for progress, or in a queue of hundreds. */
  subscribe(listener: (snapshot: QueueSnapshot) => void): () => void;
  /** Adds at the end; starts when its turn comes. Options add to the queue's own. @throws TypeError as `upload` */
  add(source: Source, options?: Partial<UploadOptions>): UploadHandle;
  /** The handle of an upload by the `id` in its snapshot; undefined when it is not in the queue. */
  get(id: string): UploadHandle | undefined;
  /** A new handle in the place of one that ended without `accepted`, going on where possible; the same one otherwise. */
  retry(id: string): UploadHandle | undefined;
  /** Another place in the order; 0 is the front. One that is being sent is not stopped by it. */
  move(id: string, index: number): void;
  /** Drops one that is over from the list. False when it is not over or not here. */
  remove(id: string): boolean;
  /** All that is not over stands still, also what is added later, until `resume()`. */
  pause(): void;
  /** Also for those that were paused one by one; those that wait try at once. */
  resume(): void;
  /** Cancels all that are not over. @throws UploadError the first of what `UploadHandle.cancel` threw, once all have ended */
  cancel(options?: CancelOptions): Promise<void>;
  /** Resolves when every upload in it is over. */
  idle(): Promise<QueueSnapshot>;
}

const DEFAULT_CONCURRENCY = 3;
/** Progress of many is told together. */
const TELL_WITHIN_MS = 100;
/** So is everything where there are more than these: a telling looks at all of them. */
const FEW = 100;

/** @throws TypeError as `upload`, and for a concurrency under 1 */
export function startQueue<Source>(
  options: QueueOptions,
  platform: Platform,
  open: (source: Source) => SourceReference,
): UploadQueue<Source> {
  return new Queue(options, platform, open);
}

/** A place in the list. `retry` puts another handle into it. */
interface Slot<Source> {
  handle: UploadHandle;
  readonly source: Source;
  readonly options: Partial<UploadOptions>;
  /** Grows along the list. */
  rank: number;
  /** Lets it in; only while it waits for its turn. */
  start?: (() => void) | undefined;
  isInTurns: boolean;
  unsubscribe(): void;
}

/** Whatever is done for each upload here takes a time that does not grow with their number: there may be a hundred thousand. */
class Queue<Source> implements UploadQueue<Source>, Gate {
  readonly #options: QueueOptions;
  readonly #platform: Platform;
  readonly #open: (source: Source) => SourceReference;
  readonly #concurrency: number;
  /** In order. */
  #slots = new Set<Slot<Source>>();
  /** By the id of the handle. */
  readonly #byId = new Map<string, Slot<Source>>();
  /** Whoever waits for a turn, and some who no longer do; the next one stands last, once it is sorted. */
  readonly #turns: Slot<Source>[] = [];
  #isSorted = true;
  #lastRank = 0;
  #active = 0;
  #isPaused = false;
  readonly #view = new QueueView();
  /** Undefined after a change, until somebody looks. */
  #snapshot: QueueSnapshot | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #listeners = new Set<(snapshot: QueueSnapshot) => void>();

  constructor(options: QueueOptions, platform: Platform, open: (source: Source) => SourceReference) {
    const { concurrency = DEFAULT_CONCURRENCY } = options;
    if (!(concurrency >= 1)) throw new TypeError('`concurrency` is a number of uploads, 1 at least.');
    this.#options = checkOptions(options, platform);
    this.#platform = platform;
    this.#open = open;
    this.#concurrency = concurrency;
  }

  get snapshot(): QueueSnapshot {
    this.#snapshot ??= this.#take();
    return this.#snapshot;
  }

  subscribe(listener: (snapshot: QueueSnapshot) => void): () => void {
    const entry = (snapshot: QueueSnapshot) => listener(snapshot);
    this.#listeners.add(entry);
    tell(entry, this.snapshot);
    return () => this.#listeners.delete(entry);
  }

  add(source: Source, options: Partial<UploadOptions> = {}): UploadHandle {
    const handle = this.#start(source, options);
    const slot = { handle, source, options, rank: ++this.#lastRank, isInTurns: false, unsubscribe: () => {} };
    this.#slots.add(slot);
    this.#watch(slot);
    return handle;
  }

  get(id: string): UploadHandle | undefined {
    return this.#byId.get(id)?.handle;
  }

  retry(id: string): UploadHandle | undefined {
    const slot = this.#byId.get(id);
    if (slot === undefined) return undefined;
    const { state } = slot.handle.snapshot;
    if (!isOver(state) || state === 'accepted') return slot.handle;
    const renewed = this.#start(slot.source, slot.options);
    this.#unwatch(slot);
    slot.handle = renewed;
    this.#watch(slot);
    return renewed;
  }

  move(id: string, index: number): void {
    const slot = this.#byId.get(id);
    if (slot === undefined) return;
    const slots = [...this.#slots].filter((other) => other !== slot);
    slots.splice(Math.max(index, 0), 0, slot);
    this.#slots = new Set(slots);
    for (const [rank, other] of slots.entries()) other.rank = rank;
    this.#lastRank = slots.length;
    this.#isSorted = false;
    this.#changed();
  }

  remove(id: string): boolean {
    const slot = this.#byId.get(id);
    if (slot === undefined || !isOver(slot.handle.snapshot.state)) return false;
    this.#unwatch(slot);
    this.#slots.delete(slot);
    this.#changed();
    return true;
  }

  pause(): void {
    this.#isPaused = true;
    for (const { handle } of this.#slots) handle.pause();
    this.#changed();
  }

  resume(): void {
    this.#isPaused = false;
    for (const { handle } of this.#slots) handle.resume();
    this.#changed();
  }

  async cancel(options?: CancelOptions): Promise<void> {
    const ends = await Promise.allSettled(Array.from(this.#slots, ({ handle }) => handle.cancel(options)));
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed) throw failed.reason;
  }

  idle(): Promise<QueueSnapshot> {
    return new Promise((resolve) => {
      const stop = this.subscribe((snapshot) => {
        if (!snapshot.isIdle) return;
        queueMicrotask(() => stop());
        resolve(snapshot);
      });
    });
  }

  /** Of the gate. */
  async enter(id: string, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const slot = this.#byId.get(id);
    if (slot === undefined) throw new Error('An upload enters by the queue it was added to.');
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = () => {
      slot.start = undefined;
      reject(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    slot.start = resolve;
    if (!slot.isInTurns) {
      slot.isInTurns = true;
      this.#turns.push(slot);
      this.#isSorted = false;
    }
    this.#admit();
    await promise;
    signal.removeEventListener('abort', abort);
    return () => {
      this.#active -= 1;
      this.#admit();
    };
  }

  /** Whoever is first in the list, not who asked first. */
  #admit(): void {
    while (this.#active < this.#concurrency && this.#turns.length > 0) {
      if (!this.#isSorted) this.#turns.sort((a, b) => b.rank - a.rank);
      this.#isSorted = true;
      const next = this.#turns.pop();
      if (next === undefined) return;
      next.isInTurns = false;
      const { start } = next;
      if (start === undefined) continue;
      next.start = undefined;
      this.#active += 1;
      start();
    }
  }

  #start(source: Source, options: Partial<UploadOptions>): UploadHandle {
    const handle = startUpload(this.#open(source), { ...this.#options, ...options }, this.#platform, this);
    if (this.#isPaused) handle.pause();
    return handle;
  }

  #watch(slot: Slot<Source>): void {
    const { id } = slot.handle.snapshot;
    this.#byId.set(id, slot);
    let last: UploadState | undefined;
    slot.unsubscribe = slot.handle.subscribe(({ state }) => {
      if (state === last) this.#progressed();
      else this.#changed();
      last = state;
    });
  }

  #unwatch(slot: Slot<Source>): void {
    slot.unsubscribe();
    this.#byId.delete(slot.handle.snapshot.id);
  }

  #changed(): void {
    if (this.#slots.size > FEW) this.#progressed();
    else this.#tell();
  }

  #progressed(): void {
    this.#snapshot = undefined;
    this.#timer ??= setTimeout(() => this.#tell(), TELL_WITHIN_MS);
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#snapshot = this.#take();
    for (const listener of this.#listeners) tell(listener, this.#snapshot);
  }

  #take(): QueueSnapshot {
    return this.#view.of(
      Array.from(this.#slots, ({ handle }) => handle.snapshot),
      this.#isPaused,
    );
  }
}
