import type { OpenFile } from '../../disk/open-file.ts';
import type { UploadId } from '../../ledger/upload-id.ts';

type SyncedFile = Pick<OpenFile, 'sync' | 'datasync' | 'size'>;

/**
 * The syncs of staged files, one at a time for each upload. The system reports a failed write-back to every descriptor that was open at
 * that time; to later descriptors it reports the failure once, at their first sync. A file that is closed between its writes is synced
 * by a later descriptor, so after a failure the next sync would succeed. Here a failure counts for all later syncs of the upload.
 */
export class StagedSyncs {
  readonly #running = new Map<UploadId, Promise<void>>();
  /** The error of the first failed sync, and the number of bytes that were stored then. */
  readonly #failures = new Map<UploadId, { error: unknown; size: number }>();

  /** @throws the system's error, of this sync or of an earlier one */
  run(id: UploadId, file: SyncedFile, kind: 'sync' | 'datasync'): Promise<void> {
    const sync = (this.#running.get(id) ?? Promise.resolve()).then(() => this.#sync(id, file, kind));
    const settled = sync
      .catch(() => undefined)
      .then(() => {
        if (this.#running.get(id) === settled) this.#running.delete(id);
      });
    this.#running.set(id, settled);
    return sync;
  }

  /** Call when a body is to be appended: another process may have removed the bytes whose sync failed. */
  resume(id: UploadId, offset: number): void {
    const failure = this.#failures.get(id);
    if (failure !== undefined && offset < failure.size) this.#failures.delete(id);
  }

  /** Call when bytes are removed, or proven by a copy. */
  forget(id: UploadId): void {
    this.#failures.delete(id);
  }

  async #sync(id: UploadId, file: SyncedFile, kind: 'sync' | 'datasync'): Promise<void> {
    const earlier = this.#failures.get(id);
    if (earlier !== undefined) throw earlier.error;
    try {
      await file[kind]();
    } catch (error) {
      this.#failures.set(id, { error, size: await file.size().catch(() => Number.POSITIVE_INFINITY) });
      throw error;
    }
  }
}
