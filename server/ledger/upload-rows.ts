import type { CompiledQuery, InsertResult, Kysely, QueryResult, Updateable } from 'kysely';
import { type Guard, guarded } from './conditions.ts';
import type { Schema, UploadTable } from './schema.ts';
import type { Upload } from './upload.ts';

/**
 * The queries that every upload makes, built once: what differs are the parameters alone, and building costs several times
 * what running does.
 */
export class UploadRows {
  readonly #db: Kysely<Schema>;
  #select: CompiledQuery<Upload> | undefined;
  #insert: { query: CompiledQuery<InsertResult>; columns: (keyof Upload)[] } | undefined;
  readonly #updates = new Map<string, CompiledQuery<Upload>>();

  constructor(db: Kysely<Schema>) {
    this.#db = db;
  }

  /** False when the owner used the idempotency key before: then nothing was written. */
  async insert(upload: Upload): Promise<boolean> {
    const columns = Object.keys(upload) as (keyof Upload)[];
    this.#insert ??= {
      columns,
      query: this.#db
        .insertInto('uploads')
        .values(upload)
        .onConflict((conflict) => conflict.doNothing())
        .compile(),
    };
    const parameters = this.#insert.columns.map((column) => upload[column]);
    const { numAffectedRows = 0n } = await this.#db.executeQuery({ ...this.#insert.query, parameters });
    return numAffectedRows === 1n;
  }

  select(id: string): Promise<QueryResult<Upload>> {
    this.#select ??= this.#db.selectFrom('uploads').selectAll().where('id', '=', id).compile();
    return this.#db.executeQuery<Upload>({ ...this.#select, parameters: [id] });
  }

  /** Resolves with the row as it is then; undefined when it was not as the guard says. `isAttempt` counts one more. */
  async update(id: string, guard: Guard, set: Updateable<UploadTable>, isAttempt = false): Promise<Upload | undefined> {
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
    const parameters = [...values, id, guard.from, ...(lease ? [lease.owner, lease.attempt, 1] : [])];
    const { rows } = await this.#db.executeQuery<Upload>({ ...query, parameters });
    return rows[0];
  }
}
