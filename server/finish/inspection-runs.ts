// The inspections of this process: those that run, and those that wait for their next run. Each upload has one run at a time.
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

/** After this many crashes or exceeded time limits in a row a file is refused, so that one file cannot crash the server for ever. */
export const MAX_STRIKES = 5;

/** Time until the next run when the ledger does not answer: a sender may wait for the verdict, and this process may hold the lease. */
const LEDGER_RETRY_MS = 2000;

/** The parts that an inspection needs. */
export interface InspectionTools {
  ledger: Ledger;
  holder: LeaseHolder;
  staging: Staging;
  storage: Storage;
  checks: readonly Check[];
  policies: Policies;
  checkTimeoutMs: number;
  digest?: ((content: AsyncIterable<Uint8Array>) => Promise<string>) | undefined;
  /** Undefined: no permission is needed. */
  permission?: FinishPermission | undefined;
  /** Makes the upload's record for the checks, as the application sees it. */
  describe(upload: Upload): ApplicationRecord;
}

export interface InspectionRunsOptions extends InspectionTools {
  verdicts: Verdicts;
  /** Aborted when the server shuts down: no run starts after that. */
  closing: AbortSignal;
  onFault(error: unknown, id: UploadId): void;
}

/** An inspection whose lease this process took with the move to `inspecting`. */
export interface StartedInspection {
  upload: LeasedUpload;
  /** First bytes of the file, if this process has them. */
  head: Uint8Array | undefined;
  /** Aborted when this process loses the lease. */
  lost: AbortSignal;
}

export class InspectionRuns {
  readonly #options: InspectionRunsOptions;
  readonly #running = new Map<string, Promise<void>>();
  readonly #retries = new Map<string, NodeJS.Timeout>();
  /** Numbers of runs whose end is not confirmed: the ledger did not write it, or its answer was lost. */
  readonly #unconfirmed = new Map<string, number>();
  /** Check results of runs that ended because `permission` failed, so that the next run does not read the file again. */
  readonly #inspected = new Map<string, { attempt: number; inspection: Inspection }>();

  constructor(options: InspectionRunsOptions) {
    this.#options = options;
  }

  /** True when the inspection runs, or waits for its next run, in this process. */
  has(id: UploadId): boolean {
    return this.#running.has(id) || this.#retries.has(id);
  }

  /** Number of running inspections. */
  get size(): number {
    return this.#running.size;
  }

  /** One promise for each running inspection: it resolves when the run is over. Inspections that wait for their next run are left out. */
  all(): Promise<void>[] {
    return [...this.#running.values()];
  }

  /** Cancels the timers of waiting inspections, which are left to the next start. */
  cancelRetries(): void {
    for (const timer of this.#retries.values()) clearTimeout(timer);
    this.#retries.clear();
  }

  /** Starts a run, unless the inspection runs or waits in this process. Without `started`, the run takes the lease first. */
  run(id: UploadId, started?: StartedInspection): void {
    const { closing, onFault } = this.#options;
    // A waiting inspection has a timer, which no change of a clock can delay. `retryAt` in the row is for other processes.
    if (closing.aborted || this.#running.has(id) || this.#retries.has(id)) return;
    const run = this.#run(id, started)
      .catch((error) => {
        onFault(error, id);
        this.#retryAfter(id, LEDGER_RETRY_MS);
      })
      .finally(() => this.#running.delete(id));
    this.#running.set(id, run);
  }

  async #run(id: UploadId, started: StartedInspection | undefined): Promise<void> {
    const { ledger, holder, verdicts } = this.#options;
    const unconfirmed = this.#unconfirmed.get(id);
    const name = started?.upload.leaseOwner ?? holder.name;
    // Read together with the name, and before any wait: each name has its own signal.
    const lost = started?.lost ?? holder.lost;
    const upload = started?.upload ?? (await ledger.leases.claim(id, name));
    const inspected = this.#inspected.get(id);
    this.#inspected.delete(id);
    if (upload === undefined) {
      const now = await ledger.get(id);
      // Another process holds the lease.
      if (now?.state === 'inspecting') {
        if (holder.isAlone) this.#retryAfter(id, BACKOFF_CAP_MS);
      }
      // The upload has ended, maybe by an earlier run of this process whose answer was lost.
      else if (now !== undefined) await verdicts.settleEnded(now, now.attempt === unconfirmed);
      this.#unconfirmed.delete(id);
      return;
    }
    this.#unconfirmed.delete(id);
    const lease: Lease = { holder: name, attempt: upload.attempt, strikes: upload.strikes };
    try {
      lost.throwIfAborted();
      if (upload.strikes > MAX_STRIKES) {
        await verdicts.reject(upload, lease, { code: 'ERR_UNINSPECTABLE', detail: `Its inspection failed ${MAX_STRIKES} times.` });
      } else {
        // The run numbers follow each other, so no other process ran the inspection in between, and the bytes are the same.
        const isNext = started === undefined && inspected?.attempt === upload.attempt - 1;
        const inspection = isNext ? inspected.inspection : await this.#inspect(upload, lost, started?.head);
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

  /** @throws the reason of `lost` when it is aborted: nothing is written after that */
  async #finish(upload: LeasedUpload, lease: Lease, lost: AbortSignal, inspection: Inspection): Promise<void> {
    const { ledger, staging, storage, verdicts } = this.#options;
    const { id, target } = upload;
    lost.throwIfAborted();
    if (inspection.rejection) {
      await verdicts.reject(upload, lease, inspection.rejection, inspection);
      return;
    }
    // The checks have passed: a later crash must not count against the file.
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

  /** Schedules the next run after a fault of the server's own, or a crash of a check. Only a crash stays counted as a strike. */
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
    // When a needed service is unreachable, senders are told its code while they wait.
    const fault = error instanceof UploadError && error.status >= 500 ? error.code : null;
    const isDeferred = await ledger
      .change(upload.id, { from: 'inspecting', lease }, { strikes, fault, leaseOwner: null, retryAt: ledger.now() + delayMs }, true)
      .catch((fault) => onFault(fault, upload.id));
    if (!isDeferred) this.#unconfirmed.set(upload.id, lease.attempt);
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
