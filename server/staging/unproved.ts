// Uploads a sync of whose bytes failed. The system reports that once, and a second sync says nothing of what the first lost.
import type { Ledger } from '../ledger/ledger.ts';
import type { UploadId } from '../ledger/upload-id.ts';

/** One for the whole process: the sender is told, the inspection begun and the end of the server prepared by different parts. */
export class Unproved {
  readonly #ledger: Ledger;
  readonly #ids = new Set<string>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** Whether bytes beyond the proven offset can't be proved by another sync. */
  has(id: UploadId): boolean {
    return this.#ids.has(id);
  }

  /**
   * After a failed sync. The ledger tells the other processes, and the next start of this one, where it can: nothing beyond
   * the proven offset counts. Never rejects.
   */
  async add(id: UploadId): Promise<void> {
    this.#ids.add(id);
    const upload = await this.#ledger.get(id).catch(() => undefined);
    if (upload?.state !== 'receiving' || upload.unverifiedFrom !== null) return;
    const { provenOffset } = upload;
    await this.#ledger.change(id, { from: 'receiving' }, { unverifiedFrom: provenOffset }, false).catch(() => undefined);
  }

  /** What could not be proved is gone, or was proved otherwise. */
  delete(id: UploadId): void {
    this.#ids.delete(id);
  }
}
