// The locks on uploads' bytes, where several processes write them. No connection waits with one.
import type { ExpressionBuilder } from 'kysely';
import { RECEIVING } from './conditions.ts';
import type { Engine } from './engine.ts';
import type { Schema } from './schema.ts';
import type { UploadId } from './upload-id.ts';

/** The holder that nobody is: what was let go over bytes that only their own machine is sure of. */
const NOBODY = '';

export interface Taken {
  /** The boot in which the bytes were written last, by someone who left them unproved; the taker's own where there is nothing to fear. */
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
          .where((row) => row.or([row('locks.owner', 'in', [holder, NOBODY]), isDead(row)])),
      )
      .returning('boot')
      .executeTakeFirst();
  }

  /** What another boot left unproved was dealt with. */
  async settle(uploadId: UploadId, holder: string, boot: string): Promise<void> {
    await this.#engine.db.updateTable('locks').set({ boot }).where('uploadId', '=', uploadId).where('owner', '=', holder).execute();
  }

  /**
   * Lets a lock go. Where more is stored than is proved, the boot stays: it is whoever wants the lock who takes it, but on another
   * machine goes back to what is proved. Nothing, where it is not the holder's any more.
   *
   * @param stored bytes of the upload that a power cut may take, proved or not
   */
  async release(uploadId: UploadId, holder: string, stored: number): Promise<void> {
    const { db } = this.#engine;
    const gone = await db
      .deleteFrom('locks')
      .where('uploadId', '=', uploadId)
      .where('owner', '=', holder)
      .where((row) => row.not(row.exists(unproved(row, stored))))
      .executeTakeFirst();
    if (gone.numDeletedRows > 0n) return;
    await db.updateTable('locks').set({ owner: NOBODY }).where('uploadId', '=', uploadId).where('owner', '=', holder).execute();
  }

  /** In which boot the bytes were written by someone who writes them still, or left them unproved. Undefined: there is none. */
  async boot(uploadId: UploadId): Promise<string | undefined> {
    return (await this.#find(uploadId))?.boot;
  }

  /** Whether somebody has it, or died over it. */
  async isHeld(uploadId: UploadId): Promise<boolean> {
    const lock = await this.#find(uploadId);
    return lock !== undefined && lock.owner !== NOBODY;
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

  #find(uploadId: UploadId): Promise<{ boot: string; owner: string } | undefined> {
    return this.#engine.db.selectFrom('locks').select(['boot', 'owner']).where('uploadId', '=', uploadId).executeTakeFirst();
  }
}

function unproved(row: ExpressionBuilder<Schema, 'locks'>, stored: number) {
  const upload = row.selectFrom('uploads').select('uploads.id').whereRef('uploads.id', '=', 'locks.uploadId');
  return upload.where('uploads.state', '=', RECEIVING).where('uploads.provenOffset', '<', stored);
}

/** Known to be; who is not known is taken for alive, as with leases. */
function isDead(row: ExpressionBuilder<Schema, 'locks'>) {
  return row.exists(row.selectFrom('holders').select('isDead').whereRef('holders.owner', '=', 'locks.owner').where('isDead', '=', 1));
}
