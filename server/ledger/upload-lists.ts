// Queries for many uploads, a page at a time. They may show a state that is not durable yet.
import type { UploadState } from '../../shared/upload.ts';
import { RECEIVING } from './conditions.ts';
import type { Engine } from './engine.ts';
import { toUpload, type UploadIn, type UploadRow } from './upload.ts';
import type { UploadId } from './upload-id.ts';

/** Uploads by what they have in common. */
export class UploadLists {
  readonly #db: Engine['db'];

  constructor({ db }: Engine) {
    this.#db = db;
  }

  /** Empty uploads whose inspection has not started. */
  async emptyReceiving(): Promise<UploadId[]> {
    const rows = await this.#db.selectFrom('uploads').select('id').where('state', '=', RECEIVING).where('length', '=', 0).execute();
    return rows.map((row) => row.id);
  }

  /** Uploads that are `receiving`, a page at a time in the order of their ids. */
  async receiving(after: string, limit: number): Promise<UploadIn<'receiving'>[]> {
    const rows = await this.#db
      .selectFrom('uploads')
      .selectAll()
      .where('state', '=', RECEIVING)
      .where('id', '>', after as UploadId)
      .orderBy('id')
      .limit(limit)
      .execute();
    return rows.map((row) => toUpload(row) as UploadIn<'receiving'>);
  }

  /** Uploads whose `expiresAt` has passed, the longest overdue first: unfinished uploads, accepted files and kept records. */
  async expired(now: number, limit: number): Promise<UploadId[]> {
    const rows = await this.#db
      .selectFrom('uploads')
      .select('id')
      .where('expiresAt', 'is not', null)
      .where('expiresAt', '<=', now)
      .orderBy('expiresAt')
      .orderBy('id')
      .limit(limit)
      .execute();
    return rows.map((row) => row.id);
  }

  /** Rows of all states, a page at a time. They are not checked, so that operators see a broken row, too. */
  newest(options: { state?: UploadState; limit: number; before?: { createdAt: number; id: UploadId } }): Promise<UploadRow[]> {
    let query = this.#db.selectFrom('uploads').selectAll();
    const { state, before } = options;
    if (state !== undefined) query = query.where('state', '=', state);
    if (before !== undefined) {
      query = query.where((row) =>
        row.or([row('createdAt', '<', before.createdAt), row.and([row('createdAt', '=', before.createdAt), row('id', '<', before.id)])]),
      );
    }
    return query.orderBy('createdAt', 'desc').orderBy('id', 'desc').limit(options.limit).execute();
  }
}
