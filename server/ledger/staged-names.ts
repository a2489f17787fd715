// The names of bytes in progress in a store that is not Landfall's own. A name is written before the store is asked to create it,
// because most stores cannot list what they hold.
import type { Engine } from './engine.ts';
import type { UploadId } from './upload-id.ts';

const PAGE = 500;

export class StagedNames {
  readonly #engine: () => Engine;

  /** @param engine returns the engine, which is open before the first call of a method */
  constructor(engine: () => Engine) {
    this.#engine = engine;
  }

  /** The name in use. */
  async current(uploadId: UploadId): Promise<string | undefined> {
    const { db } = this.#engine();
    const query = db.selectFrom('stagedNames').select('name').where('uploadId', '=', uploadId).where('isCurrent', '=', 1);
    return (await query.executeTakeFirst())?.name;
  }

  /** All names of the upload that may be in the store. */
  async all(uploadId: UploadId): Promise<string[]> {
    const rows = await this.#engine().db.selectFrom('stagedNames').select('name').where('uploadId', '=', uploadId).execute();
    return rows.map(({ name }) => name);
  }

  /** Adds a name, before the store is asked to create it. Durable. @param isCurrent true when the upload has no other name in use */
  async add(uploadId: UploadId, name: string, isCurrent: boolean): Promise<void> {
    const { db } = this.#engine();
    await db
      .insertInto('stagedNames')
      .values({ uploadId, name, isCurrent: isCurrent ? 1 : 0 })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .execute();
    await this.#engine().flush();
  }

  /** Puts this name into use instead of the one before. Durable. */
  async makeCurrent(uploadId: UploadId, name: string): Promise<void> {
    const { db } = this.#engine();
    await db
      .updateTable('stagedNames')
      .set((row) => ({ isCurrent: row.case().when('name', '=', name).then(1).else(0).end() }))
      .where('uploadId', '=', uploadId)
      .execute();
    await this.#engine().flush();
  }

  /** Removes a name, once the store holds nothing under it. */
  async remove(name: string): Promise<void> {
    await this.#engine().db.deleteFrom('stagedNames').where('name', '=', name).execute();
  }

  async *uploads(): AsyncIterable<UploadId> {
    for (let after = ''; ; ) {
      const rows = await this.#engine()
        .db.selectFrom('stagedNames')
        .select('uploadId')
        .distinct()
        .where('uploadId', '>', after as UploadId)
        .orderBy('uploadId')
        .limit(PAGE)
        .execute();
      for (const { uploadId } of rows) {
        after = uploadId;
        yield uploadId;
      }
      if (rows.length < PAGE) return;
    }
  }
}
