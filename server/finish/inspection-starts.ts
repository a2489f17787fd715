// Starts inspections: after the last byte, makes the stored bytes durable and moves the upload to `inspecting` with its first lease.
import { UploadError } from '../../shared/errors.ts';
import { NotDurable } from '../ledger/durable-changes.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { LeasedUpload, Upload, UploadIn } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import { backoffMs, pause } from '../runtime/pause.ts';
import type { Complete, Received } from '../staging/body-intake.ts';
import type { Staging } from '../staging/staging.ts';
import type { InspectionRuns } from './inspection-runs.ts';
import type { LeaseHolder } from './lease.ts';
import type { Prover } from './prover.ts';

/** After this time an unanswered statement has reached the ledger, or never will: a statement runs for at most 10 s. */
const UNCONFIRMED_MS = 15_000;
const UNCONFIRMED_RETRY_MS = 1000;

export interface InspectionStartsOptions {
  /** By upload id. InspectionStarts fills the map; the lockers, which are created before, read it. */
  startingInspections: Map<string, StartingInspection>;
  ledger: Ledger;
  staging: Staging;
  holder: LeaseHolder;
  prover: Prover;
  inspectionRuns: InspectionRuns;
  /** Aborted when the server shuts down: no inspection starts after that. */
  closing: AbortSignal;
  onFault(error: unknown, id: UploadId): void;
}

/** An inspection that is being started. */
export interface StartingInspection {
  length: number;
  held: Upload['held'];
  /** The directory for the file, named after the day on which the last byte arrived, however long the start takes. */
  target: string;
  /** Resolves to true when this process started the inspection. */
  done: Promise<boolean>;
  /** The row of a new upload that is being added. */
  row?: LeasedUpload;
}

export class InspectionStarts {
  readonly #options: InspectionStartsOptions;
  readonly #starting: Map<string, StartingInspection>;

  constructor(options: InspectionStartsOptions) {
    this.#options = options;
    this.#starting = options.startingInspections;
  }

  get size(): number {
    return this.#starting.size;
  }

  /** True while all bytes are stored and the upload is still `receiving`: no request may write meanwhile. */
  has(id: UploadId): boolean {
    return this.#starting.has(id);
  }

  get(id: UploadId): StartingInspection | undefined {
    return this.#starting.get(id);
  }

  /** One promise for each inspection that is being started. It settles when the inspection has started, or could not start. */
  all(): Promise<boolean>[] {
    return [...this.#starting.values()].map(({ done }) => done);
  }

  /**
   * Starts the inspection of an upload whose `length` bytes are all stored: makes them durable, fixes the target directory for all
   * runs, and moves the upload to `inspecting`. Works in the background and retries after faults of the server's own. Call under the
   * upload's lock, which may be released at once: until the state has changed, `has` keeps writers out. Idempotent.
   *
   * @param held the part of the upload that is acknowledged only with the verdict: the last byte, or the declaration of the length
   */
  start(id: UploadId, length: number, held: Upload['held'], complete: Complete = { proof: 'unknown' }): Promise<boolean> {
    let starting = this.#starting.get(id);
    if (starting === undefined) {
      const target = directoryFor(id, new Date());
      const done = this.#start(id, { length, held, target }, complete).finally(() => this.#starting.delete(id));
      starting = { length, held, target, done };
      this.#starting.set(id, starting);
    }
    return starting.done;
  }

  /**
   * Like `start`, for a new upload that has no row and no idempotency key, and whose bytes are all durable: adds its row as
   * `inspecting`. When that fails, `awaitVerdict` rejects with the error, and the bytes are removed.
   *
   * @param within calls `add` within the limits of the sender
   */
  startNew(
    upload: UploadIn<'receiving'>,
    length: number,
    { checksum = 0, head }: Complete,
    within: <T>(add: () => Promise<T>) => Promise<T> = (add) => add(),
  ): void {
    const { name, lost } = this.#options.holder;
    const row: LeasedUpload = {
      ...upload,
      state: 'inspecting',
      length,
      target: directoryFor(upload.id, new Date()),
      checksum,
      checksumOffset: length,
      attempt: 1,
      strikes: 1,
      leaseOwner: name,
      retryAt: null,
      fault: null,
      expiresAt: null,
    };
    const done = this.#add(row, within, head, lost).finally(() => this.#starting.delete(row.id));
    done.catch((error) => {
      // An exceeded limit is reported to the sender and is no fault of the server.
      if (!(error instanceof UploadError) || error.status >= 500) this.#options.onFault(error, row.id);
    });
    this.#starting.set(row.id, { length, held: row.held, target: row.target, done, row });
  }

  /**
   * Like `startNew`, for an upload whose body is being received. A failure before the row is added leaves nothing behind: the sender still
   * has the whole file. Call under the upload's lock.
   * @returns the stored bytes
   * @throws the error of `receiving`, or UploadError when the body is not whole or not durable
   */
  async receiveNew(
    upload: UploadIn<'receiving'>,
    receiving: Promise<Received>,
    within: <T>(add: () => Promise<T>) => Promise<T>,
  ): Promise<number> {
    try {
      const { stored, complete } = await receiving;
      if (complete === undefined) throw new UploadError('ERR_BAD_REQUEST', { detail: 'The body was cut off.' });
      if (complete.proof !== 'durable') throw new UploadError('ERR_STORAGE_UNAVAILABLE', { retryAfterSeconds: 5 });
      this.startNew(upload, stored, complete, within);
      return stored;
    } catch (error) {
      await this.#options.staging.remove(upload.id);
      throw error;
    }
  }

  async #add(
    row: LeasedUpload,
    within: <T>(add: () => Promise<T>) => Promise<T>,
    head: Uint8Array | undefined,
    lost: AbortSignal,
  ): Promise<boolean> {
    const { ledger, staging, inspectionRuns } = this.#options;
    try {
      // The ledger adds no row when other processes have taken this process for dead meanwhile.
      if (!(await within(() => ledger.create(row, true)))) throw new UploadError('ERR_STORAGE_UNAVAILABLE', { retryAfterSeconds: 1 });
      inspectionRuns.run(row.id, { upload: row, head, lost });
      return true;
    } catch (error) {
      const isRefused = error instanceof UploadError && !(error instanceof NotDurable);
      if (isRefused) await staging.remove(row.id);
      else if (ledger.isAlone) await this.#settleUnconfirmed(row.id);
      else void this.#settleUnconfirmed(row.id);
      throw error;
    }
  }

  /**
   * The row may have been added although the answer was lost. If the connection was lost, the statement may still be running, and no
   * other process would take over the inspection, because this process holds its lease.
   */
  async #settleUnconfirmed(id: UploadId): Promise<void> {
    const { ledger, staging, inspectionRuns, closing } = this.#options;
    const sinceMs = performance.now();
    for (let isOver = ledger.isAlone; ; isOver = performance.now() - sinceMs > UNCONFIRMED_MS) {
      const added = await ledger.get(id).catch(() => null);
      if (added) return inspectionRuns.run(id);
      if (isOver && added === undefined) return staging.remove(id);
      // When the ledger cannot be read either, the next start finds the row or the bytes.
      if (ledger.isAlone || !(await pause(UNCONFIRMED_RETRY_MS, closing))) return;
    }
  }

  /** Resolves to true when this process started the inspection. */
  async #start(
    id: UploadId,
    fixed: Pick<StartingInspection, 'length' | 'held' | 'target'>,
    { proof, checksum, head }: Complete,
  ): Promise<boolean> {
    const { ledger, holder, prover, inspectionRuns, closing, onFault } = this.#options;
    // The upload's lock ends with the process lease: after `lost`, the next holder of the lock starts the inspection.
    const { name, lost } = holder;
    if (proof === 'sync-failed') await prover.addSyncFailure(id);
    for (let fault = 0; !closing.aborted && !lost.aborted; fault++) {
      try {
        if (proof !== 'durable') {
          // After a verdict the staged file may be deleted, and a sync would create it anew, empty. When the inspection has started,
          // this process may hold its lease by a change whose answer was lost, so `run` tries to take the lease.
          if ((await ledger.get(id))?.state !== 'receiving') {
            inspectionRuns.run(id);
            return false;
          }
          if (!(await prover.makeDurable(id, checksum, lost))) return false;
        }
        lost.throwIfAborted();
        const upload = await ledger.startInspection(id, name, {
          ...fixed,
          // While the length was unknown, more or fewer bytes were reserved. This state exceeds no limit.
          reservedBytes: fixed.length,
          expiresAt: null,
          unverifiedFrom: null,
          ...(checksum === undefined ? {} : { checksum, checksumOffset: fixed.length }),
        });
        // Without `upload`, the inspection has started already, maybe by an earlier try of this process whose answer was lost.
        inspectionRuns.run(id, upload && { upload, head, lost });
        return upload !== undefined;
      } catch (error) {
        onFault(error, id);
        await pause(backoffMs(fault), closing);
      }
    }
    return false;
  }
}

/** The day (UTC) on which the last byte arrived, then the id: no two uploads share a directory, and backups can go by date. */
export function directoryFor(id: UploadId, day: Date): string {
  // An upload's smallest costs add up: `toISOString` takes ten times as long.
  return `${day.getUTCFullYear()}/${twoDigits(day.getUTCMonth() + 1)}/${twoDigits(day.getUTCDate())}/${id}`;
}

function twoDigits(number: number): string {
  return number < 10 ? `0${number}` : String(number);
}
