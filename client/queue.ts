import type { QueueOptions, UploadOptions } from './options.ts';
import type { Platform, SourceReference } from './ports.ts';
import type { CancelOptions, UploadHandle, UploadSnapshot, UploadState } from './snapshot.ts';
import { isOver, MOVES } from './states.ts';
import { checkOptions, type Gate, startUpload } from './upload.ts';

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
  /** Adds at the end; starts when its turn comes. Options add to the queue's own. @throws TypeError as `upload` */
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
  /** Also for those that were paused one by one; those that wait try at once. */
  resume(): void;
  /** @throws UploadError the first of what `UploadHandle.cancel` threw, once all have ended */
  cancel(options?: CancelOptions): Promise<void>;
  /** Resolves when every upload in it is over. */
  idle(): Promise<QueueSnapshot>;
}

const DEFAULT_CONCURRENCY = 3;
/** Changes of many uploads that come together are told together. */
const TELL_WITHIN_MS = 100;

/** @throws TypeError as `upload`, and for a concurrency under 1 */
export function startQueue<Source>(
  options: QueueOptions,
  platform: Platform,
  open: (source: Source) => SourceReference,
): UploadQueue<Source> {
  return new Queue(options, platform, open);
}

interface Entry<Source> {
  handle: UploadHandle;
  source: Source;
  options: Partial<UploadOptions>;
  stop: () => void;
}

interface Turn {
  id: string;
  start: () => void;
}

class Queue<Source> implements UploadQueue<Source>, Gate {
  readonly #options: QueueOptions;
  readonly #platform: Platform;
  readonly #open: (source: Source) => SourceReference;
  readonly #concurrency: number;
  #entries: Entry<Source>[] = [];
  #turns: Turn[] = [];
  #active = 0;
  #isPaused = false;
  #snapshot: QueueSnapshot;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #listeners = new Set<(snapshot: QueueSnapshot) => void>();

  constructor(options: QueueOptions, platform: Platform, open: (source: Source) => SourceReference) {
    const { concurrency = DEFAULT_CONCURRENCY } = options;
    if (!(concurrency >= 1)) throw new TypeError('`concurrency` is a number of uploads, 1 at least.');
    this.#options = checkOptions(options, platform);
    this.#platform = platform;
    this.#open = open;
    this.#concurrency = concurrency;
    this.#snapshot = this.#take();
  }

  get snapshot(): QueueSnapshot {
    return this.#snapshot;
  }

  subscribe(listener: (snapshot: QueueSnapshot) => void): () => void {
    const entry = (snapshot: QueueSnapshot) => listener(snapshot);
    this.#listeners.add(entry);
    entry(this.#snapshot);
    return () => this.#listeners.delete(entry);
  }

  add(source: Source, options: Partial<UploadOptions> = {}): UploadHandle {
    const entry = this.#start(source, options);
    this.#entries.push(entry);
    this.#tell();
    return entry.handle;
  }

  get(id: string): UploadHandle | undefined {
    return this.#find(id)?.handle;
  }

  retry(id: string): UploadHandle | undefined {
    const entry = this.#find(id);
    if (entry === undefined) return undefined;
    const { state } = entry.handle.snapshot;
    if (!isOver(state) || state === 'accepted') return entry.handle;
    entry.stop();
    const renewed = this.#start(entry.source, entry.options);
    this.#entries = this.#entries.map((other) => (other === entry ? renewed : other));
    this.#tell();
    return renewed.handle;
  }

  move(id: string, index: number): void {
    const entry = this.#find(id);
    if (entry === undefined) return;
    const others = this.#entries.filter((other) => other !== entry);
    others.splice(Math.max(index, 0), 0, entry);
    this.#entries = others;
    this.#tell();
  }

  remove(id: string): boolean {
    const entry = this.#find(id);
    if (entry === undefined || !isOver(entry.handle.snapshot.state)) return false;
    entry.stop();
    this.#entries = this.#entries.filter((other) => other !== entry);
    this.#tell();
    return true;
  }

  pause(): void {
    this.#isPaused = true;
    for (const { handle } of this.#entries) handle.pause();
    this.#tell();
  }

  resume(): void {
    this.#isPaused = false;
    for (const { handle } of this.#entries) handle.resume();
    this.#tell();
  }

  async cancel(options?: CancelOptions): Promise<void> {
    const ends = await Promise.allSettled(this.#entries.map(({ handle }) => handle.cancel(options)));
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
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const turn = { id, start: resolve };
    const abort = () => {
      this.#turns = this.#turns.filter((other) => other !== turn);
      reject(signal.reason);
    };
    signal.throwIfAborted();
    signal.addEventListener('abort', abort, { once: true });
    this.#turns.push(turn);
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
      const order = new Map(this.#entries.map(({ handle }, index) => [handle.snapshot.id, index]));
      const place = ({ id }: Turn) => order.get(id) ?? Number.POSITIVE_INFINITY;
      const next = this.#turns.reduce((first, turn) => (place(turn) < place(first) ? turn : first));
      this.#turns = this.#turns.filter((turn) => turn !== next);
      this.#active += 1;
      next.start();
    }
  }

  #start(source: Source, options: Partial<UploadOptions>): Entry<Source> {
    const handle = startUpload(this.#open(source), { ...this.#options, ...options }, this.#platform, this);
    if (this.#isPaused) handle.pause();
    let last = handle.snapshot.state;
    const stop = handle.subscribe(({ state }) => {
      // A change of state at once, progress together with that of others.
      if (state === last) this.#tellSoon();
      else this.#tell();
      last = state;
    });
    return { handle, source, options, stop };
  }

  #find(id: string): Entry<Source> | undefined {
    return this.#entries.find(({ handle }) => handle.snapshot.id === id);
  }

  #tellSoon(): void {
    this.#timer ??= setTimeout(() => this.#tell(), TELL_WITHIN_MS);
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#snapshot = this.#take();
    for (const listener of this.#listeners) {
      try {
        listener(this.#snapshot);
      } catch (error) {
        if (typeof reportError === 'function') reportError(error);
        else console.error(error);
      }
    }
  }

  #take(): QueueSnapshot {
    const uploads = Object.freeze(this.#entries.map(({ handle }) => handle.snapshot));
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
    return Object.freeze({
      uploads,
      counts: Object.freeze(counts),
      ...sum,
      etaSeconds: sum.bytesPerSecond >= 1 ? Math.max(sum.size - sum.sent, 0) / sum.bytesPerSecond : null,
      isPaused: this.#isPaused,
      isIdle: uploads.every(({ state }) => isOver(state)),
    });
  }
}
