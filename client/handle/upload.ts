import { UploadError } from '../../shared/errors.ts';
import type { UploadOptions } from '../options.ts';
import type { Platform, SourceReference } from '../ports.ts';
import { randomId } from '../resume/journal.ts';
import { Ending } from '../transfer/failure.ts';
import { Transfer } from '../transfer/transfer.ts';
import type { CancelOptions, UploadHandle, UploadResult, UploadSnapshot } from './snapshot.ts';
import { isOver } from './states.ts';
import { Tracker } from './tracker.ts';

/** Lets uploads in, a few at a time. */
export interface Gate {
  /** Resolves with how to leave. @throws the reason of the signal */
  enter(id: string, signal: AbortSignal): Promise<() => void>;
}

/**
 * Starts at once, or when the gate lets it in.
 *
 * @throws TypeError when the endpoint is not an http address, or a number makes no sense
 */
export function startUpload(reference: SourceReference, options: UploadOptions, platform: Platform, gate?: Gate): UploadHandle {
  return new Handle(reference, checkOptions(options, platform), platform, gate);
}

/** @throws TypeError */
export function checkOptions<T extends UploadOptions>(options: T, platform: Pick<Platform, 'baseUrl'>): T & { endpoint: string } {
  const endpoint = new URL(options.endpoint, platform.baseUrl);
  if (endpoint.protocol !== 'http:' && endpoint.protocol !== 'https:') throw new TypeError(`“${endpoint.href}” is not an http address.`);
  // Resolved addresses would carry it along, and the server never sees it.
  endpoint.hash = '';
  const { chunkSize, budgetMs, timeouts = {} } = options;
  if (typeof chunkSize === 'number' && !(chunkSize >= 1)) throw new TypeError('`chunkSize` is a number of bytes, or “adaptive”.');
  for (const [name, ms] of Object.entries({ budgetMs, ...timeouts })) {
    if (ms !== undefined && !(ms >= 0)) throw new TypeError(`\`${name}\` is a number of milliseconds.`);
  }
  return { ...options, endpoint: endpoint.href };
}

class Handle implements UploadHandle {
  readonly done: Promise<UploadResult>;
  readonly #tracker: Tracker;
  readonly #transfer: Transfer;
  readonly #gate: Gate | undefined;
  readonly #id = randomId();
  readonly #settle: { resolve: (result: UploadResult) => void; reject: (error: UploadError) => void };
  readonly #signal: AbortSignal | undefined;
  #controller = new AbortController();
  /** One run after the other: a new one starts when the one before has let go of the lock. */
  #running: Promise<void> = Promise.resolve();
  #cancelling: Promise<void> | undefined;

  constructor(reference: SourceReference, options: UploadOptions & { endpoint: string }, platform: Platform, gate: Gate | undefined) {
    const { name = reference.name, endpoint, signal } = options;
    this.#tracker = new Tracker(this.#id, name, reference.size, gate === undefined ? 'preparing' : 'queued');
    this.#transfer = new Transfer(reference, endpoint, options, platform, this.#tracker);
    this.#gate = gate;
    const { promise, resolve, reject } = Promise.withResolvers<UploadResult>();
    // Who looks only at snapshots must not get a process killed by a rejection nobody listens to.
    promise.catch(() => {});
    this.done = promise;
    this.#settle = { resolve, reject };
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (signal?.aborted) this.#onAbort();
    else this.#go();
  }

  get snapshot(): UploadSnapshot {
    return this.#tracker.snapshot;
  }

  subscribe(listener: (snapshot: UploadSnapshot) => void): () => void {
    return this.#tracker.subscribe(listener);
  }

  pause(): void {
    if (!this.#tracker.move({ state: 'paused' })) return;
    this.#controller.abort(new DOMException('The upload was paused.', 'AbortError'));
  }

  resume(): void {
    if (this.#tracker.state === 'waiting') this.#transfer.tryNow();
    else if (this.#tracker.state === 'paused') this.#go();
  }

  cancel({ deleteRemote = false }: CancelOptions = {}): Promise<void> {
    this.#cancelling ??= this.#cancel(deleteRemote);
    return this.#cancelling;
  }

  /** Every change from now on, the last one included; slow readers miss what came between, never the end. */
  async *[Symbol.asyncIterator](): AsyncGenerator<UploadSnapshot, void, void> {
    let changed = Promise.withResolvers<void>();
    const stop = this.subscribe(() => changed.resolve());
    try {
      for (let told: UploadSnapshot | undefined; ; ) {
        const { snapshot } = this;
        if (snapshot !== told) yield snapshot;
        told = snapshot;
        if (isOver(snapshot.state)) return;
        if (this.snapshot === told) await changed.promise;
        changed = Promise.withResolvers();
      }
    } finally {
      stop();
    }
  }

  readonly #onAbort = () => void this.cancel();

  #go(): void {
    const controller = new AbortController();
    this.#controller = controller;
    this.#tracker.move({ state: this.#gate === undefined ? 'preparing' : 'queued' });
    this.#running = this.#running.then(() => this.#run(controller.signal));
  }

  async #run(signal: AbortSignal): Promise<void> {
    try {
      signal.throwIfAborted();
      const leave = await this.#gate?.enter(this.#id, signal);
      let result: UploadResult;
      try {
        result = await this.#transfer.run(signal);
      } finally {
        leave?.();
      }
      const attached = result.result === undefined ? {} : { result: result.result };
      if (!this.#tracker.move({ state: 'accepted', url: result.url, ...attached })) return;
      await this.#close();
      this.#settle.resolve(result);
    } catch (error) {
      // Paused or cancelled: whoever did it has said so.
      if (signal.aborted) return;
      const { state, error: reason } = error instanceof Ending ? error : new Ending('failed', unexpected(error));
      if (!this.#tracker.move({ state, error: reason })) return;
      await this.#close();
      this.#settle.reject(reason);
    }
  }

  #cancel(deleteRemote: boolean): Promise<void> {
    const error = new UploadError('ERR_CANCELLED');
    if (!this.#tracker.move({ state: 'cancelled', error })) return Promise.resolve();
    this.#controller.abort(error);
    this.#settle.reject(error);
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

function unexpected(cause: unknown): UploadError {
  return cause instanceof UploadError ? cause : new UploadError('ERR_UNEXPECTED_RESPONSE', { cause });
}
