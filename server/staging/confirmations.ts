// How much of an upload that receives may be acknowledged: what is stored, as far as it is proved where that was promised.
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload } from '../ledger/upload.ts';
import type { Durability } from './checkpoints.ts';
import type { Staging } from './staging.ts';

export interface ConfirmationsOptions {
  ledger: Ledger;
  staging: Staging;
  durability: Durability;
  /** Whether another machine writes the bytes, or did when it died: then what it has not proved is not known of here. */
  isWrittenElsewhere(id: string): Promise<boolean>;
}

export class Confirmations {
  readonly #options: ConfirmationsOptions;
  /** A sync of these failed, and its error is reported only once: what is beyond their proven offset is sent again. */
  readonly #unproved = new Set<string>();

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
    const { staging, ledger, durability, isWrittenElsewhere } = this.#options;
    if (this.#unproved.has(upload.id)) return upload.provenOffset;
    const stored = await this.stored(upload);
    // Asked after the size: whoever wrote more by now has taken the lock before.
    if (staging.isReadableInProgress && (await isWrittenElsewhere(upload.id))) return Math.min(stored, upload.provenOffset);
    if (upload.unverifiedFrom !== null) return Math.min(stored, upload.unverifiedFrom);
    if (durability === 'finish' || stored <= upload.provenOffset) return stored;
    // A crash, or a body that is still coming, left more than is proved.
    try {
      await staging.sync(upload.id);
    } catch {
      await this.distrust(upload.id);
      return upload.provenOffset;
    }
    // What the ledger can't remember is not promised: it may be sent again.
    const isRemembered = await ledger.checkpoint(upload.id, {}, stored).catch(() => false);
    return isRemembered ? stored : upload.provenOffset;
  }

  /** Whether what is stored beyond the proven offset can't be proved any more. */
  isDistrusted(id: string): boolean {
    return this.#unproved.has(id);
  }

  /** What could not be proved is gone. */
  trust(id: string): void {
    this.#unproved.delete(id);
  }

  /** A sync has failed, and only whoever asked is told: the ledger tells the other processes, where it can. */
  async distrust(id: string): Promise<void> {
    this.#unproved.add(id);
    const upload = await this.#options.ledger.get(id).catch(() => undefined);
    if (upload?.unverifiedFrom === null) await this.markUnverified(id, upload.provenOffset).catch(() => undefined);
  }

  /** From where on bytes are stored of which nobody may be told yet; null: all are as good as any. */
  async markUnverified(id: string, unverifiedFrom: number | null): Promise<void> {
    await this.#options.ledger.change(id, { from: 'receiving' }, { unverifiedFrom }, false);
  }
}
