import type { CompiledQuery, InsertResult, Kysely, Updateable } from 'kysely';
import { type Guard, guarded } from './conditions.ts';
import type { RowChanges } from './row-changes.ts';
import type { Schema, UploadTable } from './schema.ts';
import { JUST_CREATED, toUpload, type Upload, type UploadRow } from './upload.ts';
import type { UploadId } from './upload-id.ts';

/**
 * The queries that every upload makes, built once: what differs are the parameters alone, and building costs several times
 * what running does.
 */
export class UploadRows implements RowChanges {
  readonly #db: Kysely<Schema>;
  #select: CompiledQuery<UploadRow> | undefined;
  #insert: { query: CompiledQuery<InsertResult>; columns: (keyof UploadRow)[] } | undefined;
  readonly #updates = new Map<string, CompiledQuery<UploadRow>>();

  constructor(db: Kysely<Schema>) {
    this.#db = db;
  }

  /** False when the owner used the idempotency key before: then nothing was written. */
  async insert(upload: Upload): Promise<boolean> {
    // What its state has no use for is there all the same.
    const row: UploadRow = { ...JUST_CREATED, ...upload };
    const columns = Object.keys(row) as (keyof UploadRow)[];
    this.#insert ??= {
      columns,
      query: this.#db
        .insertInto('uploads')
        .values(row)
        .onConflict((conflict) => conflict.doNothing())
        .compile(),
    };
    const parameters = this.#insert.columns.map((column) => row[column]);
    const { numAffectedRows = 0n } = await this.#db.executeQuery({ ...this.#insert.query, parameters });
    return numAffectedRows === 1n;
  }

  /** @throws BrokenRow */
  async select(id: UploadId): Promise<Upload | undefined> {
    this.#select ??= this.#db.selectFrom('uploads').selectAll().where('id', '=', id).compile();
    const { rows } = await this.#db.executeQuery<UploadRow>({ ...this.#select, parameters: [id] });
    return rows[0] && toUpload(rows[0]);
  }

  /** Resolves with the row as it is then; undefined when it was not as the guard says. `isAttempt` counts one more. */
  async update(id: UploadId, guard: Guard, set: Updateable<UploadTable>, isAttempt = false): Promise<Upload | undefined> {
    const entries = Object.entries(set).filter(([, value]) => value !== undefined);
    const { lease } = guard;
    const shape = `${entries.map(([column]) => column)} ${lease !== undefined} ${isAttempt}`;
    let query = this.#updates.get(shape);
    if (query === undefined) {
      const update = guarded(this.#db, id, guard).set(set);
      const counted = isAttempt ? update.set((row) => ({ attempt: row('attempt', '+', 1), strikes: row('strikes', '+', 1) })) : update;
      query = counted.returningAll().compile();
      this.#updates.set(shape, query);
    }
    // In the order in which `guarded` and `set` were called.
    const values = [...entries.map(([, value]) => value), ...(isAttempt ? [1, 1] : [])];
    const parameters = [...values, id, guard.from, ...(lease ? [lease.holder, lease.attempt, 1] : [])];
    const { rows } = await this.#db.executeQuery<UploadRow>({ ...query, parameters });
    return rows[0] && toUpload(rows[0]);
  }
}
