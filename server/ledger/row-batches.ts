// Row changes on PostgreSQL: one statement for the changes of many uploads, so that they share one round trip, one transaction and one
// sync of the log. The rows are one JSON parameter, so that the statement is the same for any number of rows and is built once.
import { type CompiledQuery, type Kysely, type RawBuilder, sql, type Updateable } from 'kysely';
import { Batches } from './batches.ts';
import type { Guard } from './conditions.ts';
import { isRolledBack } from './refusals.ts';
import type { RowChanges } from './row-changes.ts';
import type { Schema, UploadTable } from './schema.ts';
import { JUST_CREATED, toUpload, type Upload, type UploadRow } from './upload.ts';
import type { UploadId } from './upload-id.ts';

interface Change {
  id: UploadId;
  guard: Guard;
  set: Updateable<UploadTable>;
}

export class RowBatches implements RowChanges {
  readonly #db: Kysely<Schema>;
  readonly #inserts: Batches<UploadRow, boolean>;
  #insertion: CompiledQuery<{ id: UploadId }> | undefined;
  /** Batches of updates that set the same columns under the same kind of guard, by that shape. */
  readonly #updates = new Map<string, Batches<Change, Upload | undefined>>();

  constructor(db: Kysely<Schema>) {
    this.#db = db;
    this.#inserts = new Batches({ keyOf: ({ id }) => id, run: (rows) => this.#insertAll(rows), isRefusal: isRolledBack });
  }

  insert(upload: Upload): Promise<boolean> {
    return this.#inserts.do({ ...JUST_CREATED, ...upload });
  }

  update(id: UploadId, guard: Guard, given: Updateable<UploadTable>, isAttempt = false): Promise<Upload | undefined> {
    const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    const columns = Object.keys(set);
    const isLeased = guard.lease !== undefined;
    const shape = `${columns} ${isLeased} ${isAttempt}`;
    let batches = this.#updates.get(shape);
    if (batches === undefined) {
      const query = update(columns, isLeased, isAttempt).compile(this.#db);
      batches = new Batches({ keyOf: (change) => change.id, run: (changes) => this.#updateAll(changes, query), isRefusal: isRolledBack });
      this.#updates.set(shape, batches);
    }
    return batches.do({ id, guard, set });
  }

  async #insertAll(given: readonly UploadRow[]): Promise<boolean[]> {
    this.#insertion ??= insertion(Object.keys(given[0] ?? {})).compile(this.#db);
    // Two processes that add the same idempotency keys wait for them in the same order, so they never deadlock.
    const rows = given.toSorted((one, other) => compare(keyOf(one), keyOf(other)));
    const added = await this.#db.executeQuery<{ id: UploadId }>({ ...this.#insertion, parameters: [JSON.stringify(rows)] });
    const ids = new Set(added.rows.map(({ id }) => id));
    return given.map(({ id }) => ids.has(id));
  }

  async #updateAll(changes: readonly Change[], query: CompiledQuery<UploadRow>): Promise<(Upload | undefined)[]> {
    const given = Object.fromEntries(changes.map(({ id, guard, set }) => [id, { from: guard.from, ...guard.lease, set }]));
    const parameters = [JSON.stringify(given), Object.keys(given)];
    const { rows } = await this.#db.executeQuery<UploadRow>({ ...query, parameters });
    const changed = new Map(rows.map((row) => [row.id, row]));
    return changes.map(({ id }) => {
      const row = changed.get(id);
      return row && toUpload(row);
    });
  }
}

/** Adds a row under inspection only while the holder of its lease is alive in the ledger. */
function insertion(names: readonly string[]): RawBuilder<{ id: UploadId }> {
  const columns = sql.join(names.map((name) => sql.ref(name)));
  return sql`insert into "uploads" (${columns}) select ${columns} from jsonb_populate_recordset(null::uploads, ${'[]'}::jsonb) as given
    where "leaseOwner" is null or exists (select from holders where holders.owner = given."leaseOwner" and "isDead" = 0)
    on conflict do nothing returning id`;
}

/** Finds rows by their ids: a join with the JSON would read the whole table as long as PostgreSQL has no statistics of it. */
function update(names: readonly string[], isLeased: boolean, isAttempt: boolean): RawBuilder<UploadRow> {
  const columns = sql.join(names.map((name) => sql.ref(name)));
  const counted = isAttempt ? sql`, attempt = attempt + 1, strikes = strikes + 1` : sql``;
  const held = isLeased
    ? sql`and "leaseOwner" = given.changes -> id ->> 'holder' and attempt = (given.changes -> id ->> 'attempt')::integer
        and not exists (select from holders where holders.owner = uploads."leaseOwner" and "isDead" = 1)`
    : sql``;
  return sql`update "uploads" set (${columns}) = (select ${columns} from jsonb_populate_record(null::uploads, given.changes -> uploads.id -> 'set'))${counted}
    from (select ${'{}'}::jsonb as changes) as given
    where id = any(${['']}::text[]) and state = given.changes -> id ->> 'from' ${held} returning uploads.*`;
}

function keyOf({ owner, idempotencyKey, id }: UploadRow): string {
  return `${idempotencyKey === null ? '' : `${owner} ${idempotencyKey}`} ${id}`;
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
