// The uploads with a failed sync of their bytes. The system reports a failure only once, so a later successful sync proves nothing.
import type { Ledger } from '../ledger/ledger.ts';
import type { UploadId } from '../ledger/upload-id.ts';

/** One instance for the process: responses, the start of inspections and the shutdown of the server need it. */
export class SyncFailures {
  readonly #ledger: Ledger;
  readonly #ids = new Set<string>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** True when no later sync can prove the upload's bytes beyond the proven offset. */
  has(id: UploadId): boolean {
    return this.#ids.has(id);
  }

  /**
   * Call after a failed sync. Also marks the bytes beyond the proven offset as unverified in the ledger, if the ledger answers: other
   * processes, and the next start of this one, read that mark. Never rejects.
   */
  async add(id: UploadId): Promise<void> {
    this.#ids.add(id);
    const upload = await this.#ledger.get(id).catch(() => undefined);
    if (upload?.state !== 'receiving' || upload.unverifiedFrom !== null) return;
    const { provenOffset } = upload;
    await this.#ledger.change(id, { from: 'receiving' }, { unverifiedFrom: provenOffset }, false).catch(() => undefined);
  }

  /** Call when the bytes beyond the proven offset are removed, or proven by a copy. */
  delete(id: UploadId): void {
    this.#ids.delete(id);
  }
}
