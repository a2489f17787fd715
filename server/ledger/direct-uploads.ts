// Uploads whose bytes are sent directly to S3. This server does not see the bytes arrive, so the sweeper has to look for them.
import { RECEIVING } from './conditions.ts';
import type { Engine } from './engine.ts';
import { toUpload, type UploadIn } from './upload.ts';
import type { UploadId } from './upload-id.ts';

export class DirectUploads {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Direct uploads at which the sweeper should look now, the longest due first. */
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

  /** Sets the time of the next look. The upload itself has not changed, so `updatedAt` stays. Not durable. */
  async lookAgain(id: UploadId, directDueAt: number): Promise<void> {
    await this.#engine.db.updateTable('uploads').set({ directDueAt }).where('id', '=', id).where('state', '=', RECEIVING).execute();
  }
}
