// The tables of events, consumers and deliveries, and the triggers that write an event in the statement that changes an upload.
import { type Generated, type QueryExecutorProvider, sql } from 'kysely';
import type { Migration } from 'kysely/migration';
import { UNFINISHED } from './quota-triggers.ts';
import type { UploadId } from './upload-id.ts';

/** In the order in which they happen to one upload. */
export const EVENT_TYPES = [
  'upload.created',
  'upload.accepted',
  'upload.rejected',
  'upload.expired',
  'upload.terminated',
  'upload.removed',
] as const;
/** What happened to an upload; docs/events.md says when each comes. */
export type EventType = (typeof EVENT_TYPES)[number];

/**
 * An event of an upload. The row has `upload` until it has a `body`. On PostgreSQL it gets its body with its position, on SQLite when
 * the body is first needed.
 */
export interface EventTable {
  /** PostgreSQL only: order of writing, which is not the order of the commits. Readers never see it. */
  number: Generated<number>;
  /** `evt_` and 32 hex digits: the same in every delivery. On SQLite the first 16 are the position. */
  id: string;
  type: EventType;
  uploadId: UploadId;
  /** By the wall clock. */
  at: number;
  /** The upload's row right after the change, as JSON. */
  upload: string | null;
  /** The JSON that receivers get. */
  body: string | null;
  /** In the order of the commits: a reader that continues from the last position it read misses no event. PostgreSQL: null at first. */
  position: number | null;
  /** When the position was assigned, by the ledger's clock; on SQLite up to two minutes earlier. */
  givenAt: number | null;
}

/** A receiver of events: `webhook`, `handler`. */
export interface ConsumerTable {
  name: string;
  /** Each event up to this position is delivered, or has a row in `deliveries`. */
  cursor: number;
  /** Events up to this position are older than the consumer. */
  beganAfter: number;
  /** Name of the process that holds the lease to deliver, as long as it lives. */
  leaseOwner: string | null;
  /** 1: the receiver asked to get no more events. */
  isStopped: number;
}

/** A delivery that is pending or was given up. A delivered event has no row. */
export interface DeliveryTable {
  consumer: string;
  position: number;
  uploadId: UploadId;
  state: 'pending' | 'failed';
  attempts: number;
  /** Time of the first failure, by the ledger's clock like all times here; null: none. */
  failedAt: number | null;
  /** Null: an earlier event of the same upload comes first. */
  dueAt: number | null;
  lastError: string | null;
}

/** Creates the tables and triggers of events, after dropping the former table `events`, whose rows were never delivered. */
export function eventTables(dialect: 'sqlite' | 'postgres'): Migration {
  return {
    async up(db) {
      if (dialect === 'sqlite') await sql`drop trigger uploads_end`.execute(db);
      else await sql`drop function uploads_end() cascade`.execute(db);
      await db.schema.dropTable('events').execute();
      const numbered = dialect === 'postgres' ? 'bigint generated always as identity primary key' : 'integer primary key autoincrement';
      await sql`create table events (
        number ${sql.raw(numbered)}, id text not null unique, type text not null, "uploadId" text not null, at bigint not null,
        upload text, body text, position bigint unique, "givenAt" bigint)`.execute(db);
      await db.schema.createIndex('events_new').on('events').column('number').where(sql.ref('position'), 'is', null).execute();
      await db.schema.createIndex('events_upload').on('events').columns(['uploadId', 'position']).execute();
      await db.schema
        .createTable('consumers')
        .addColumn('name', 'text', (column) => column.primaryKey())
        .addColumn('cursor', 'bigint', (column) => column.notNull())
        .addColumn('beganAfter', 'bigint', (column) => column.notNull())
        .addColumn('leaseOwner', 'text')
        .addColumn('isStopped', 'integer', (column) => column.notNull())
        .execute();
      await db.schema
        .createTable('deliveries')
        .addColumn('consumer', 'text', (column) => column.notNull())
        .addColumn('position', 'bigint', (column) => column.notNull())
        .addColumn('uploadId', 'text', (column) => column.notNull())
        .addColumn('state', 'text', (column) => column.notNull())
        .addColumn('attempts', 'integer', (column) => column.notNull())
        .addColumn('failedAt', 'bigint')
        .addColumn('dueAt', 'bigint')
        .addColumn('lastError', 'text')
        .addPrimaryKeyConstraint('deliveries_key', ['consumer', 'position'])
        .execute();
      const pending = sql.lit('pending');
      await db.schema
        .createIndex('deliveries_due')
        .on('deliveries')
        .columns(['consumer', 'dueAt', 'position'])
        .where(sql.ref('state'), '=', pending)
        .execute();
      await db.schema
        .createIndex('deliveries_upload')
        .on('deliveries')
        .columns(['uploadId', 'consumer', 'position'])
        .where(sql.ref('state'), '=', pending)
        .execute();
      await db.schema.createIndex('deliveries_state').on('deliveries').columns(['consumer', 'state', 'position']).execute();
      await db.schema.createIndex('deliveries_position').on('deliveries').column('position').execute();
      if (dialect === 'sqlite') await writeEvents(db);
      else await writeEventsOnPostgres(db);
    },
  };
}

/** SQL of the last position; 0 without one. */
const LAST_POSITION = 'coalesce((select max(position) from events), 0)';
/** Key of the fact that holds a lower bound: new positions are above it. */
export const EVENTS_FLOOR = 'eventsFloor';
const POSITION_FLOOR = `coalesce((select cast(value as integer) from facts where key = '${EVENTS_FLOOR}'), 0)`;

/** On SQLite, events get their positions when they are written. Positions the events that were written before. */
export const immediatePositions: Migration = {
  async up(db) {
    await sql
      .raw(`update events set position = next.position, "givenAt" = (select at from clock) from (
      select number, max(${LAST_POSITION}, ${POSITION_FLOOR}) + row_number() over (order by number) as position from events where position is null
    ) as next where next.number = events.number`)
      .execute(db);
    await db.schema.dropIndex('events_new').execute();
    await writeEvents(db);
  },
};

/**
 * SQLite: makes the position the table's key, and drops the index of the ids, because an id now has its event's position. These two
 * indexes took a fifth of the time of an upload's rows.
 */
export const positionKeys: Migration = {
  async up(db) {
    for (const name of TRIGGERS) await sql.raw(`drop trigger if exists ${name}`).execute(db);
    await sql`create table positioned (
      position integer primary key, id text not null, type text not null, "uploadId" text not null, at bigint not null, upload text,
      body text, "givenAt" bigint)`.execute(db);
    const columns = sql.raw('position, id, type, "uploadId", at, upload, body, "givenAt"');
    await sql`insert into positioned (${columns}) select ${columns} from events order by position`.execute(db);
    await db.schema.dropTable('events').execute();
    await sql`alter table positioned rename to events`.execute(db);
    await writeEvents(db);
  },
};

/** The position in the id of an event on SQLite; undefined for another id, as earlier versions made. */
export function positionIn(id: string): number | undefined {
  const position = Number.parseInt(/^evt_([0-9a-f]{16})/.exec(id)?.[1] ?? '', 16);
  return Number.isSafeInteger(position) ? position : undefined;
}

/** Drops an index whose random keys made each event change another page of it; `Deliveries.enqueue` no longer needs it. */
export const fewerEventIndexes = (dialect: 'sqlite' | 'postgres'): Migration => ({
  async up(db) {
    await db.schema.dropIndex('events_upload').execute();
    if (dialect === 'sqlite') await writeEvents(db);
  },
});

export const ENDED: string = "('accepted', 'rejected', 'expired', 'terminated', 'removed')";
/** The triggers of events on SQLite. */
const TRIGGERS = ['uploads_inserted', 'uploads_adopted', 'uploads_moved', 'uploads_deleted'] as const;
export const EVENT_COLUMNS: string = 'id, type, "uploadId", at, upload';

/**
 * The triggers run in the statement that makes the change, so there is no verdict without its event and no event without its verdict.
 * A row that is inserted in a final state, as by `adopt`, writes two events. Deleting the row of an unfinished upload writes
 * `upload.terminated`.
 */
async function writeEventsOnPostgres(db: QueryExecutorProvider): Promise<void> {
  const insert = (type: string, row: string, at: string) =>
    `insert into events (${EVENT_COLUMNS}) values ('evt_' || replace(gen_random_uuid()::text, '-', ''), ${type}, ${row}.id, ${at}, to_jsonb(${row})::text);`;
  const state = "'upload.' || new.state";
  const now = '(extract(epoch from clock_timestamp()) * 1000)::bigint';
  const trigger = async (name: string, on: string, body: string) => {
    const text = `create function ${name}() returns trigger language plpgsql as $$ begin ${body} return null; end $$`;
    await sql.raw(text).execute(db);
    await sql.raw(`create trigger ${name} after ${on} execute function ${name}()`).execute(db);
  };
  await trigger(
    'uploads_inserted',
    'insert on uploads for each row',
    `${insert("'upload.created'", 'new', 'new."createdAt"')} if new.state in ${ENDED} then ${insert(state, 'new', 'new."updatedAt"')} end if;`,
  );
  await trigger(
    'uploads_moved',
    `update of state on uploads for each row when (new.state in ${ENDED} and new.state <> old.state)`,
    insert(state, 'new', 'new."updatedAt"'),
  );
  await trigger(
    'uploads_deleted',
    "delete on uploads for each row when (old.state in ('receiving', 'inspecting'))",
    insert("'upload.terminated'", 'old', now),
  );
}

/**
 * The same triggers on SQLite. There they have to name each column, so they are made anew when a migration has added a column. A
 * migration that removes a column has to drop the triggers first.
 */
export async function writeEvents(db: QueryExecutorProvider): Promise<void> {
  const { rows } = await sql<{ name: string }>`select name from pragma_table_info('uploads')`.execute(db);
  const jsonOf = (row: string) => `json_object(${rows.map(({ name }) => `'${name}', ${row}."${name}"`).join(', ')})`;
  // SQLite has one writer at a time, so the next position is known when the event is written. A rollback takes the position back with
  // the event.
  const next = `(select max(${LAST_POSITION}, ${POSITION_FLOOR}) + 1 as position) as next`;
  const id = "'evt_' || printf('%016x', next.position) || lower(hex(randomblob(8)))";
  const given = '(select at from clock)';
  const insert = (type: string, row: string, at: string) =>
    `insert into events (${EVENT_COLUMNS}, position, "givenAt") select ${id}, ${type}, ${row}.id, ${at}, ${jsonOf(row)}, next.position, ${given} from ${next}`;
  const state = "'upload.' || new.state";
  const now = "cast(unixepoch('subsec') * 1000 as integer)";
  // The states that are not final: SQLite makes a temporary table of a list of more than two values, each time that it asks.
  const isUnfinished = UNFINISHED('new');
  const ended = insert(state, 'new', 'new."updatedAt"');
  const wanted: Record<(typeof TRIGGERS)[number], string> = {
    uploads_inserted: `after insert on uploads when ${isUnfinished} begin ${insert("'upload.created'", 'new', 'new."createdAt"')}; end`,
    uploads_adopted: `after insert on uploads when not ${isUnfinished} begin ${insert("'upload.created'", 'new', 'new."createdAt"')}; ${ended}; end`,
    uploads_moved: `after update of state on uploads when not ${isUnfinished} and new.state <> old.state begin ${ended}; end`,
    uploads_deleted: `after delete on uploads when ${UNFINISHED('old')} begin ${insert("'upload.terminated'", 'old', now)}; end`,
  };
  for (const [name, what] of Object.entries(wanted)) {
    const text = `CREATE TRIGGER ${name} ${what}`;
    const { rows: found } = await sql<{ sql: string }>`select sql from sqlite_master where type = 'trigger' and name = ${name}`.execute(db);
    if (found[0]?.sql === text) continue;
    await sql.raw(`drop trigger if exists ${name}`).execute(db);
    await sql.raw(text).execute(db);
  }
}

/** Resolves to true when the triggers name every column. Otherwise `writeEvents` has to remake them, for which it locks the file. */
export async function writesWholeRows(db: QueryExecutorProvider): Promise<boolean> {
  const { rows: columns } = await sql<{ name: string }>`select name from pragma_table_info('uploads')`.execute(db);
  const { rows } = await sql<{ sql: string }>`select sql from sqlite_master where type = 'trigger'
    and name in (${sql.join(TRIGGERS)})`.execute(db);
  return rows.every(({ sql: text }) => columns.every(({ name }) => text.includes(`'${name}',`)));
}
