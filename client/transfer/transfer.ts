// One file from opening to verdict: attempt after attempt, until the server has decided, the budget of time is spent, or
// somebody stops it. Run again after a stop it goes on.
import { UploadError } from '../../shared/errors.ts';
import { follow, tellFollowers } from '../handle/following.ts';
import type { UploadResult } from '../handle/snapshot.ts';
import type { Tracker } from '../handle/tracker.ts';
import type { UploadOptions } from '../options.ts';
import type { Platform, Source, SourceReference } from '../ports.ts';
import { acceptedResult } from './acceptance.ts';
import { watchArrival } from './arrival.ts';
import { type AttemptOptions, type AttemptOutcome, attempt } from './attempt.ts';
import { RunningChecksum } from './checksum.ts';
import { attemptDirectly, NoDirectUploads } from './direct.ts';
import { Ending, Failure } from './failure.ts';
import { GuardedHttp } from './guarded-http.ts';
import { type Opened, prepare } from './opened.ts';
import { gaveUp, Patience } from './patience.ts';
import { decide } from './retry.ts';
import { SourceReader } from './source-reader.ts';
import { terminate } from './termination.ts';

/** More than the buffers between here and the server's disk hold. */
const IN_FLIGHT_BYTES = 64 * 1024 * 1024;

/** So long is a host tried that has no address: the network may only just be coming up. */
const UNKNOWN_HOST_MS = 60_000;

export class Transfer {
  readonly #reference: SourceReference;
  readonly #endpoint: string;
  readonly #options: UploadOptions;
  readonly #platform: Platform;
  readonly #tracker: Tracker;
  readonly #http: GuardedHttp;
  readonly #patience: Patience;
  /** For what goes past the server; undefined where nothing does. */
  #storage: GuardedHttp | undefined;
  #source: Source | undefined;
  #opened: Opened | undefined;
  #hasStarted = false;
  #hasRestarted = false;

  constructor(reference: SourceReference, endpoint: string, options: UploadOptions, platform: Platform, tracker: Tracker) {
    this.#reference = reference;
    this.#endpoint = endpoint;
    this.#options = options;
    this.#platform = platform;
    this.#tracker = tracker;
    this.#http = new GuardedHttp(platform, options);
    if (options.via === 'direct') this.#storage = new GuardedHttp(platform, { timeouts: options.timeouts ?? {} });
    this.#patience = new Patience(options.budgetMs ?? platform.budgetMs, platform.surroundings, tracker);
  }

  /**
   * Resolves when the server accepted the file.
   *
   * @throws Ending, or the reason of the signal
   */
  async run(signal: AbortSignal): Promise<UploadResult> {
    const tracker = this.#tracker;
    tracker.move({ state: 'preparing' });
    const { keepAwake = true, confirmLeaving = true } = this.#options;
    const letGo = this.#platform.surroundings.hold({ keepAwake, confirmLeaving });
    let release: (() => void) | undefined;
    try {
      const opened = await this.#open(signal);
      const { journal } = opened;
      // Seen before the lock is waited for: when its holder is done the record is gone, and the address tells how it ended.
      await journal.recall();
      if (journal.lockName !== undefined) {
        release = await this.#lock(journal.lockName, signal);
        await journal.recall();
      }
      return await this.#untilVerdict(opened, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Ending) throw error;
      throw new Ending('failed', error instanceof UploadError ? error : new UploadError('ERR_UNEXPECTED_RESPONSE', { cause: error }));
    } finally {
      await this.#opened?.journal.save();
      release?.();
      letGo();
    }
  }

  /** Ends a wait. */
  tryNow(): void {
    this.#patience.tryNow();
  }

  /** It is over: nothing of it is kept on this side but the record, where there is something to go on with. */
  async close(): Promise<void> {
    await this.#source?.close().catch(() => {});
    this.#source = undefined;
  }

  /** Forgets it here, and deletes it on the server if asked. @throws UploadError when that did not work */
  async discard(deleteRemote: boolean): Promise<void> {
    const journal = this.#opened?.journal;
    if (journal === undefined) return;
    try {
      if (deleteRemote && journal.isAsked) {
        const { url, idempotencyKey, metadata } = journal;
        const size = this.#opened?.source.size ?? null;
        await terminate(this.#http, { endpoint: this.#endpoint, url, idempotencyKey, metadata, size });
      }
    } finally {
      await journal.startOver();
    }
  }

  /** Resolves when nobody else sends this file, with how to let them. @throws the reason of the signal */
  async #lock(name: string, signal: AbortSignal): Promise<() => void> {
    const tracker = this.#tracker;
    const { locks, channels } = this.#platform;
    let unfollow = () => {};
    const waiting = () => {
      tracker.move({ state: 'waiting', waiting: { reason: 'elsewhere' } });
      unfollow = follow(channels, name, (progress) => tracker.follow(progress));
    };
    const release = await locks.acquire(name, signal, waiting).finally(() => unfollow());
    const stopTelling = tellFollowers(channels, name, (listener) => tracker.subscribe(listener));
    return () => {
      stopTelling();
      release();
    };
  }

  async #open(signal: AbortSignal): Promise<Opened> {
    if (this.#opened) return this.#opened;
    this.#source ??= await this.#reference.open();
    const source = this.#source;
    const name = (this.#options.name ?? source.name).toWellFormed();
    this.#tracker.opened(name, source.size);
    signal.throwIfAborted();
    this.#opened = await prepare(source, name, this.#endpoint, this.#options, this.#platform);
    return this.#opened;
  }

  async #untilVerdict(opened: Opened, signal: AbortSignal): Promise<UploadResult> {
    const { journal, source } = opened;
    const { checkpoint } = journal;
    if (opened.checksum && checkpoint && checkpoint.offset > opened.checksum.before(Number.POSITIVE_INFINITY).offset) {
      opened.checksum = new RunningChecksum(this.#platform.crc32, checkpoint);
    }
    for (;;) {
      signal.throwIfAborted();
      if (this.#tracker.state !== 'inspecting') this.#tracker.move({ state: 'preparing' });
      this.#tracker.attempted();
      this.#tracker.created(journal.url ?? undefined);
      this.#patience.begin();
      const reader = new SourceReader(opened, this.#platform);
      const attempting = new AbortController();
      try {
        if (journal.url === null) await journal.asking();
        const outcome = await this.#attempt({
          endpoint: this.#endpoint,
          url: journal.url,
          idempotencyKey: journal.idempotencyKey,
          metadata: journal.metadata,
          source,
          reader,
          chunkSize: opened.chunkSize,
          http: this.#http,
          signal,
          onCreated: async (url) => {
            await journal.created(url);
            this.#tracker.created(url);
          },
          onConfirmed: (offset) => this.#confirm(opened, offset),
          onSending: (start) => {
            // Asked again for its verdict, it is sent the one byte that is held back.
            const isVerdictAsked = this.#tracker.state === 'inspecting' && hasAllButOne(source, start);
            if (!isVerdictAsked) this.#tracker.move({ state: 'uploading' });
          },
          onSent: (offset, isAll) => {
            this.#patience.moved();
            this.#tracker.send(offset);
            // One body may be the whole file: what is confirmed when it breaks is not far behind what was sent.
            journal.keep(this.#tracker.confirmed, opened.checksum?.before(Math.max(offset - IN_FLIGHT_BYTES, 0)));
            if (!isAll) return;
            if (hasAllButOne(source, this.#tracker.confirmed)) this.#tracker.move({ state: 'inspecting' });
            else void this.#untilArrived(journal.url, AbortSignal.any([signal, attempting.signal]));
          },
        }).finally(() => attempting.abort());
        if (outcome === 'acknowledged') return await this.#accept(opened, signal);
        await this.#patience.askAgain(signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof Failure)) throw error;
        this.#patience.failed();
        reader.end();
        await this.#recover(error, opened, signal);
      } finally {
        reader.end();
      }
    }
  }

  /** The last bytes have left: as long as the server does not have them the upload is not in its hands. */
  async #untilArrived(url: string | null, signal: AbortSignal): Promise<void> {
    if (url !== null) await watchArrival(this.#http, url, signal, () => this.#tracker.move({ state: 'inspecting' }));
  }

  async #attempt(options: AttemptOptions): Promise<AttemptOutcome> {
    if (this.#storage === undefined) return attempt(options);
    try {
      return await attemptDirectly({ ...options, storage: this.#storage });
    } catch (error) {
      if (!(error instanceof NoDirectUploads)) throw error;
      this.#storage = undefined;
      return attempt(options);
    }
  }

  /** Resolves when the next attempt is due. @throws Ending */
  async #recover(failure: Failure, opened: Opened, signal: AbortSignal): Promise<void> {
    const { surroundings } = this.#platform;
    const { journal, chunkSize } = opened;
    const { error } = failure;
    const decision = decide(failure, {
      isOnline: surroundings.isOnline(),
      canReauthorize: this.#http.canReauthorize,
      canRestart: !this.#hasRestarted,
    });
    switch (decision.kind) {
      case 'retry': {
        // A host that was never there, in this run or an earlier one, was hardly meant.
        const isNeverHeardOf = failure.isUnknownHost && !this.#hasStarted && journal.url === null;
        return this.#patience.wait(decision.reason, error, signal, isNeverHeardOf ? UNKNOWN_HOST_MS : undefined);
      }
      case 'ask-again':
        return this.#patience.askAgain(signal, error.retryAfterSeconds || 1);
      case 'reauthorize':
        return this.#http.reauthorize();
      case 'shrink':
        if (chunkSize.tooLarge(failure.bodyBytes)) return;
        break;
      case 'restart':
        this.#hasRestarted = true;
        await journal.startOver();
        this.#tracker.move({ state: 'waiting', waiting: { reason: 'restarted', until: Date.now() }, error });
        this.#tracker.confirm(0, true);
        return;
      case 'reject':
        await journal.forget();
        throw new Ending('rejected', error);
    }
    // Nothing to go on with: of another content, or never made.
    if (error.code === 'ERR_SOURCE_CHANGED' || journal.url === null) await journal.forget();
    throw new Ending('failed', error);
  }

  /** @throws Failure when the server has nothing more than before and the budget is spent */
  #confirm({ checksum, journal, source }: Opened, offset: number): void {
    const before = this.#tracker.confirmed;
    const isStart = !this.#hasStarted;
    this.#hasStarted = true;
    this.#tracker.confirm(offset, isStart);
    const isComplete = hasAllButOne(source, offset);
    if (!this.#patience.heard(offset !== before || isStart, isComplete)) throw new Failure(gaveUp(), { cause: 'hopeless', method: 'HEAD' });
    journal.keep(offset, checksum?.before(offset));
  }

  /** The last byte is acknowledged. @throws Ending when the record says otherwise */
  async #accept({ source, name, journal, checksum }: Opened, signal: AbortSignal): Promise<UploadResult> {
    const tracker = this.#tracker;
    const result = await acceptedResult({
      http: this.#http,
      url: journal.url ?? this.#endpoint,
      name,
      size: source.size,
      sent: tracker.confirmed,
      crc32: (size) => checksum?.at(size),
      resumed: tracker.resumedFrom > 0,
      signal,
      askAgain: () => this.#patience.askAgain(signal, 1),
      wait: async (error) => {
        await this.#patience.wait('interrupted', error, signal);
        tracker.move({ state: 'preparing' });
      },
    }).catch(async (error) => {
      if (error instanceof Ending) await journal.forget();
      throw error;
    });
    await journal.forget();
    tracker.sized(result.size);
    tracker.confirm(result.size, false);
    return result;
  }
}

/** The last byte is acknowledged with the verdict. */
function hasAllButOne({ size }: Source, offset: number): boolean {
  return size !== null && offset >= size - 1;
}
