// How much of an upload that receives may be acknowledged: what is stored, as far as it is proved where that was promised.
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { Durability } from './checkpoints.ts';
import type { Staging } from './staging.ts';
import type { Unproved } from './unproved.ts';

export interface ConfirmationsOptions {
  ledger: Ledger;
  staging: Staging;
  durability: Durability;
  /** What is beyond the proven offset of these is sent again. */
  unproved: Unproved;
  /** Whether another machine writes the bytes, or left them unproved: then what it has not proved is not known of here. */
  isWrittenElsewhere(id: UploadId): Promise<boolean>;
}

export class Confirmations {
  readonly #options: ConfirmationsOptions;

  constructor(options: ConfirmationsOptions) {
    this.#options = options;
  }

  /** Bytes that a body can be appended to. */
  async stored({ id, checksumOffset }: Upload): Promise<number> {
    const { staging } = this.#options;
    return staging.isReadableInProgress ? staging.size(id) : Math.max(checksumOffset, 0);
  }

  /** As the receiver's. */
  async confirmed(upload: Upload): Promise<number> {
    const { staging, ledger, durability, unproved, isWrittenElsewhere } = this.#options;
    const stored = await this.stored(upload);
    if (unproved.has(upload.id)) return durability === 'finish' ? stored : upload.provenOffset;
    // Asked after the size: whoever wrote more by now has taken the lock before.
    if (staging.isReadableInProgress && (await isWrittenElsewhere(upload.id))) return Math.min(stored, upload.provenOffset);
    const { provenOffset } = upload;
    const unverifiedFrom = upload.unverifiedFrom ?? (stored > provenOffset ? await this.#unverifiedNow(upload.id) : null);
    if (unverifiedFrom !== null) return Math.min(stored, unverifiedFrom);
    if (durability === 'finish' || stored <= provenOffset) return stored;
    // A crash, or a body that is still coming, left more than is proved.
    try {
      await staging.sync(upload.id);
    } catch {
      await unproved.add(upload.id);
      return upload.provenOffset;
    }
    // What the ledger can't remember is not promised: it may be sent again.
    const isRemembered = await ledger.raiseProvenOffset(upload.id, stored).catch(() => false);
    return isRemembered ? stored : upload.provenOffset;
  }

  /** From where on bytes are stored of which nobody may be told yet; null: all are as good as any. */
  async markUnverified(id: UploadId, unverifiedFrom: number | null): Promise<void> {
    await this.#options.ledger.change(id, { from: 'receiving' }, { unverifiedFrom }, false);
  }

  /** To be asked after the size: a chunk that carries its own checksum is marked before its first byte is stored. */
  async #unverifiedNow(id: UploadId): Promise<number | null> {
    const { ledger, staging } = this.#options;
    return staging.isReadableInProgress ? ((await ledger.get(id))?.unverifiedFrom ?? null) : null;
  }
}
