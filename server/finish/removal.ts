// Removal of accepted files, by an operator or at the end of their retention: first the state in the ledger, then the bytes, last the
// record.
import type { Ledger } from '../ledger/ledger.ts';
import type { UploadIn } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { Storage } from '../storage/storage.ts';

export interface RemovalOptions {
  ledger: Ledger;
  storage: Storage;
  keepRecordsForMs: number;
  /** The bytes stay for this long after the removal, and after the last read of a download in any process. */
  lingerMs: number;
}

export class Removal {
  readonly #options: RemovalOptions;

  constructor(options: RemovalOptions) {
    this.#options = options;
  }

  /**
   * Removes the file: from now on its address answers 410. Resolves to false when the upload is no longer accepted.
   * @throws when the bytes cannot be deleted now: the sweeper deletes them later, as after a crash
   */
  async remove({ id }: UploadIn<'accepted'>): Promise<boolean> {
    const { ledger, keepRecordsForMs, lingerMs } = this.#options;
    const now = ledger.now();
    const deadlines = { expiresAt: now + lingerMs, recordExpiresAt: now + keepRecordsForMs };
    const removed = await ledger.move(id, { from: 'accepted' }, 'removed', deadlines);
    if (removed && lingerMs === 0) await this.finish(removed);
    return removed !== undefined;
  }

  /** Deletes the bytes. The record stays until `recordExpiresAt`. Idempotent. */
  async finish({ id, target, recordExpiresAt }: UploadIn<'removed'>): Promise<void> {
    const { ledger, storage } = this.#options;
    await storage.remove(target);
    if (recordExpiresAt === null) return;
    // Not durable: after a power cut, the sweeper does this again.
    await ledger.change(id, { from: 'removed' }, { expiresAt: recordExpiresAt, recordExpiresAt: null }, false);
  }

  /**
   * Keeps the bytes of a file that is being downloaded, even when a process removes the file meanwhile. Returns a function to call at the
   * end of the download.
   */
  holdWhileRead(id: UploadId, onFault: (error: unknown) => void = () => undefined): () => void {
    const { ledger, lingerMs } = this.#options;
    // On a disk, an open file can be read after its name is deleted.
    if (lingerMs === 0) return () => undefined;
    const hold = async () => {
      const upload = await ledger.get(id);
      if (upload?.state !== 'removed' || upload.recordExpiresAt === null) return;
      await ledger.change(id, { from: 'removed' }, { expiresAt: ledger.now() + lingerMs }, false);
    };
    // Four times within `lingerMs`, so that some may fail.
    const timer = setInterval(() => void hold().catch(onFault), lingerMs / 4).unref();
    return () => clearInterval(timer);
  }
}
