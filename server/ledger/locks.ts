// The locks on uploads' bytes where several processes serve one ledger. They are rows, so no database connection is held with a lock.
import type { ExpressionBuilder } from 'kysely';
import { RECEIVING } from './conditions.ts';
import type { Engine } from './engine.ts';
import type { Schema } from './schema.ts';
import type { UploadId } from './upload-id.ts';

/** Owner of a lock that was released while stored bytes were not proven durable: only the machine that wrote them can rely on them. */
const NO_HOLDER = '';

export interface TakenLock {
  /** The boot of the machine that wrote bytes and left them unproven; the caller's own boot when there are no such bytes. */
  boot: string;
}

export class Locks {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Takes a lock that is free, the caller's own, or a dead holder's. Resolves to undefined when a living process holds it. */
  async take(uploadId: UploadId, holder: string, boot: string): Promise<TakenLock | undefined> {
    return this.#engine.db
      .insertInto('locks')
      .values({ uploadId, owner: holder, boot })
      .onConflict((conflict) =>
        conflict
          .column('uploadId')
          // The boot changes only in `settle`, since the new holder may die before it has dealt with the unproven bytes.
          .doUpdateSet({ owner: holder })
          .where((row) => row.or([row('locks.owner', 'in', [holder, NO_HOLDER]), isDead(row)])),
      )
      .returning('boot')
      .executeTakeFirst();
  }

  /** Writes the holder's own boot. Call once the bytes that another boot left unproven are removed. */
  async settle(uploadId: UploadId, holder: string, boot: string): Promise<void> {
    await this.#engine.db.updateTable('locks').set({ boot }).where('uploadId', '=', uploadId).where('owner', '=', holder).execute();
  }

  /**
   * Releases a lock. When more bytes are stored than proven, the row keeps the boot: any process may take the lock, but a process on
   * another machine first goes back to the proven offset. Does nothing when the holder has lost the lock.
   *
   * @param stored length of the stored bytes, proven or not
   */
  async release(uploadId: UploadId, holder: string, stored: number): Promise<void> {
    const { db } = this.#engine;
    const gone = await db
      .deleteFrom('locks')
      .where('uploadId', '=', uploadId)
      .where('owner', '=', holder)
      .where((row) => row.not(row.exists(unprovenUpload(row, stored))))
      .executeTakeFirst();
    if (gone.numDeletedRows > 0n) return;
    await db.updateTable('locks').set({ owner: NO_HOLDER }).where('uploadId', '=', uploadId).where('owner', '=', holder).execute();
  }

  /** The boot of the machine that writes the upload's bytes, or left them unproven. Resolves to undefined when there is none. */
  async boot(uploadId: UploadId): Promise<string | undefined> {
    return (await this.#find(uploadId))?.boot;
  }

  /** Resolves to true when a living process holds the lock, or a dead one held it last. */
  async isHeld(uploadId: UploadId): Promise<boolean> {
    const lock = await this.#find(uploadId);
    return lock !== undefined && lock.owner !== NO_HOLDER;
  }

  /** Up to `limit` uploads whose lock this holder holds. */
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

function unprovenUpload(row: ExpressionBuilder<Schema, 'locks'>, stored: number) {
  const upload = row.selectFrom('uploads').select('uploads.id').whereRef('uploads.id', '=', 'locks.uploadId');
  return upload.where('uploads.state', '=', RECEIVING).where('uploads.provenOffset', '<', stored);
}

/** A holder without a row counts as alive, as for leases (`isFree` in conditions.ts). */
function isDead(row: ExpressionBuilder<Schema, 'locks'>) {
  return row.exists(row.selectFrom('holders').select('isDead').whereRef('holders.owner', '=', 'locks.owner').where('isDead', '=', 1));
}
