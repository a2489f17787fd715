// What bytes in progress are called in a store that is not Landfall's own: written down before the store is asked for them, for most
// stores can't tell what they hold.
import type { Engine } from './engine.ts';
import type { UploadId } from './upload-id.ts';

const PAGE = 500;

export class StagedNames {
  readonly #engine: () => Engine;

  /** @param engine opened by the time that anything is asked */
  constructor(engine: () => Engine) {
    this.#engine = engine;
  }

  /** The one that counts. */
  async current(uploadId: UploadId): Promise<string | undefined> {
    const { db } = this.#engine();
    const query = db.selectFrom('stagedNames').select('name').where('uploadId', '=', uploadId).where('isCurrent', '=', 1);
    return (await query.executeTakeFirst())?.name;
  }

  /** All that may be in the store. */
  async all(uploadId: UploadId): Promise<string[]> {
    const rows = await this.#engine().db.selectFrom('stagedNames').select('name').where('uploadId', '=', uploadId).execute();
    return rows.map(({ name }) => name);
  }

  /** Durable: before the store is asked to make it. @param isCurrent there is no other */
  async add(uploadId: UploadId, name: string, isCurrent: boolean): Promise<void> {
    const { db } = this.#engine();
    await db
      .insertInto('stagedNames')
      .values({ uploadId, name, isCurrent: isCurrent ? 1 : 0 })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .execute();
    await this.#engine().flush();
  }

  /** Durable: in the stead of what counted before. */
  async makeCurrent(uploadId: UploadId, name: string): Promise<void> {
    const { db } = this.#engine();
    await db
      .updateTable('stagedNames')
      .set((row) => ({ isCurrent: row.case().when('name', '=', name).then(1).else(0).end() }))
      .where('uploadId', '=', uploadId)
      .execute();
    await this.#engine().flush();
  }

  /** Once the store has nothing more of it. */
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
