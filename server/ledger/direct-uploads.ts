// Uploads that are sent past this server: nobody here sees their bytes come, so somebody has to look.
import { RECEIVING } from './conditions.ts';
import type { Engine } from './engine.ts';
import { toUpload, type UploadIn } from './upload.ts';
import type { UploadId } from './upload-id.ts';

export class DirectUploads {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Those whose bytes may all have come, longest due first. */
  async due(now: number, limit: number): Promise<UploadIn<'receiving'>[]> {
    const rows = await this.#engine.db
      .selectFrom('uploads')
      .selectAll()
      .where('state', '=', RECEIVING)
      .where('directDueAt', 'is not', null)
      .where('directDueAt', '<=', now)
      .orderBy('directDueAt')
      .orderBy('id')
      .limit(limit)
      .execute();
    return rows.map((row) => toUpload(row) as UploadIn<'receiving'>);
  }

  /** Not all of it was there. Nothing has happened to the upload, so its `updatedAt` stays; and the time may be lost to a power cut. */
  async lookAgain(id: UploadId, directDueAt: number): Promise<void> {
    await this.#engine.db.updateTable('uploads').set({ directDueAt }).where('id', '=', id).where('state', '=', RECEIVING).execute();
  }
}
