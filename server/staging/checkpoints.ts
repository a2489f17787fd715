// Checkpoints of a body that is being received: writes the running checksum, and the offset that survives a power cut, to the ledger.
import { UploadError } from '../../shared/errors.ts';
import { NotDurable } from '../ledger/durable-changes.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload, UploadChanges } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { Reservations } from './reservations.ts';
import type { Checksum } from './running-checksum.ts';
import type { Proof, Staging } from './staging.ts';
import type { SyncTurns } from './sync-turns.ts';

/**
 * `chunk`: an acknowledged offset survives a power cut. `finish`: it survives a crash, and a power cut only once the file
 * is accepted.
 */
export type Durability = 'chunk' | 'finish';

/** A long body has a checkpoint this often, if the disk keeps up. After a crash at most this much is read again, after a power cut sent again. */
const EVERY_BYTES = 64 * 1024 * 1024;
const EVERY_MS = 5000;

export interface CheckpointsOptions {
  ledger: Ledger;
  staging: Staging;
  durability: Durability;
  expireAfterMs: number;
  reservations: Reservations;
  syncTurns: SyncTurns;
}

/** The checkpoints of one body, under the upload's lock. One sync runs at a time, beside the writes. */
export class Checkpoints {
  readonly #id: UploadId;
  readonly #upload: Upload;
  readonly #options: CheckpointsOptions;
  readonly #requireHeld: (() => string | undefined) | undefined;
  #offset: number;
  /** Checksum of all bytes written, for the checkpoint that waits for its turn. */
  #latest: Checksum | undefined;
  #atMs = performance.now();
  #running: Promise<void> | undefined;
  #next: (() => void) | undefined;
  #fault: { error: unknown } | undefined;
  #hasSyncFailed = false;

  /** @param requireHeld called before each checkpoint. The holder that it returns must still hold the lock when the ledger writes */
  constructor(upload: Upload, offset: number, options: CheckpointsOptions, requireHeld?: () => string | undefined) {
    this.#id = upload.id;
    this.#upload = upload;
    this.#requireHeld = requireHeld;
    this.#offset = offset;
    this.#options = options;
  }

  /** Offset of the last checkpoint. */
  get offset(): number {
    return this.#offset;
  }

  /** Call after each batch is written: makes a checkpoint in the background if one is due. @param checksum of all bytes written */
  consider(checksum: Checksum, sync: () => Promise<void>): void {
    const isLate = checksum.offset - this.#offset >= EVERY_BYTES || performance.now() - this.#atMs >= EVERY_MS;
    // Bytes that cannot be read in progress count only up to a checkpoint, and are stored in large parts: each gets a checkpoint.
    const { isReadableInProgress } = this.#options.staging;
    if (this.#fault !== undefined || (isReadableInProgress && !isLate)) return;
    const at = { ...checksum };
    if (this.#running !== undefined) {
      if (!isReadableInProgress) this.#next = () => this.consider(at, sync);
      else if (this.#latest !== undefined) this.#latest = at;
      return;
    }
    this.#running = this.#takeInTurn(at, sync)
      .catch((error) => {
        // No request waits for this checkpoint; the next one replaces it.
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
   * Syncs the end of a body while its file is still open, for the last checkpoint.
   * @param wanted set when the sender has left: the sync waits for its turn, until the signal says that another request wants the lock
   * @returns `durable`, or `unknown` when acknowledged bytes need not be durable
   * @throws the error of the sync
   */
  async prove(sync: () => Promise<void>, wanted?: AbortSignal): Promise<Proof> {
    await this.#settle();
    const { durability, staging, syncTurns } = this.#options;
    if (durability !== 'chunk') return 'unknown';
    if (wanted === undefined || wanted.aborted || !staging.isReadableInProgress) {
      await this.#sync(sync);
      return 'durable';
    }
    const hurry = () => syncTurns.hurry(this);
    wanted.addEventListener('abort', hurry);
    const isSynced = await syncTurns.run(this, () => this.#sync(sync)).finally(() => wanted.removeEventListener('abort', hurry));
    return isSynced ? 'durable' : 'unknown';
  }

  /**
   * Makes the last checkpoint, at the end of a body that does not complete the upload. When it resolves, the bytes may be acknowledged.
   * @param decided other columns that decide what is acknowledged; the same statement writes them
   * @throws the error of the sync or the ledger: nothing beyond the last checkpoint is proven then
   */
  async end(checksum: Checksum, proof: Proof, decided: UploadChanges = {}): Promise<void> {
    await this.#settle();
    if (this.#fault !== undefined) throw this.#fault.error;
    const sync = async () => {
      if (proof !== 'durable') await this.#options.staging.sync(this.#id);
    };
    await this.#take(checksum, sync, decided);
  }

  /** After a fault: makes a checkpoint of the bytes written before, so that they need not be sent again. Never rejects. */
  async keep(checksum: Checksum): Promise<void> {
    await this.#settle();
    if (this.#fault === undefined && checksum.offset > this.#offset) await this.#take(checksum, async () => {}).catch(() => undefined);
  }

  /** After a fault: true when a sync failed, so that no later sync proves the bytes since the last checkpoint durable. */
  async hasSyncFailed(): Promise<boolean> {
    await this.#settle();
    return this.#hasSyncFailed;
  }

  async #settle(): Promise<void> {
    this.#options.syncTurns.skip(this);
    while (this.#running !== undefined) await this.#running;
  }

  /** A checkpoint that no sender waits for. */
  async #takeInTurn(checksum: Checksum, sync: () => Promise<void>): Promise<void> {
    const { durability, staging, syncTurns } = this.#options;
    if (durability !== 'chunk' || !staging.isReadableInProgress) return this.#take(checksum, sync);
    this.#latest = checksum;
    let taken: Promise<void> | undefined;
    await syncTurns.run(this, () => {
      const latest = this.#latest ?? checksum;
      this.#latest = undefined;
      // The turn ends with the sync: the ledger writes the rows of many uploads at once.
      return new Promise((synced) => {
        taken = this.#take(latest, () => sync().finally(synced));
      });
    });
    this.#latest = undefined;
    await taken;
  }

  async #take({ checksum, offset }: Checksum, sync: () => Promise<void>, decided: UploadChanges = {}): Promise<void> {
    const { ledger, durability, expireAfterMs, reservations } = this.#options;
    const isDurable = durability === 'chunk';
    if (isDurable) await this.#sync(sync);
    const changes = {
      ...decided,
      checksum,
      checksumOffset: offset,
      expiresAt: ledger.now() + expireAfterMs,
      reservedUntil: reservations.until(this.#upload),
    };
    const holder = this.#requireHeld?.();
    const isWritten = await ledger.checkpoint(this.#id, changes, isDurable ? offset : undefined, holder);
    // For instance after a long suspension: another process has taken the lock and may have stored other bytes.
    if (!isWritten && holder !== undefined) throw new UploadError('ERR_UPLOAD_LOCKED', { retryAfterSeconds: 1 });
    this.#offset = offset;
    this.#atMs = performance.now();
  }

  async #sync(sync: () => Promise<void>): Promise<void> {
    try {
      await sync();
    } catch (error) {
      this.#hasSyncFailed = true;
      throw error;
    }
  }
}
