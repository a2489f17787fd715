// Inspections that run here, and those that wait for their next attempt. One at a time of each upload.
import { type Rejection, UploadError } from '../../shared/errors.ts';
import { nameFromType } from '../../shared/filename.ts';
import { UNKNOWN_TYPE } from '../../shared/formats.ts';
import type { ApplicationRecord } from '../../shared/upload.ts';
import { type Check, CheckCrash, CheckLater } from '../inspection/check.ts';
import { type Inspection, inspect } from '../inspection/inspection.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Policies } from '../ledger/limits.ts';
import type { LeasedUpload, Upload } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import { BACKOFF_CAP_MS, backoffMs } from '../runtime/pause.ts';
import type { Staging } from '../staging/staging.ts';
import { StagedBytesGone, type Storage } from '../storage/storage.ts';
import type { Lease, LeaseHolder } from './lease.ts';
import type { FinishPermission } from './permission.ts';
import type { Verdicts } from './verdicts.ts';

/** Crashes or time limits in a row after which a file is refused: it must not take the server down again and again. */
export const MAX_STRIKES = 5;

/** Where the ledger does not answer: it may have kept a lease, or a verdict, that a sender waits for. */
const ASK_AGAIN_MS = 2000;

/** What an inspection is made with. */
export interface InspectionTools {
  ledger: Ledger;
  holder: LeaseHolder;
  staging: Staging;
  storage: Storage;
  checks: readonly Check[];
  policies: Policies;
  checkTimeoutMs: number;
  digest?: ((content: AsyncIterable<Uint8Array>) => Promise<string>) | undefined;
  /** Undefined: nobody is asked. */
  permission?: FinishPermission | undefined;
  /** An upload as the application sees it, for the checks. */
  describe(upload: Upload): ApplicationRecord;
}

export interface AttemptsOptions extends InspectionTools {
  verdicts: Verdicts;
  /** Aborted when none is to be started any more. */
  closing: AbortSignal;
  onFault(error: unknown, id: UploadId): void;
}

/** An inspection whose lease was taken with the state change, and what is known of the bytes. */
export interface Begun {
  upload: LeasedUpload;
  head: Uint8Array | undefined;
  /** Aborted when the lease that was taken is no longer this process's own. */
  lost: AbortSignal;
}

export class Attempts {
  readonly #options: AttemptsOptions;
  readonly #running = new Map<string, Promise<void>>();
  readonly #retries = new Map<string, NodeJS.Timeout>();
  /** Attempts whose end could not be written, or was without our hearing of it. */
  readonly #unheard = new Map<string, number>();
  /** What the checks said, where nobody could tell whether it may finish: the next attempt need not read the file again. */
  readonly #inspected = new Map<string, { attempt: number; inspection: Inspection }>();

  constructor(options: AttemptsOptions) {
    this.#options = options;
  }

  /** Whether it runs here, or waits here for its next attempt. */
  has(id: UploadId): boolean {
    return this.#running.has(id) || this.#retries.has(id);
  }

  /** How many run. */
  get size(): number {
    return this.#running.size;
  }

  /** Each resolves when its attempt is over; what waits for its next one is not among them. */
  all(): Promise<void>[] {
    return [...this.#running.values()];
  }

  /** Waiting ones are left to the next start. */
  cancelRetries(): void {
    for (const timer of this.#retries.values()) clearTimeout(timer);
    this.#retries.clear();
  }

  /** Goes on with an inspection, unless it is running here. Without `begun` its lease is to be taken first. */
  run(id: UploadId, begun?: Begun): void {
    const { closing, onFault } = this.#options;
    // What waits for its next attempt has a timer, which no clock can set back; `retryAt` is for other processes.
    if (closing.aborted || this.#running.has(id) || this.#retries.has(id)) return;
    const run = this.#attempt(id, begun)
      .catch((error) => {
        onFault(error, id);
        this.#retryAfter(id, ASK_AGAIN_MS);
      })
      .finally(() => this.#running.delete(id));
    this.#running.set(id, run);
  }

  async #attempt(id: UploadId, begun: Begun | undefined): Promise<void> {
    const { ledger, holder, verdicts } = this.#options;
    const unheard = this.#unheard.get(id);
    const name = begun?.upload.leaseOwner ?? holder.name;
    // Of the same name: a lease that comes after it is taken under another.
    const lost = begun?.lost ?? holder.lost;
    const upload = begun?.upload ?? (await ledger.leases.claim(id, name));
    const inspected = this.#inspected.get(id);
    this.#inspected.delete(id);
    if (upload === undefined) {
      const now = await ledger.get(id);
      // Another holds it.
      if (now?.state === 'inspecting') {
        if (holder.isAlone) this.#retryAfter(id, BACKOFF_CAP_MS);
      }
      // The end of an earlier attempt was written, but not heard of.
      else if (now !== undefined) await verdicts.endUnheard(now, now.attempt === unheard);
      this.#unheard.delete(id);
      return;
    }
    this.#unheard.delete(id);
    const lease: Lease = { holder: name, attempt: upload.attempt, strikes: upload.strikes };
    try {
      lost.throwIfAborted();
      if (upload.strikes > MAX_STRIKES) {
        await verdicts.reject(upload, lease, { code: 'ERR_UNINSPECTABLE', detail: `Its inspection failed ${MAX_STRIKES} times.` });
      } else {
        // Nobody had it in between, and its bytes are those.
        const isNext = begun === undefined && inspected?.attempt === upload.attempt - 1;
        const inspection = isNext ? inspected.inspection : await this.#inspect(upload, lost, begun?.head);
        await this.#finish(upload, lease, lost, inspection);
      }
    } catch (error) {
      await this.#defer(upload, lease, error);
    }
  }

  #inspect(upload: LeasedUpload, lost: AbortSignal, head: Uint8Array | undefined): Promise<Inspection> {
    const { staging, checks, policies, checkTimeoutMs, digest, describe } = this.#options;
    const tools = { staging, checks, policy: policies.of(upload), checkTimeoutMs, digest, lost };
    return inspect({ upload, describe: () => describe(upload), head, ...tools });
  }

  /** @throws the reason of `lost` as soon as it is aborted: then nothing more is written */
  async #finish(upload: LeasedUpload, lease: Lease, lost: AbortSignal, inspection: Inspection): Promise<void> {
    const { ledger, staging, storage, verdicts } = this.#options;
    const { id, target } = upload;
    lost.throwIfAborted();
    if (inspection.rejection) {
      await verdicts.reject(upload, lease, inspection.rejection, inspection);
      return;
    }
    // The checks are through: what crashes from here on is not the file's doing.
    if (lease.strikes > 1) await ledger.change(id, { from: 'inspecting', lease }, { strikes: 0 }, true);
    lease.strikes = 1;
    const refusal = await this.#permit(upload, inspection);
    lost.throwIfAborted();
    if (refusal) {
      await verdicts.reject(upload, lease, refusal, inspection);
      return;
    }
    const { found } = inspection;
    const name = upload.name ?? nameFromType(id, found.extension);
    const type = found.type ?? UNKNOWN_TYPE;
    const { attempt } = lease;
    const checksum = staging.isReadBack && inspection.checksum !== null ? { checksum: inspection.checksum } : {};
    const directory = await storage.publish({ id, directory: target, name, type, attempt, ...checksum }, lost);
    lost.throwIfAborted();
    await verdicts.accept(upload, lease, inspection, { name, type, directory });
  }

  async #permit(upload: LeasedUpload, inspection: Inspection): Promise<Rejection | undefined> {
    try {
      return await this.#options.permission?.mayFinish(upload);
    } catch (error) {
      this.#inspected.set(upload.id, { attempt: upload.attempt, inspection });
      throw error;
    }
  }

  /** A fault of ours, or a crash of a check: next attempt, backoff. Only a crash stays counted. */
  async #defer(upload: LeasedUpload, lease: Lease, error: unknown): Promise<void> {
    const { ledger, verdicts, onFault } = this.#options;
    const isLater = error instanceof CheckLater;
    if (!isLater) onFault(error, upload.id);
    if (error instanceof StagedBytesGone) {
      const now = await ledger.get(upload.id);
      if (now?.state !== 'inspecting') await verdicts.withdraw(upload.id, upload.target, lease.attempt);
      if (now?.state !== 'inspecting' || now.attempt !== lease.attempt) return;
    }
    const strikes = error instanceof CheckCrash ? lease.strikes : lease.strikes - 1;
    const delayMs = isLater ? error.delayMs : backoffMs(lease.attempt - 1);
    // What is away has a code of its own, which senders are told while it is.
    const fault = error instanceof UploadError && error.status >= 500 ? error.code : null;
    const isDeferred = await ledger
      .change(upload.id, { from: 'inspecting', lease }, { strikes, fault, leaseOwner: null, retryAt: ledger.now() + delayMs }, true)
      .catch((fault) => onFault(fault, upload.id));
    if (!isDeferred) this.#unheard.set(upload.id, lease.attempt);
    this.#retryAfter(upload.id, isDeferred === false ? 0 : delayMs);
  }

  #retryAfter(id: UploadId, delayMs: number): void {
    if (this.#options.closing.aborted) return;
    clearTimeout(this.#retries.get(id));
    const timer = setTimeout(() => {
      this.#retries.delete(id);
      this.run(id);
    }, delayMs + 5);
    timer.unref();
    this.#retries.set(id, timer);
  }
}
