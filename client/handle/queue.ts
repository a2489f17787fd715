import { definedOnly, type QueueOptions, type UploadOptions } from '../options.ts';
import type { Platform, SourceReference } from '../ports.ts';
import { checkOptions, isAtLeast } from './checked-options.ts';
import { type QueueSnapshot, SnapshotMaker } from './queue-snapshot.ts';
import type { CancelOptions, UploadHandle, UploadState } from './snapshot.ts';
import { isFinal } from './states.ts';
import { notifyListener } from './tracker.ts';
import { type ConcurrencyLimiter, startUpload } from './upload.ts';

/**
 * Many uploads, a few at a time, in order. `Source` is the type of sources on this platform.
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
  /** Its uploads and their totals, now. */
  readonly snapshot: QueueSnapshot;
  /**
   * Calls the listener now, after each change of state, and for progress at most ten times a second. In a queue of hundreds, changes of
   * state are combined in the same way. Returns a function that unsubscribes.
   */
  subscribe(listener: (snapshot: QueueSnapshot) => void): () => void;
  /** Adds a file at the end. `options` extend the options of the queue. @throws TypeError as `upload` */
  add(source: Source, options?: Partial<UploadOptions>): UploadHandle;
  /** The handle of the upload with this snapshot `id`; undefined when it is not in the queue. */
  get(id: string): UploadHandle | undefined;
  /**
   * Replaces an upload that ended without `accepted` by a new one, which resumes if possible, and returns its handle. Otherwise returns the
   * present handle.
   */
  retry(id: string): UploadHandle | undefined;
  /** Moves an upload to another index; 0 is the front. Does not stop an upload that has started. */
  move(id: string, index: number): void;
  /** Removes an upload that has ended. Returns false when it has not ended or is not in the queue. */
  remove(id: string): boolean;
  /** Pauses all uploads that have not ended, and those added later, until `resume()`. */
  pause(): void;
  /** Resumes all paused uploads, including those paused one by one. Waiting uploads retry now. */
  resume(): void;
  /** Cancels all uploads that have not ended. @throws UploadError the first error of `UploadHandle.cancel`, after all have ended */
  cancel(options?: CancelOptions): Promise<void>;
  /** Resolves when every upload has ended. */
  idle(): Promise<QueueSnapshot>;
}

const DEFAULT_CONCURRENCY = 3;
/** Listeners get the progress of all uploads together, at most once in this time. */
const NOTIFY_WITHIN_MS = 100;
/** In a larger queue changes of state are combined too, since making a snapshot takes time for every upload. */
const NOTIFY_AT_ONCE_UP_TO = 100;

/** @throws TypeError as `upload`, and for a concurrency under 1 */
export function startQueue<Source>(
  options: QueueOptions,
  platform: Platform,
  open: (source: Source) => SourceReference,
): UploadQueue<Source> {
  return new Queue(options, platform, open);
}

/** An upload in the queue. `retry` replaces its handle. */
interface QueueEntry {
  handle: UploadHandle;
  /** Opened again by `retry`. */
  readonly reference: SourceReference;
  readonly options: Partial<UploadOptions>;
  /** Ascending in queue order. */
  position: number;
  /** Starts the upload; only defined while it waits for its turn. */
  start?: (() => void) | undefined;
  isWaiting: boolean;
  unsubscribe(): void;
}

/** A queue may hold a hundred thousand uploads, so the work for one upload must not depend on their number. */
class Queue<Source> implements UploadQueue<Source>, ConcurrencyLimiter {
  readonly #options: QueueOptions;
  readonly #platform: Platform;
  readonly #open: (source: Source) => SourceReference;
  readonly #concurrency: number;
  /** In queue order. */
  #entries = new Set<QueueEntry>();
  /** By the id of the handle. */
  readonly #byId = new Map<string, QueueEntry>();
  /** Entries that wait for their turn, and some that no longer do. When sorted, the next entry to start is the last. */
  readonly #waiting: QueueEntry[] = [];
  #isSorted = true;
  #lastPosition = 0;
  #active = 0;
  #isPaused = false;
  readonly #snapshots = new SnapshotMaker();
  /** Undefined after a change, until the snapshot is read. */
  #snapshot: QueueSnapshot | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #listeners = new Set<(snapshot: QueueSnapshot) => void>();

  constructor(options: QueueOptions, platform: Platform, open: (source: Source) => SourceReference) {
    const { concurrency = DEFAULT_CONCURRENCY } = options;
    if (!isAtLeast(1, concurrency)) throw new TypeError('`concurrency` must be a number of at least 1.');
    this.#options = checkOptions(options, platform);
    this.#platform = platform;
    this.#open = open;
    this.#concurrency = Math.floor(concurrency);
  }

  get snapshot(): QueueSnapshot {
    this.#snapshot ??= this.#makeSnapshot();
    return this.#snapshot;
  }

  subscribe(listener: (snapshot: QueueSnapshot) => void): () => void {
    const subscriber = (snapshot: QueueSnapshot) => listener(snapshot);
    this.#listeners.add(subscriber);
    notifyListener(subscriber, this.snapshot);
    return () => this.#listeners.delete(subscriber);
  }

  add(source: Source, options: Partial<UploadOptions> = {}): UploadHandle {
    const reference = this.#open(source);
    const handle = this.#start(reference, options);
    const entry = { handle, reference, options, position: ++this.#lastPosition, isWaiting: false, unsubscribe: () => {} };
    this.#entries.add(entry);
    this.#watch(entry);
    return handle;
  }

  get(id: string): UploadHandle | undefined {
    return this.#byId.get(id)?.handle;
  }

  retry(id: string): UploadHandle | undefined {
    const entry = this.#byId.get(id);
    if (entry === undefined) return undefined;
    const { state } = entry.handle.snapshot;
    if (!isFinal(state) || state === 'accepted') return entry.handle;
    const handle = this.#start(entry.reference, entry.options);
    this.#unwatch(entry);
    entry.handle = handle;
    this.#watch(entry);
    return handle;
  }

  move(id: string, index: number): void {
    const entry = this.#byId.get(id);
    if (entry === undefined) return;
    const entries = [...this.#entries].filter((other) => other !== entry);
    entries.splice(Math.max(index, 0), 0, entry);
    this.#entries = new Set(entries);
    for (const [position, other] of entries.entries()) other.position = position;
    this.#lastPosition = entries.length;
    this.#isSorted = false;
    this.#changed();
  }

  remove(id: string): boolean {
    const entry = this.#byId.get(id);
    if (entry === undefined || !isFinal(entry.handle.snapshot.state)) return false;
    this.#unwatch(entry);
    this.#entries.delete(entry);
    this.#changed();
    return true;
  }

  pause(): void {
    this.#isPaused = true;
    for (const { handle } of this.#entries) handle.pause();
    this.#changed();
  }

  resume(): void {
    this.#isPaused = false;
    for (const { handle } of this.#entries) handle.resume();
    this.#changed();
  }

  async cancel(options?: CancelOptions): Promise<void> {
    const results = await Promise.allSettled(Array.from(this.#entries, ({ handle }) => handle.cancel(options)));
    const failed = results.find((result) => result.status === 'rejected');
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

  /** Implements `ConcurrencyLimiter`. */
  async acquire(id: string, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const entry = this.#byId.get(id);
    if (entry === undefined) throw new Error('The upload is not in this queue.');
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = () => {
      entry.start = undefined;
      reject(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    entry.start = resolve;
    if (!entry.isWaiting) {
      entry.isWaiting = true;
      this.#waiting.push(entry);
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

  /** Starts waiting uploads in queue order, not in the order in which they began to wait. */
  #admit(): void {
    while (this.#active < this.#concurrency && this.#waiting.length > 0) {
      if (!this.#isSorted) this.#waiting.sort((a, b) => b.position - a.position);
      this.#isSorted = true;
      const next = this.#waiting.pop();
      if (next === undefined) return;
      next.isWaiting = false;
      const { start } = next;
      if (start === undefined) continue;
      next.start = undefined;
      this.#active += 1;
      start();
    }
  }

  #start(reference: SourceReference, options: Partial<UploadOptions>): UploadHandle {
    const handle = startUpload(reference, { ...this.#options, ...definedOnly(options) }, this.#platform, this);
    if (this.#isPaused) handle.pause();
    return handle;
  }

  #watch(entry: QueueEntry): void {
    const { id } = entry.handle.snapshot;
    this.#byId.set(id, entry);
    let last: UploadState | undefined;
    entry.unsubscribe = entry.handle.subscribe(({ state }) => {
      if (state === last) this.#progressed();
      else this.#changed();
      last = state;
    });
  }

  #unwatch(entry: QueueEntry): void {
    entry.unsubscribe();
    this.#byId.delete(entry.handle.snapshot.id);
  }

  #changed(): void {
    if (this.#entries.size > NOTIFY_AT_ONCE_UP_TO) this.#progressed();
    else this.#notify();
  }

  #progressed(): void {
    this.#snapshot = undefined;
    this.#timer ??= setTimeout(() => this.#notify(), NOTIFY_WITHIN_MS);
  }

  #notify(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#snapshot = this.#makeSnapshot();
    for (const listener of this.#listeners) notifyListener(listener, this.#snapshot);
  }

  #makeSnapshot(): QueueSnapshot {
    return this.#snapshots.of(
      Array.from(this.#entries, ({ handle }) => handle.snapshot),
      this.#isPaused,
    );
  }
}
