// The locks on uploads' bytes, where several processes write them. No connection waits with one.
import type { ExpressionBuilder } from 'kysely';
import type { Engine } from './engine.ts';
import type { Schema } from './schema.ts';
import type { UploadId } from './upload-id.ts';

export interface Taken {
  /** The boot in which the bytes were written last, by someone who died over it; the taker's own where there is nothing to fear. */
  boot: string;
}

export class Locks {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Takes a lock that is free, one's own already, or a dead holder's. Undefined: somebody holds it. */
  async take(uploadId: UploadId, holder: string, boot: string): Promise<Taken | undefined> {
    return this.#engine.db
      .insertInto('locks')
      .values({ uploadId, owner: holder, boot })
      .onConflict((conflict) =>
        conflict
          .column('uploadId')
          // The boot stays what it was until `settle`: a taker may die as well.
          .doUpdateSet({ owner: holder })
          .where((row) => row.or([row('locks.owner', '=', holder), isDead(row)])),
      )
      .returning('boot')
      .executeTakeFirst();
  }

  /** What another boot left unproved was dealt with. */
  async settle(uploadId: UploadId, holder: string, boot: string): Promise<void> {
    await this.#engine.db.updateTable('locks').set({ boot }).where('uploadId', '=', uploadId).where('owner', '=', holder).execute();
  }

  /** Nothing, where it is not the holder's any more. */
  async release(uploadId: UploadId, holder: string): Promise<void> {
    await this.#engine.db.deleteFrom('locks').where('uploadId', '=', uploadId).where('owner', '=', holder).execute();
  }

  /** Whether somebody writes the bytes, or died over it, and in which boot. Undefined: nobody. */
  async boot(uploadId: UploadId): Promise<string | undefined> {
    const row = await this.#engine.db.selectFrom('locks').select('boot').where('uploadId', '=', uploadId).executeTakeFirst();
    return row?.boot;
  }

  /** Uploads whose lock one holder has, some of them. */
  async of(holder: string, limit: number): Promise<UploadId[]> {
    const rows = await this.#engine.db
      .selectFrom('locks')
      .select('uploadId')
      .where('owner', '=', holder)
      .orderBy('uploadId')
      .limit(limit)
      .execute();
    return rows.map((row) => row.uploadId);
  }
}

/** Known to be; who is not known is taken for alive, as with leases. */
function isDead(row: ExpressionBuilder<Schema, 'locks'>) {
  return row.exists(row.selectFrom('holders').select('isDead').whereRef('holders.owner', '=', 'locks.owner').where('isDead', '=', 1));
}
