// From the last byte to the first lease: what is stored is made durable, and the upload moves to `inspecting`.
import { UploadError } from '../../shared/errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { LeasedUpload, Upload, UploadIn } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import { backoffMs, pause } from '../runtime/pause.ts';
import type { Complete, Received } from '../staging/body-intake.ts';
import type { Staging } from '../staging/staging.ts';
import type { Attempts } from './attempts.ts';
import type { LeaseHolder } from './lease.ts';
import type { Prover } from './prover.ts';

export interface BeginningsOptions {
  /** By upload: filled here, and read by the locks, which are made before. */
  aboutToBegin: Map<string, Beginning>;
  ledger: Ledger;
  staging: Staging;
  holder: LeaseHolder;
  prover: Prover;
  attempts: Attempts;
  /** Aborted when nothing new is to be begun. */
  closing: AbortSignal;
  onFault(error: unknown, id: UploadId): void;
}

/** An inspection that is about to begin. */
export interface Beginning {
  length: number;
  held: Upload['held'];
  /** Of the day on which the last byte came, however long it takes to begin. */
  target: string;
  /** With whether it was begun here. */
  done: Promise<boolean>;
  /** Of an upload that is being added. */
  row?: LeasedUpload;
}

export class Beginnings {
  readonly #options: BeginningsOptions;
  readonly #beginnings: Map<string, Beginning>;

  constructor(options: BeginningsOptions) {
    this.#options = options;
    this.#beginnings = options.aboutToBegin;
  }

  get size(): number {
    return this.#beginnings.size;
  }

  /** Whether all bytes are here, and the state says `receiving` still: writers are kept out. */
  has(id: UploadId): boolean {
    return this.#beginnings.has(id);
  }

  get(id: UploadId): Beginning | undefined {
    return this.#beginnings.get(id);
  }

  /** Each settles when its inspection has begun, or is given up. */
  all(): Promise<boolean>[] {
    return [...this.#beginnings.values()].map(({ done }) => done);
  }

  /**
   * All `length` bytes are stored: makes them durable, fixes what a later attempt must not change, and starts the
   * inspection; in the background, over and over while the fault is ours. To be called under the upload's lock, which may
   * be released at once: until the state has changed, `has` keeps writers out. Fine to call again.
   *
   * @param held what the sender is not told yet: the last byte, or that the length was declared
   */
  begin(id: UploadId, length: number, held: Upload['held'], complete: Complete = { proof: 'unknown' }): Promise<boolean> {
    let beginning = this.#beginnings.get(id);
    if (beginning === undefined) {
      const target = directoryFor(id, new Date());
      const done = this.#begin(id, { length, held, target }, complete).finally(() => this.#beginnings.delete(id));
      beginning = { length, held, target, done };
      this.#beginnings.set(id, beginning);
    }
    return beginning.done;
  }

  /**
   * As `begin`, for an upload that has no row yet, and no idempotency key, all of whose bytes are durable: it is added as one
   * under inspection. Who waits for its verdict is told when that fails; then its bytes go.
   *
   * @param within adds the row within the limits of its sender
   */
  beginNew(
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
    const done = this.#add(row, within, head, lost).finally(() => this.#beginnings.delete(row.id));
    done.catch((error) => {
      // A limit that it would exceed is its sender's to hear of, and no fault.
      if (!(error instanceof UploadError) || error.status >= 500) this.#options.onFault(error, row.id);
    });
    this.#beginnings.set(row.id, { length, held: row.held, target: row.target, done, row });
  }

  /**
   * As `beginNew`, for an upload whose body is being received. Whatever goes wrong before it has a row: nothing was created, and its
   * sender has all of it. Under the upload's lock, as a body is received.
   * @returns bytes stored
   * @throws what receiving did, or what is wrong with what came
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
      this.beginNew(upload, stored, complete, within);
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
    const { ledger, staging, attempts } = this.#options;
    try {
      await within(() => ledger.create(row, true));
      attempts.run(row.id, { upload: row, head, lost });
      return true;
    } catch (error) {
      // It may be there all the same, from a change whose end we did not hear of. Who can't tell leaves it to the next start.
      const added = await ledger.get(row.id);
      if (added) attempts.run(row.id);
      else await staging.remove(row.id);
      throw error;
    }
  }

  /** Resolves with whether the inspection was begun here. */
  async #begin(id: UploadId, fixed: Pick<Beginning, 'length' | 'held' | 'target'>, { proof, checksum, head }: Complete): Promise<boolean> {
    const { ledger, holder, prover, attempts, closing, onFault } = this.#options;
    // The lock on the bytes ends with the lease: whoever has it next begins the inspection himself.
    const { name, lost } = holder;
    if (proof === 'unproved') await prover.distrust(id);
    for (let fault = 0; !closing.aborted && !lost.aborted; fault++) {
      try {
        if (proof !== 'durable') {
          // Where the verdict has come already, a sync would make an empty file of what was taken away. Where it is begun already,
          // its lease may be our own, from a change whose end we did not hear of: `run` finds out.
          if ((await ledger.get(id))?.state !== 'receiving') {
            attempts.run(id);
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
        attempts.run(id, upload && { upload, head, lost });
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
