// Tables of events and of those who are told of them, and what writes events: triggers, in the statement that makes the change.
import { type Generated, type QueryExecutorProvider, sql } from 'kysely';
import type { Migration } from 'kysely/migration';
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

/** What happened to an upload. A row has `upload` until it has a position, and `body` from then on. */
export interface EventTable {
  /** In the order of writing, which is not that of the commits. Readers never see it. */
  number: Generated<number>;
  /** `evt_` and 32 hex digits: the same in every delivery. */
  id: string;
  type: EventType;
  uploadId: UploadId;
  /** By the wall's clock. */
  at: number;
  /** The row of the upload as the change left it, as JSON. */
  upload: string | null;
  /** What is told, as JSON. */
  body: string | null;
  /** Given after the commit, in order: what is read from here on comes after what was read before. */
  position: number | null;
  /** By the ledger's clock. */
  givenAt: number | null;
}

/** Who is told of events: `webhook`, `handler`. */
export interface ConsumerTable {
  name: string;
  /** All that came up to here is delivered, or has a row in `deliveries`. */
  cursor: number;
  /** What came up to here was never for this one. */
  beganAfter: number;
  /** The holder of the lease that delivers, as long as it lives. */
  leaseOwner: string | null;
  /** 1: the receiver said that it wants no more. */
  isStopped: number;
}

/** What is still to be delivered, or was given up. What was delivered has no row. */
export interface DeliveryTable {
  consumer: string;
  position: number;
  uploadId: UploadId;
  state: 'pending' | 'failed';
  attempts: number;
  /** When it failed first, by the ledger's clock as all times here; null: it did not. */
  failedAt: number | null;
  /** Null: an earlier event of the same upload comes first. */
  dueAt: number | null;
  lastError: string | null;
}

/** Columns that the tables had before are in none of them: nobody was ever told of those events. */
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

/** Of any table's row in a trigger. */
export const ENDED: string = "('accepted', 'rejected', 'expired', 'terminated', 'removed')";
export const EVENT_COLUMNS: string = 'id, type, "uploadId", at, upload';

/**
 * In the statement that makes the change, whatever that is: no verdict without its event, no event without its verdict. A row
 * that is inserted in its last state makes two. An upload that is taken back while it is under way has ended as well.
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
 * As on PostgreSQL. SQLite's triggers have to name each column, so this is done anew where a migration has added one. A migration
 * that takes a column away has to drop the triggers first.
 */
export async function writeEvents(db: QueryExecutorProvider): Promise<void> {
  const { rows } = await sql<{ name: string }>`select name from pragma_table_info('uploads')`.execute(db);
  const jsonOf = (row: string) => `json_object(${rows.map(({ name }) => `'${name}', ${row}."${name}"`).join(', ')})`;
  const insert = (type: string, row: string, at: string) =>
    `insert into events (${EVENT_COLUMNS}) select 'evt_' || lower(hex(randomblob(16))), ${type}, ${row}.id, ${at}, ${jsonOf(row)}`;
  const state = "'upload.' || new.state";
  const now = "cast(unixepoch('subsec') * 1000 as integer)";
  const wanted = {
    uploads_inserted: `after insert on uploads begin ${insert("'upload.created'", 'new', 'new."createdAt"')}; ${insert(state, 'new', 'new."updatedAt"')} where new.state in ${ENDED}; end`,
    uploads_moved: `after update of state on uploads when new.state in ${ENDED} and new.state <> old.state begin ${insert(state, 'new', 'new."updatedAt"')}; end`,
    uploads_deleted: `after delete on uploads when old.state in ('receiving', 'inspecting') begin ${insert("'upload.terminated'", 'old', now)}; end`,
  };
  for (const [name, what] of Object.entries(wanted)) {
    const text = `CREATE TRIGGER ${name} ${what}`;
    const { rows: found } = await sql<{ sql: string }>`select sql from sqlite_master where type = 'trigger' and name = ${name}`.execute(db);
    if (found[0]?.sql === text) continue;
    await sql.raw(`drop trigger if exists ${name}`).execute(db);
    await sql.raw(text).execute(db);
  }
}

/** Whether the triggers name every column: only otherwise `writeEvents` has something to change, for which it locks the file. */
export async function writesWholeRows(db: QueryExecutorProvider): Promise<boolean> {
  const { rows: columns } = await sql<{ name: string }>`select name from pragma_table_info('uploads')`.execute(db);
  const { rows } = await sql<{ sql: string }>`select sql from sqlite_master where type = 'trigger'
    and name in ('uploads_inserted', 'uploads_moved', 'uploads_deleted')`.execute(db);
  return rows.every(({ sql: text }) => columns.every(({ name }) => text.includes(`'${name}',`)));
}
