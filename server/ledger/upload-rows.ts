import type { CompiledQuery, InsertResult, Updateable } from 'kysely';
import { type Guard, guarded } from './conditions.ts';
import type { Engine } from './engine.ts';
import type { RowChanges } from './row-changes.ts';
import type { UploadTable } from './schema.ts';
import { JUST_CREATED, toUpload, type Upload, type UploadRow } from './upload.ts';
import type { UploadId } from './upload-id.ts';

/**
 * The queries that every upload needs, compiled once with changing parameters: Kysely takes several times longer to build a query
 * than SQLite to run it.
 */
export class UploadRows implements RowChanges {
  readonly #engine: Engine;
  #select: CompiledQuery<UploadRow> | undefined;
  #insert: { query: CompiledQuery<InsertResult>; columns: (keyof UploadRow)[] } | undefined;
  readonly #updates = new Map<string, CompiledQuery<UploadRow>>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Resolves to false, and writes nothing, when the owner has used the idempotency key before. */
  async insert(upload: Upload): Promise<boolean> {
    // The columns that the type leaves out in this state need a value, too.
    const row: UploadRow = { ...JUST_CREATED, ...upload };
    const columns = Object.keys(row) as (keyof UploadRow)[];
    this.#insert ??= {
      columns,
      query: this.#engine.db
        .insertInto('uploads')
        .values(row)
        .onConflict((conflict) => conflict.doNothing())
        .compile(),
    };
    const parameters = this.#insert.columns.map((column) => row[column]);
    const { numAffectedRows = 0n } = await this.#engine.execute({ ...this.#insert.query, parameters });
    return numAffectedRows === 1n;
  }

  /** @throws BrokenRow */
  async select(id: UploadId): Promise<Upload | undefined> {
    this.#select ??= this.#engine.db.selectFrom('uploads').selectAll().where('id', '=', id).compile();
    const { rows } = await this.#engine.execute<UploadRow>({ ...this.#select, parameters: [id] });
    return rows[0] && toUpload(rows[0]);
  }

  /** Resolves to the changed row; to undefined when the guard does not match it. `isAttempt` counts a run of the inspection. */
  async update(id: UploadId, guard: Guard, set: Updateable<UploadTable>, isAttempt = false, known?: Upload): Promise<Upload | undefined> {
    const entries = Object.entries(set).filter(([, value]) => value !== undefined);
    const { lease } = guard;
    const shape = `${entries.map(([column]) => column)} ${lease !== undefined} ${isAttempt} ${known !== undefined}`;
    let query = this.#updates.get(shape);
    if (query === undefined) {
      const update = guarded(this.#engine.db, id, guard).set(set);
      const counted = isAttempt ? update.set((row) => ({ attempt: row('attempt', '+', 1), strikes: row('strikes', '+', 1) })) : update;
      query = known === undefined ? counted.returningAll().compile() : (counted.compile() as CompiledQuery<never>);
      this.#updates.set(shape, query);
    }
    // Parameters in their order in the compiled statement.
    const values = [...entries.map(([, value]) => value), ...(isAttempt ? [1, 1] : [])];
    const parameters = [...values, id, guard.from, ...(lease ? [lease.holder, lease.attempt, 1] : [])];
    const { rows, numAffectedRows } = await this.#engine.execute<UploadRow>({ ...query, parameters });
    if (known !== undefined) {
      return numAffectedRows === 1n ? toUpload({ ...JUST_CREATED, ...known, ...Object.fromEntries(entries) }) : undefined;
    }
    return rows[0] && toUpload(rows[0]);
  }
}
