// From the last byte to the first lease: what is stored is made durable, and the upload moves to `inspecting`.
import { UploadError } from '../../shared/errors.ts';
import { NotDurable } from '../ledger/durable-changes.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { LeasedUpload, Upload, UploadIn } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import { backoffMs, pause } from '../runtime/pause.ts';
import type { Complete } from '../staging/body-intake.ts';
import type { Staging } from '../staging/staging.ts';
import type { InspectionRuns } from './inspection-runs.ts';
import type { LeaseHolder } from './lease.ts';
import type { Prover } from './prover.ts';

/** What was sent to the ledger, and not answered, has come there after so long, or never will: a statement has 10 s. */
const UNHEARD_MS = 15_000;
const LOOK_AGAIN_UNHEARD_MS = 1000;

export interface InspectionStartsOptions {
  /** By upload: filled here, and read by the locks, which are made before. */
  startingInspections: Map<string, StartingInspection>;
  ledger: Ledger;
  staging: Staging;
  holder: LeaseHolder;
  prover: Prover;
  inspectionRuns: InspectionRuns;
  /** Aborted when nothing new is to be begun. */
  closing: AbortSignal;
  onFault(error: unknown, id: UploadId): void;
}

/** An inspection that is about to begin. */
export interface StartingInspection {
  length: number;
  held: Upload['held'];
  /** Of the day on which the last byte came, however long it takes to begin. */
  target: string;
  /** With whether it was begun here. */
  done: Promise<boolean>;
  /** Of an upload that is being added. */
  row?: LeasedUpload;
}

export class InspectionStarts {
  readonly #options: InspectionStartsOptions;
  readonly #inspectionStarts: Map<string, StartingInspection>;

  constructor(options: InspectionStartsOptions) {
    this.#options = options;
    this.#inspectionStarts = options.startingInspections;
  }

  get size(): number {
    return this.#inspectionStarts.size;
  }

  /** Whether all bytes are here, and the state says `receiving` still: writers are kept out. */
  has(id: UploadId): boolean {
    return this.#inspectionStarts.has(id);
  }

  get(id: UploadId): StartingInspection | undefined {
    return this.#inspectionStarts.get(id);
  }

  /** Each settles when its inspection has begun, or is given up. */
  all(): Promise<boolean>[] {
    return [...this.#inspectionStarts.values()].map(({ done }) => done);
  }

  /**
   * All `length` bytes are stored: makes them durable, fixes what a later attempt must not change, and starts the
   * inspection; in the background, over and over while the fault is ours. To be called under the upload's lock, which may
   * be released at once: until the state has changed, `has` keeps writers out. Fine to call again.
   *
   * @param held what the sender is not told yet: the last byte, or that the length was declared
   */
  start(id: UploadId, length: number, held: Upload['held'], complete: Complete = { proof: 'unknown' }): Promise<boolean> {
    let beginning = this.#inspectionStarts.get(id);
    if (beginning === undefined) {
      const target = directoryFor(id, new Date());
      const done = this.#begin(id, { length, held, target }, complete).finally(() => this.#inspectionStarts.delete(id));
      beginning = { length, held, target, done };
      this.#inspectionStarts.set(id, beginning);
    }
    return beginning.done;
  }

  /**
   * As `begin`, for an upload that has no row yet, and no idempotency key, all of whose bytes are durable: it is added as one
   * under inspection. Who waits for its verdict is told when that fails; then its bytes go.
   *
   * @param within adds the row within the limits of its sender
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
    const done = this.#add(row, within, head, lost).finally(() => this.#inspectionStarts.delete(row.id));
    done.catch((error) => {
      // A limit that it would exceed is its sender's to hear of, and no fault.
      if (!(error instanceof UploadError) || error.status >= 500) this.#options.onFault(error, row.id);
    });
    this.#inspectionStarts.set(row.id, { length, held: row.held, target: row.target, done, row });
  }

  async #add(
    row: LeasedUpload,
    within: <T>(add: () => Promise<T>) => Promise<T>,
    head: Uint8Array | undefined,
    lost: AbortSignal,
  ): Promise<boolean> {
    const { ledger, staging, inspectionRuns } = this.#options;
    try {
      // Not where this process was taken for dead meanwhile.
      if (!(await within(() => ledger.create(row, true)))) throw new UploadError('ERR_STORAGE_UNAVAILABLE', { retryAfterSeconds: 1 });
      inspectionRuns.run(row.id, { upload: row, head, lost });
      return true;
    } catch (error) {
      const isRefused = error instanceof UploadError && !(error instanceof NotDurable);
      if (isRefused) await staging.remove(row.id);
      else if (ledger.isAlone) await this.#settleUnheard(row.id);
      else void this.#settleUnheard(row.id);
      throw error;
    }
  }

  /**
   * The row may be there all the same, from a change whose end we did not hear of. Sent by a connection that was lost, it may still be
   * on its way, too, and with our lease nobody else would take it up.
   */
  async #settleUnheard(id: UploadId): Promise<void> {
    const { ledger, staging, inspectionRuns, closing } = this.#options;
    const sinceMs = performance.now();
    for (let isOver = ledger.isAlone; ; isOver = performance.now() - sinceMs > UNHEARD_MS) {
      const added = await ledger.get(id).catch(() => null);
      if (added) return inspectionRuns.run(id);
      if (isOver && added === undefined) return staging.remove(id);
      // Who can't tell leaves it to the next start.
      if (ledger.isAlone || !(await pause(LOOK_AGAIN_UNHEARD_MS, closing))) return;
    }
  }

  /** Resolves with whether the inspection was begun here. */
  async #begin(
    id: UploadId,
    fixed: Pick<StartingInspection, 'length' | 'held' | 'target'>,
    { proof, checksum, head }: Complete,
  ): Promise<boolean> {
    const { ledger, holder, prover, inspectionRuns, closing, onFault } = this.#options;
    // The lock on the bytes ends with the lease: whoever has it next begins the inspection himself.
    const { name, lost } = holder;
    if (proof === 'unproved') await prover.distrust(id);
    for (let fault = 0; !closing.aborted && !lost.aborted; fault++) {
      try {
        if (proof !== 'durable') {
          // Where the verdict has come already, a sync would make an empty file of what was taken away. Where it is begun already,
          // its lease may be our own, from a change whose end we did not hear of: `run` finds out.
          if ((await ledger.get(id))?.state !== 'receiving') {
            inspectionRuns.run(id);
            return false;
          }
          if (!(await prover.prove(id, checksum, lost))) return false;
        }
        lost.throwIfAborted();
        const upload = await ledger.beginInspection(id, name, {
          ...fixed,
          expiresAt: null,
          unverifiedFrom: null,
          ...(checksum === undefined ? {} : { checksum, checksumOffset: fixed.length }),
        });
        // Where it is begun already, its lease may be our own, from a change whose end we did not hear of.
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

/** By the day the last byte came (UTC), then by id: safe beside any other upload, easy to back up by date. */
export function directoryFor(id: UploadId, day: Date): string {
  return `${day.toISOString().slice(0, 10).replaceAll('-', '/')}/${id}`;
}
