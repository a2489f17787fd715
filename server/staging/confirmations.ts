// How many bytes of an upload that is `receiving` may be acknowledged: the stored ones, or with durability `chunk` the durable ones.
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { Durability } from './checkpoints.ts';
import type { Staging } from './staging.ts';
import type { SyncFailures } from './sync-failures.ts';

export interface ConfirmationsOptions {
  ledger: Ledger;
  staging: Staging;
  durability: Durability;
  /** Bytes of these uploads beyond the proven offset have to be sent again. */
  syncFailures: SyncFailures;
  /** See `UploadLocker.isWrittenElsewhere`. */
  isWrittenElsewhere(id: UploadId): Promise<boolean>;
}

export interface Offsets {
  /** Bytes that are stored. */
  stored: number;
  /** Bytes of these that may be acknowledged to the sender. */
  confirmed: number;
}

export class Confirmations {
  readonly #options: ConfirmationsOptions;

  constructor(options: ConfirmationsOptions) {
    this.#options = options;
  }

  /** The offset at which a body can be appended. */
  async stored({ id, checksumOffset }: Upload): Promise<number> {
    const { staging } = this.#options;
    return staging.isReadableInProgress ? staging.size(id) : Math.max(checksumOffset, 0);
  }

  /** See `Receiver.confirmed`. */
  async confirmed(upload: Upload): Promise<number> {
    return (await this.offsets(upload)).confirmed;
  }

  /** See `Receiver.offsets`. */
  async offsets(upload: Upload): Promise<Offsets> {
    const stored = await this.stored(upload);
    return { stored, confirmed: await this.#confirmed(upload, stored) };
  }

  async #confirmed(upload: Upload, stored: number): Promise<number> {
    const { staging, ledger, durability, syncFailures, isWrittenElsewhere } = this.#options;
    if (syncFailures.has(upload.id)) return durability === 'finish' ? stored : upload.provenOffset;
    // Asked after the size is read: another process that wrote some of these bytes took the lock before it wrote them.
    if (staging.isReadableInProgress && (await isWrittenElsewhere(upload.id))) return Math.min(stored, upload.provenOffset);
    const { provenOffset } = upload;
    const unverifiedFrom = upload.unverifiedFrom ?? (stored > provenOffset ? await this.#unverifiedNow(upload.id) : null);
    if (unverifiedFrom !== null) return Math.min(stored, unverifiedFrom);
    if (durability === 'finish' || stored <= provenOffset) return stored;
    // A crash, or a body that is still being received, left more bytes than are proven.
    try {
      await staging.sync(upload.id);
    } catch {
      await syncFailures.add(upload.id);
      return upload.provenOffset;
    }
    // Without the ledger's record, the bytes are not acknowledged and may be sent again.
    const isRemembered = await ledger.raiseProvenOffset(upload.id, stored).catch(() => false);
    return isRemembered ? stored : upload.provenOffset;
  }

  /** Marks stored bytes from this offset on as unverified, so that they are not acknowledged; null removes the mark. */
  async markUnverified(id: UploadId, unverifiedFrom: number | null): Promise<void> {
    await this.#options.ledger.change(id, { from: 'receiving' }, { unverifiedFrom }, false);
  }

  /** Call after reading the size: a chunk with its own checksum is marked before its first byte is stored. */
  async #unverifiedNow(id: UploadId): Promise<number | null> {
    const { ledger, staging } = this.#options;
    return staging.isReadableInProgress ? ((await ledger.get(id))?.unverifiedFrom ?? null) : null;
  }
}
