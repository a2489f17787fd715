// Sends one file, attempt after attempt, until the server has a verdict, the time budget is spent, or the caller aborts. After an
// abort `run` may be called again and resumes the upload.
import { UploadError } from '../../shared/errors.ts';
import type { UploadResult } from '../handle/snapshot.ts';
import type { Tracker } from '../handle/tracker.ts';
import type { UploadOptions } from '../options.ts';
import type { Platform, Source, SourceReference } from '../ports.ts';
import { acceptedResult } from './acceptance.ts';
import { type AttemptOptions, type AttemptOutcome, attempt } from './attempt.ts';
import { RunningChecksum } from './checksum.ts';
import { attemptDirectly, DirectUploadsUnavailable } from './direct.ts';
import { Failure, UploadEnded } from './failure.ts';
import { GuardedHttp } from './guarded-http.ts';
import { watchForInspection } from './inspection-watch.ts';
import { hasRecord, type PreparedUpload, prepareUpload } from './prepared-upload.ts';
import { decide } from './retry.ts';
import { noProgressError, RetrySchedule } from './retry-schedule.ts';
import { SourceReader } from './source-reader.ts';
import { terminate } from './termination.ts';
import { UploadLock } from './upload-lock.ts';

/** Upper bound for bytes in buffers between this device and the server's disk. */
const IN_FLIGHT_BYTES = 64 * 1024 * 1024;

/** Time limit for a host name without an address: the network may only just be starting. */
const UNKNOWN_HOST_MS = 60_000;

/** Cancelled uploads that had not begun open their files one after the other: a queue may cancel a hundred thousand at once. */
let opened: Promise<unknown> = Promise.resolve();

export class Transfer {
  readonly #reference: SourceReference;
  readonly #endpoint: string;
  readonly #options: UploadOptions;
  readonly #platform: Platform;
  readonly #tracker: Tracker;
  readonly #http: GuardedHttp;
  readonly #retries: RetrySchedule;
  readonly #lock: UploadLock;
  /** For requests to S3; undefined when the upload goes through the server. */
  #storageHttp: GuardedHttp | undefined;
  #source: Source | undefined;
  #prepared: PreparedUpload | undefined;
  #hasStarted = false;
  #hasRestarted = false;

  constructor(reference: SourceReference, endpoint: string, options: UploadOptions, platform: Platform, tracker: Tracker) {
    this.#reference = reference;
    this.#endpoint = endpoint;
    this.#options = options;
    this.#platform = platform;
    this.#tracker = tracker;
    this.#http = new GuardedHttp(platform, options);
    this.#lock = new UploadLock(platform, tracker);
    if (options.via === 'direct') this.#storageHttp = new GuardedHttp(platform, { timeouts: options.timeouts ?? {} });
    this.#retries = new RetrySchedule(options.budgetMs ?? platform.budgetMs, platform.environment, tracker);
  }

  /**
   * Resolves when the server accepted the file.
   *
   * @throws UploadEnded, or the reason of the signal
   */
  async run(signal: AbortSignal): Promise<UploadResult> {
    const tracker = this.#tracker;
    tracker.transition({ state: 'preparing' });
    const { keepAwake = true, confirmLeaving = true } = this.#options;
    const releasePage = this.#platform.environment.guardPage({ keepAwake, confirmLeaving });
    try {
      const prepared = await this.#prepare(signal);
      await this.#lock.take(prepared.journal, signal);
      return await this.#runAttempts(prepared, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof UploadEnded) throw error;
      throw new UploadEnded('failed', error instanceof UploadError ? error : new UploadError('ERR_UNEXPECTED_RESPONSE', { cause: error }));
    } finally {
      // Without the lock the record is that of another handle.
      if (this.#lock.isHeld) await this.#prepared?.journal.save();
      // A cancelled upload keeps the lock until `discard` has ended, so that no other tab resumes what is about to be deleted.
      if (tracker.state !== 'cancelled') this.#lock.release();
      releasePage();
    }
  }

  /** Ends a wait, so that the next attempt starts now. */
  retryNow(): void {
    this.#retries.retryNow();
  }

  /** Closes the source. The resume record stays, if there is one. */
  async close(): Promise<void> {
    await this.#source?.close().catch(() => {});
    this.#source = undefined;
  }

  /**
   * Removes the resume record and, if asked, deletes the upload on the server. While another tab or process sends the file, the record
   * and the upload are those of the other one, and stay. Call after the cancelled run has ended.
   *
   * @throws UploadError when the server did not delete the upload
   */
  async discard(deleteRemote: boolean): Promise<void> {
    try {
      const prepared = this.#prepared ?? (await this.#prepareToDiscard());
      if (prepared === undefined) return;
      const { journal, source } = prepared;
      if (!(await this.#lock.takeIfFree(journal))) return;
      try {
        if (deleteRemote && journal.isCreationRequested) {
          const { url, idempotencyKey, metadata } = journal;
          await terminate(this.#http, { endpoint: this.#endpoint, url, idempotencyKey, metadata, size: source.size });
        }
      } finally {
        await journal.remove();
      }
    } finally {
      this.#lock.release();
    }
  }

  async #prepare(signal: AbortSignal): Promise<PreparedUpload> {
    if (this.#prepared) return this.#prepared;
    const { source, name } = await this.#open();
    this.#tracker.sourceOpened(name, source.size);
    signal.throwIfAborted();
    this.#prepared = await prepareUpload(source, name, this.#endpoint, this.#options, this.#platform);
    return this.#prepared;
  }

  /** Prepares an upload that had not begun, if an earlier visit left a record of it. */
  async #prepareToDiscard(): Promise<PreparedUpload | undefined> {
    if (this.#options.resume === false) return undefined;
    const prepared = opened.then(async () => {
      const { source, name } = await this.#open();
      const upload = [source, name, this.#endpoint, this.#options, this.#platform] as const;
      return (await hasRecord(...upload)) ? prepareUpload(...upload) : undefined;
    });
    // A file that cannot be read any more cannot be recognised.
    const found = prepared.catch(() => undefined);
    opened = found;
    return found;
  }

  async #open(): Promise<{ source: Source; name: string }> {
    this.#source ??= await this.#reference.open();
    return { source: this.#source, name: (this.#options.name ?? this.#source.name).toWellFormed() };
  }

  async #runAttempts(prepared: PreparedUpload, signal: AbortSignal): Promise<UploadResult> {
    const { journal, source } = prepared;
    const { checkpoint } = journal;
    if (prepared.checksum && checkpoint && checkpoint.offset > prepared.checksum.checkpointBefore(Number.POSITIVE_INFINITY).offset) {
      prepared.checksum = new RunningChecksum(this.#platform.crc32, checkpoint);
    }
    for (;;) {
      signal.throwIfAborted();
      if (this.#tracker.state !== 'inspecting') this.#tracker.transition({ state: 'preparing' });
      this.#tracker.attemptStarted();
      this.#tracker.urlKnown(journal.url ?? undefined);
      this.#retries.startAttempt();
      const reader = new SourceReader(prepared, this.#platform);
      const attemptEnd = new AbortController();
      try {
        if (journal.url === null) await journal.creationRequested();
        const outcome = await this.#attempt({
          endpoint: this.#endpoint,
          url: journal.url,
          idempotencyKey: journal.idempotencyKey,
          metadata: journal.metadata,
          source,
          reader,
          chunkSize: prepared.chunkSize,
          http: this.#http,
          signal,
          onCreated: async (url) => {
            await journal.created(url);
            this.#tracker.urlKnown(url);
          },
          onConfirmed: (offset) => this.#confirm(prepared, offset),
          onSending: (start) => {
            // A repeated request for the verdict sends the one byte that the server holds back; the state stays `inspecting`.
            const isVerdictRequest = this.#tracker.state === 'inspecting' && lacksOnlyHeldByte(source, start);
            if (!isVerdictRequest) this.#tracker.transition({ state: 'uploading' });
          },
          onSent: (offset, isAll) => {
            this.#retries.bytesSent();
            this.#tracker.bytesSent(offset);
            // One body may carry the whole file. When it breaks, the confirmed offset is close behind the sent one, so checkpoints follow
            // the latter.
            journal.progressed(this.#tracker.confirmed, prepared.checksum?.checkpointBefore(Math.max(offset - IN_FLIGHT_BYTES, 0)));
            if (!isAll) return;
            if (lacksOnlyHeldByte(source, this.#tracker.confirmed)) this.#tracker.transition({ state: 'inspecting' });
            else void this.#watchForInspection(journal.url, AbortSignal.any([signal, attemptEnd.signal]));
          },
        }).finally(() => attemptEnd.abort());
        if (outcome === 'acknowledged') return await this.#accept(prepared, signal);
        await this.#retries.waitForVerdict(signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof Failure)) throw error;
        this.#retries.attemptFailed();
        reader.end();
        await this.#recover(error, prepared, signal);
      } finally {
        reader.end();
      }
    }
  }

  /** Moves to `inspecting` only when the server has the last bytes, not when they leave this device. */
  async #watchForInspection(url: string | null, signal: AbortSignal): Promise<void> {
    if (url !== null) await watchForInspection(this.#http, url, signal, () => this.#tracker.transition({ state: 'inspecting' }));
  }

  async #attempt(options: AttemptOptions): Promise<AttemptOutcome> {
    if (this.#storageHttp === undefined) return attempt(options);
    try {
      return await attemptDirectly({ ...options, storage: this.#storageHttp });
    } catch (error) {
      if (!(error instanceof DirectUploadsUnavailable)) throw error;
      this.#storageHttp = undefined;
      return attempt(options);
    }
  }

  /** Resolves when the next attempt is due. @throws UploadEnded */
  async #recover(failure: Failure, prepared: PreparedUpload, signal: AbortSignal): Promise<void> {
    const { environment } = this.#platform;
    const { journal, chunkSize } = prepared;
    const { error } = failure;
    const decision = decide(failure, {
      isOnline: environment.isOnline(),
      canReauthorize: this.#http.canReauthorize,
      canRestart: !this.#hasRestarted,
    });
    switch (decision.kind) {
      case 'retry': {
        // A host name that never resolved, in this run or an earlier one, is probably a typing error.
        const wasNeverReached = failure.isUnknownHost && !this.#hasStarted && journal.url === null;
        return this.#retries.waitForRetry(decision.reason, error, signal, wasNeverReached ? UNKNOWN_HOST_MS : undefined);
      }
      case 'await-verdict':
        return this.#retries.waitForVerdict(signal, error.retryAfterSeconds || 1);
      case 'reauthorize':
        return this.#http.reauthorize();
      case 'shrink':
        if (chunkSize.lowerCeiling(failure.bodyBytes)) return;
        break;
      case 'restart':
        if (journal.hasVanished) {
          await journal.remove();
          throw new UploadEnded('cancelled', new UploadError('ERR_CANCELLED'));
        }
        this.#hasRestarted = true;
        journal.restart();
        this.#tracker.transition({ state: 'waiting', waiting: { reason: 'restarted', until: Date.now() }, error });
        this.#tracker.confirm(0, true);
        return;
      case 'reject':
        await journal.remove();
        throw new UploadEnded('rejected', error);
    }
    // There is nothing to resume: the content changed, or the upload was never created.
    if (error.code === 'ERR_SOURCE_CHANGED' || (journal.url === null && !journal.isReplacing)) await journal.remove();
    throw new UploadEnded('failed', error);
  }

  /** @throws Failure when the server made no progress and the budget is spent */
  #confirm({ checksum, journal, source }: PreparedUpload, offset: number): void {
    const before = this.#tracker.confirmed;
    const isStart = !this.#hasStarted;
    this.#hasStarted = true;
    this.#tracker.confirm(offset, isStart);
    const isComplete = lacksOnlyHeldByte(source, offset);
    if (!this.#retries.offsetReported(offset !== before || isStart, isComplete))
      throw new Failure(noProgressError(), { cause: 'permanent', method: 'HEAD' });
    journal.progressed(offset, checksum?.checkpointBefore(offset));
  }

  /** The server acknowledged the last byte. @throws UploadEnded when its record shows a refusal */
  async #accept({ source, name, journal, checksum }: PreparedUpload, signal: AbortSignal): Promise<UploadResult> {
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
      beforeNextPoll: () => this.#retries.waitForVerdict(signal, 1),
      afterFailure: async (error) => {
        await this.#retries.waitForRetry('interrupted', error, signal);
        tracker.transition({ state: 'preparing' });
      },
    }).catch(async (error) => {
      if (error instanceof UploadEnded) await journal.remove();
      throw error;
    });
    await journal.remove();
    tracker.sizeKnown(result.size);
    tracker.confirm(result.size, false);
    return result;
  }
}

/** The server has every byte and acknowledges the last one only with the verdict. */
function lacksOnlyHeldByte({ size }: Source, offset: number): boolean {
  return size !== null && offset >= size - 1;
}
