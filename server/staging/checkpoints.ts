// While a body comes in: how far the ledger knows its checksum, and how far its bytes would survive a power cut.
import { UploadError } from '../../shared/errors.ts';
import { NotDurable } from '../ledger/durable-changes.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload, UploadChanges } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { Reservations } from './reservations.ts';
import type { Checksum } from './running-checksum.ts';
import type { Proof, Staging } from './staging.ts';

/**
 * `chunk`: an acknowledged offset survives a power cut. `finish`: it survives a crash, and a power cut only once the file
 * is accepted.
 */
export type Durability = 'chunk' | 'finish';

/** Within one long body, at least this often: so much is read again after a crash, or sent again after a power cut. */
const EVERY_BYTES = 64 * 1024 * 1024;
const EVERY_MS = 5000;

export interface CheckpointsOptions {
  ledger: Ledger;
  staging: Staging;
  durability: Durability;
  expireAfterMs: number;
  reservations: Reservations;
}

/** For one body, under the upload's lock. One sync runs at a time, beside the writes. */
export class Checkpoints {
  readonly #id: UploadId;
  readonly #upload: Upload;
  readonly #options: CheckpointsOptions;
  readonly #requireHeld: (() => string | undefined) | undefined;
  #offset: number;
  #atMs = performance.now();
  #running: Promise<void> | undefined;
  #next: (() => void) | undefined;
  #fault: { error: unknown } | undefined;
  #isUnproved = false;

  /** @param requireHeld asked before each; what it names must still have the lock when the ledger writes it down */
  constructor(upload: Upload, offset: number, options: CheckpointsOptions, requireHeld?: () => string | undefined) {
    this.#id = upload.id;
    this.#upload = upload;
    this.#requireHeld = requireHeld;
    this.#offset = offset;
    this.#options = options;
  }

  /** As far as the ledger has it. */
  get offset(): number {
    return this.#offset;
  }

  /** After each batch was written: `checksum` is of everything written. */
  consider(checksum: Checksum, sync: () => Promise<void>): void {
    const isLate = checksum.offset - this.#offset >= EVERY_BYTES || performance.now() - this.#atMs >= EVERY_MS;
    // What can't be read back counts as far as the ledger knows it, and comes in large pieces.
    const { isReadableInProgress } = this.#options.staging;
    if (this.#fault !== undefined || (isReadableInProgress && !isLate)) return;
    const at = { ...checksum };
    if (this.#running !== undefined) {
      if (!isReadableInProgress) this.#next = () => this.consider(at, sync);
      return;
    }
    this.#running = this.#take(at, sync)
      .catch((error) => {
        // Nobody waits for this one: the next is as good.
        if (!(error instanceof NotDurable)) this.#fault = { error };
      })
      .finally(() => {
        this.#running = undefined;
        const next = this.#next;
        this.#next = undefined;
        next?.();
      });
  }

  /**
   * When the body is over and the upload is not complete: what resolves may be acknowledged.
   * @param decided what else decides of what is acknowledged: it is written with the checkpoint, not after it
   * @throws what the system says; then nothing beyond the last checkpoint is proved
   */
  async end(checksum: Checksum, proof: Proof, decided: UploadChanges = {}): Promise<void> {
    await this.#settle();
    if (this.#fault !== undefined) throw this.#fault.error;
    const sync = async () => {
      if (proof !== 'durable') await this.#options.staging.sync(this.#id);
    };
    await this.#take(checksum, sync, decided);
  }

  /** After a fault: what was written before it need not be sent again. Never rejects; where it fails, that is all it does. */
  async keep(checksum: Checksum): Promise<void> {
    await this.#settle();
    if (this.#fault === undefined && checksum.offset > this.#offset) await this.#take(checksum, async () => {}).catch(() => undefined);
  }

  /** After a fault: whether a sync failed, so that bytes written since the last checkpoint can't be proved any more. */
  async isUnproved(): Promise<boolean> {
    await this.#settle();
    return this.#isUnproved;
  }

  async #settle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #take({ checksum, offset }: Checksum, sync: () => Promise<void>, decided: UploadChanges = {}): Promise<void> {
    const { ledger, durability, expireAfterMs, reservations } = this.#options;
    const synced = durability === 'chunk' ? sync() : undefined;
    await synced?.catch((error: unknown) => {
      this.#isUnproved = true;
      throw error;
    });
    const changes = {
      ...decided,
      checksum,
      checksumOffset: offset,
      expiresAt: ledger.now() + expireAfterMs,
      reservedUntil: reservations.until(this.#upload),
    };
    const holder = this.#requireHeld?.();
    const isWritten = await ledger.checkpoint(this.#id, changes, synced === undefined ? undefined : offset, holder);
    // Woken after a long stop, say: another has come further since, or goes on from where the ledger was before.
    if (!isWritten && holder !== undefined) throw new UploadError('ERR_UPLOAD_LOCKED', { retryAfterSeconds: 1 });
    this.#offset = offset;
    this.#atMs = performance.now();
  }
}
