import { UploadError } from '../../shared/errors.ts';
import type { UploadOptions } from '../options.ts';
import type { Platform, SourceReference } from '../ports.ts';
import { randomId } from '../resume/journal.ts';
import { UploadEnded } from '../transfer/failure.ts';
import { Transfer } from '../transfer/transfer.ts';
import { checkOptions } from './checked-options.ts';
import type { CancelOptions, UploadHandle, UploadResult, UploadSnapshot } from './snapshot.ts';
import { isFinal } from './states.ts';
import { Tracker } from './tracker.ts';

/** Limits how many uploads run at once. */
export interface ConcurrencyLimiter {
  /** Resolves to a release function when the upload may run. @throws the reason of the signal */
  acquire(id: string, signal: AbortSignal): Promise<() => void>;
}

/**
 * Starts an upload, at once or when the limiter allows it.
 *
 * @throws TypeError when no upload could succeed with these options, or the source has no name
 */
export function startUpload(
  reference: SourceReference,
  options: UploadOptions,
  platform: Platform,
  limiter?: ConcurrencyLimiter,
): UploadHandle {
  const checked = checkOptions(options, platform);
  if (typeof (checked.name ?? reference.name) !== 'string') throw new TypeError('The source needs a `name`.');
  return new Handle(reference, checked, platform, limiter);
}

class Handle implements UploadHandle {
  readonly done: Promise<UploadResult>;
  readonly #tracker: Tracker;
  readonly #transfer: Transfer;
  readonly #limiter: ConcurrencyLimiter | undefined;
  readonly #id = randomId();
  readonly #outcome: { resolve: (result: UploadResult) => void; reject: (error: UploadError) => void };
  readonly #signal: AbortSignal | undefined;
  #controller = new AbortController();
  /** Runs follow each other: a run starts after the previous one has released its lock. */
  #running: Promise<void> = Promise.resolve();
  #cancelling: Promise<void> | undefined;

  constructor(
    reference: SourceReference,
    options: UploadOptions & { endpoint: string },
    platform: Platform,
    limiter: ConcurrencyLimiter | undefined,
  ) {
    const { endpoint, signal } = options;
    const name = options.name ?? reference.name;
    this.#tracker = new Tracker(this.#id, name, reference.size, limiter === undefined ? 'preparing' : 'queued');
    this.#transfer = new Transfer(reference, endpoint, options, platform, this.#tracker);
    this.#limiter = limiter;
    const { promise, resolve, reject } = Promise.withResolvers<UploadResult>();
    // An application that uses only snapshots must not be ended by an unhandled rejection.
    promise.catch(() => {});
    this.done = promise;
    this.#outcome = { resolve, reject };
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (signal?.aborted) this.#onAbort();
    else this.#start();
  }

  get snapshot(): UploadSnapshot {
    return this.#tracker.snapshot;
  }

  subscribe(listener: (snapshot: UploadSnapshot) => void): () => void {
    return this.#tracker.subscribe(listener);
  }

  pause(): void {
    if (!this.#tracker.transition({ state: 'paused' })) return;
    this.#controller.abort(new DOMException('The upload was paused.', 'AbortError'));
  }

  resume(): void {
    if (this.#tracker.state === 'waiting') this.#transfer.retryNow();
    else if (this.#tracker.state === 'paused') this.#start();
  }

  cancel({ deleteRemote = false }: CancelOptions = {}): Promise<void> {
    this.#cancelling ??= this.#cancel(deleteRemote);
    return this.#cancelling;
  }

  /** Yields the snapshot now and after changes. A slow reader misses intermediate snapshots, but never the last. */
  async *[Symbol.asyncIterator](): AsyncGenerator<UploadSnapshot, void, void> {
    let changed = Promise.withResolvers<void>();
    const stop = this.subscribe(() => changed.resolve());
    try {
      for (let last: UploadSnapshot | undefined; ; ) {
        const { snapshot } = this;
        if (snapshot !== last) yield snapshot;
        last = snapshot;
        if (isFinal(snapshot.state)) return;
        if (this.snapshot === last) await changed.promise;
        changed = Promise.withResolvers();
      }
    } finally {
      stop();
    }
  }

  readonly #onAbort = () => void this.cancel();

  #start(): void {
    const controller = new AbortController();
    this.#controller = controller;
    this.#tracker.transition({ state: this.#limiter === undefined ? 'preparing' : 'queued' });
    this.#running = this.#running.then(() => this.#run(controller.signal));
  }

  async #run(signal: AbortSignal): Promise<void> {
    try {
      signal.throwIfAborted();
      const release = await this.#limiter?.acquire(this.#id, signal);
      let result: UploadResult;
      try {
        result = await this.#transfer.run(signal);
      } finally {
        release?.();
      }
      const withResult = result.result === undefined ? {} : { result: result.result };
      if (!this.#tracker.transition({ state: 'accepted', url: result.url, ...withResult })) return;
      this.#outcome.resolve(result);
      await this.#close();
    } catch (error) {
      // `pause` or `cancel` has already changed the state.
      if (signal.aborted) return;
      const { state, error: reason } = error instanceof UploadEnded ? error : new UploadEnded('failed', unexpectedError(error));
      if (!this.#tracker.transition({ state, error: reason })) return;
      this.#outcome.reject(reason);
      await this.#close();
    }
  }

  #cancel(deleteRemote: boolean): Promise<void> {
    const error = new UploadError('ERR_CANCELLED');
    if (!this.#tracker.transition({ state: 'cancelled', error })) return Promise.resolve();
    this.#controller.abort(error);
    this.#outcome.reject(error);
    const discarded = this.#running.then(async () => {
      try {
        await this.#transfer.discard(deleteRemote);
      } finally {
        await this.#close();
      }
    });
    discarded.catch(() => {});
    return discarded;
  }

  async #close(): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#onAbort);
    await this.#transfer.close();
  }
}

function unexpectedError(cause: unknown): UploadError {
  return cause instanceof UploadError ? cause : new UploadError('ERR_UNEXPECTED_RESPONSE', { cause });
}
