// Accepted files that go, because an operator says so or their time is over: the ledger first, then the bytes, then the record.
import type { Ledger } from '../ledger/ledger.ts';
import type { UploadIn } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { Storage } from '../storage/storage.ts';

export interface RemovalOptions {
  ledger: Ledger;
  storage: Storage;
  keepRecordsForMs: number;
  /** So long the bytes stay after the removal, and for as long as somebody here or elsewhere still reads them. */
  lingerMs: number;
}

export class Removal {
  readonly #options: RemovalOptions;

  constructor(options: RemovalOptions) {
    this.#options = options;
  }

  /**
   * From here on the file's address answers 410. False: it is not accepted any more.
   * @throws when its bytes can't be taken away now: the sweeper does that later, as after a crash
   */
  async remove({ id }: UploadIn<'accepted'>): Promise<boolean> {
    const { ledger, keepRecordsForMs, lingerMs } = this.#options;
    const now = ledger.now();
    const deadlines = { expiresAt: now + lingerMs, recordExpiresAt: now + keepRecordsForMs };
    const removed = await ledger.move(id, { from: 'accepted' }, 'removed', deadlines);
    if (removed && lingerMs === 0) await this.finish(removed);
    return removed !== undefined;
  }

  /** Its bytes go; from then on its record is all that waits for its time. Fine to call again. */
  async finish({ id, target, recordExpiresAt }: UploadIn<'removed'>): Promise<void> {
    const { ledger, storage } = this.#options;
    await storage.remove(target);
    if (recordExpiresAt === null) return;
    // Forgotten in a power cut, it is done again.
    await ledger.change(id, { from: 'removed' }, { expiresAt: recordExpiresAt, recordExpiresAt: null }, false);
  }

  /**
   * Somebody reads the file: should it be removed meanwhile, by whichever process, its bytes stay until the reader has them.
   * Returns how to say that he has.
   */
  holdWhileRead(id: UploadId, onFault: (error: unknown) => void = () => undefined): () => void {
    const { ledger, lingerMs } = this.#options;
    // An open file outlives its name.
    if (lingerMs === 0) return () => undefined;
    const hold = async () => {
      const upload = await ledger.get(id);
      if (upload?.state !== 'removed' || upload.recordExpiresAt === null) return;
      await ledger.change(id, { from: 'removed' }, { expiresAt: ledger.now() + lingerMs }, false);
    };
    // Two may fail in a row.
    const timer = setInterval(() => void hold().catch(onFault), lingerMs / 4).unref();
    return () => clearInterval(timer);
  }
}
