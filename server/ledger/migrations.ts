// The migrations that lead to the tables in `schema.ts`.
import { sql } from 'kysely';
import type { Migration, MigrationProvider } from 'kysely/migration';
import { eventTables, fewerEventIndexes, immediatePositions, positionKeys, writeEvents } from './event-tables.ts';
import { createQuotas, renewQuotaTriggers, separateQuotaTriggers } from './quota-triggers.ts';
import type { Dialect } from './schema.ts';
import { renewStatementTriggers, statementTriggers } from './statement-triggers.ts';

const first = (dialect: Dialect): Migration => ({
  async up(db) {
    await db.schema
      .createTable('uploads')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('owner', 'text', (column) => column.notNull())
      .addColumn('state', 'text', (column) => column.notNull())
      .addColumn('length', 'bigint')
      .addColumn('held', 'text', (column) => column.notNull())
      .addColumn('metadata', 'text', (column) => column.notNull())
      .addColumn('originalName', 'text')
      .addColumn('claimedType', 'text')
      .addColumn('relativePath', 'text')
      .addColumn('name', 'text')
      .addColumn('type', 'text')
      .addColumn('target', 'text')
      .addColumn('provenOffset', 'bigint', (column) => column.notNull())
      .addColumn('checksum', 'bigint', (column) => column.notNull())
      .addColumn('checksumOffset', 'bigint', (column) => column.notNull())
      .addColumn('unverifiedFrom', 'bigint')
      .addColumn('expectedChecksum', 'bigint')
      .addColumn('sha256', 'text')
      .addColumn('attempt', 'integer', (column) => column.notNull())
      .addColumn('strikes', 'integer', (column) => column.notNull())
      .addColumn('leaseOwner', 'text')
      .addColumn('leaseExpiresAt', 'bigint')
      .addColumn('retryAt', 'bigint')
      .addColumn('errorCode', 'text')
      .addColumn('errorDetail', 'text')
      .addColumn('policyHash', 'text')
      .addColumn('idempotencyKey', 'text')
      .addColumn('createdAt', 'bigint', (column) => column.notNull())
      .addColumn('updatedAt', 'bigint', (column) => column.notNull())
      .addColumn('expiresAt', 'bigint')
      .execute();
    // Partial indexes: they leave out accepted uploads, which stay for ever, so each index is only as large as the current work.
    await db.schema
      .createIndex('uploads_idempotency')
      .on('uploads')
      .columns(['owner', 'idempotencyKey'])
      .unique()
      .where(sql.ref('idempotencyKey'), 'is not', null)
      .execute();
    await db.schema
      .createIndex('uploads_expiry')
      .on('uploads')
      .columns(['expiresAt', 'id'])
      .where(sql.ref('expiresAt'), 'is not', null)
      .execute();
    await db.schema
      .createIndex('uploads_inspecting')
      .on('uploads')
      .column('id')
      .where(sql.ref('state'), '=', sql.lit('inspecting'))
      .execute();
    await db.schema
      .createIndex('uploads_receiving')
      .on('uploads')
      .column('id')
      .where(sql.ref('state'), '=', sql.lit('receiving'))
      .execute();
    await db.schema.createIndex('uploads_created').on('uploads').columns(['createdAt', 'id']).execute();
    await db.schema
      .createTable('facts')
      .addColumn('key', 'text', (column) => column.primaryKey())
      .addColumn('value', 'text', (column) => column.notNull())
      .execute();
    await sql`create table events (
      id ${sql.raw(dialect === 'postgres' ? 'bigint generated always as identity primary key' : 'integer primary key autoincrement')},
      "uploadId" text not null, state text not null, at bigint not null)`.execute(db);
    // The trigger runs in the statement that ends an upload, so there is no verdict without its event and no event without its verdict.
    const ended = sql.raw("new.state in ('accepted', 'rejected', 'expired', 'terminated', 'removed') and new.state <> old.state");
    const insert = sql.raw('insert into events ("uploadId", state, at) values (new.id, new.state, new."updatedAt")');
    if (dialect === 'sqlite') {
      await sql`create trigger uploads_end after update of state on uploads when ${ended} begin ${insert}; end`.execute(db);
    } else {
      await sql`create function uploads_end() returns trigger language plpgsql as $$ begin ${insert}; return null; end $$`.execute(db);
      await sql`create trigger uploads_end after update of state on uploads for each row when (${ended}) execute function uploads_end()`.execute(
        db,
      );
    }
  },
});

/** Adds locks and holders. A lease ends with its holder instead of at its own time. */
const processes: Migration = {
  async up(db) {
    await db.schema.alterTable('uploads').dropColumn('leaseExpiresAt').execute();
    await sql`update uploads set "leaseOwner" = null where state = 'inspecting'`.execute(db);
    await db.schema
      .createTable('holders')
      .addColumn('owner', 'text', (column) => column.primaryKey())
      .addColumn('expiresAt', 'bigint', (column) => column.notNull())
      .addColumn('isDead', 'integer', (column) => column.notNull())
      .execute();
    await db.schema
      .createTable('locks')
      .addColumn('uploadId', 'text', (column) => column.primaryKey())
      .addColumn('owner', 'text', (column) => column.notNull())
      .addColumn('boot', 'text', (column) => column.notNull())
      .execute();
    await db.schema.createIndex('locks_owner').on('locks').columns(['owner', 'uploadId']).execute();
  },
};

/** Adds uploads whose bytes are sent directly to S3. */
const direct: Migration = {
  async up(db) {
    await db.schema.alterTable('uploads').addColumn('directDueAt', 'bigint').execute();
    await db.schema
      .createIndex('uploads_direct')
      .on('uploads')
      .columns(['directDueAt', 'id'])
      .where(sql.ref('state'), '=', sql.lit('receiving'))
      .where(sql.ref('directDueAt'), 'is not', null)
      .execute();
  },
};

/** Adds the ledger's own clock. Existing deadlines are by the wall clock, so it starts at the last wall-clock time in the ledger. */
const timeServed: Migration = {
  async up(db) {
    await db.schema
      .alterTable('uploads')
      .addColumn('wallAheadMs', 'bigint', (column) => column.notNull().defaultTo(0))
      .execute();
    await db.schema
      .alterTable('holders')
      .addColumn('leaseMs', 'bigint', (column) => column.notNull().defaultTo(0))
      .execute();
    await db.schema
      .createTable('clock')
      .addColumn('at', 'bigint', (column) => column.notNull())
      .execute();
    const now = Date.now();
    await sql`insert into clock (at) select min(seen) from (
      select max("updatedAt") as seen from uploads union all select ${now}) as times`.execute(db);
  },
};

/** Adds the fingerprint of the creation that an idempotency key was used for. */
const creationFingerprint: Migration = {
  async up(db) {
    await db.schema.alterTable('uploads').addColumn('creationFingerprint', 'text').execute();
  },
};

/** Gives every accepted upload a type. */
const acceptedType: Migration = {
  async up(db) {
    await sql`update uploads set type = 'application/octet-stream'
      where type is null and state in ('accepted', 'removed')`.execute(db);
  },
};

/** Adds the sender and limits of each upload, credentials and quotas. */
const access = (dialect: Dialect): Migration => ({
  async up(db) {
    const add = (column: string, type: 'text' | 'bigint' | 'integer', initial?: string | number) =>
      db.schema
        .alterTable('uploads')
        .addColumn(column, type, (added) => (initial === undefined ? added : added.notNull().defaultTo(initial)))
        .execute();
    await add('source', 'text', '');
    await add('credential', 'text');
    await add('quota', 'text', '');
    await add('limits', 'text', '{}');
    await add('reservedBytes', 'bigint', 0);
    await add('reservedUntil', 'bigint');
    await add('onVolume', 'integer', 0);
    await db.schema
      .createIndex('uploads_reserved')
      .on('uploads')
      .columns(['reservedUntil', 'id'])
      .where(sql.ref('state'), '=', sql.lit('receiving'))
      .where(sql.ref('reservedUntil'), 'is not', null)
      .execute();
    await db.schema
      .createTable('credentials')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('kind', 'text', (column) => column.notNull())
      .addColumn('owner', 'text', (column) => column.notNull())
      .addColumn('secretHash', 'text', (column) => column.notNull())
      .addColumn('title', 'text', (column) => column.notNull())
      .addColumn('limits', 'text', (column) => column.notNull())
      .addColumn('createdAt', 'bigint', (column) => column.notNull())
      .addColumn('endsAt', 'bigint')
      .addColumn('removedAt', 'bigint')
      .execute();
    await db.schema.createIndex('credentials_kind').on('credentials').columns(['kind', 'createdAt', 'id']).execute();
    await createQuotas(async (statement) => void (await sql.raw(statement).execute(db)), dialect);
  },
});

/** Adds results of checks and scans, and the retention of accepted files. */
const results: Migration = {
  async up(db) {
    for (const column of ['result', 'scan', 'fault']) await db.schema.alterTable('uploads').addColumn(column, 'text').execute();
    await db.schema.alterTable('uploads').addColumn('recordExpiresAt', 'bigint').execute();
  },
};

/** Adds the names of bytes in stores that are not Landfall's own, and the addresses of adopted uploads. */
const stores: Migration = {
  async up(db) {
    await db.schema
      .createTable('stagedNames')
      .addColumn('name', 'text', (column) => column.primaryKey())
      .addColumn('uploadId', 'text', (column) => column.notNull())
      .addColumn('isCurrent', 'integer', (column) => column.notNull())
      .execute();
    await db.schema.createIndex('staged_names_upload').on('stagedNames').columns(['uploadId', 'name']).execute();
    await db.schema
      .createTable('adoptedIds')
      .addColumn('address', 'text', (column) => column.primaryKey())
      .addColumn('uploadId', 'text', (column) => column.notNull())
      .execute();
  },
};

/** Triggers of quotas that run only for the rows that they count. */
const quotaTriggers: Migration = {
  async up(db) {
    await separateQuotaTriggers(async (statement) => void (await sql.raw(statement).execute(db)));
  },
};

/** Triggers whose conditions need no temporary table. */
const quickTriggers: Migration = {
  async up(db) {
    await renewQuotaTriggers(async (statement) => void (await sql.raw(statement).execute(db)));
    await writeEvents(db);
  },
};

/** Adds the time at which a quota's limits were written, so that none is deleted that an upload is about to be counted in. */
const quotaTimes: Migration = {
  async up(db) {
    await db.schema.alterTable('quotas').addColumn('limitedAt', 'bigint').execute();
  },
};

/** Triggers that take the limits of a credential from the upload's own row. */
const ownLimits = (dialect: Dialect): Migration => ({
  async up(db) {
    if (dialect === 'postgres') await renewStatementTriggers(db);
    else await renewQuotaTriggers(async (statement) => void (await sql.raw(statement).execute(db)));
  },
});

const nothing: Migration = { async up() {} };

/** All migrations in order. A published migration is never changed. */
export function migrations(dialect: Dialect): MigrationProvider {
  const all = {
    '0001-uploads': first(dialect),
    '0002-processes': processes,
    '0003-direct': direct,
    '0004-time-served': timeServed,
    '0005-creation-fingerprint': creationFingerprint,
    '0006-accepted-type': acceptedType,
    '0007-access': access(dialect),
    '0008-events': eventTables(dialect),
    '0009-results': results,
    '0010-stores': stores,
    '0011-fewer-event-indexes': fewerEventIndexes(dialect),
    '0012-statement-triggers': dialect === 'postgres' ? statementTriggers : nothing,
    '0013-quota-triggers': dialect === 'sqlite' ? quotaTriggers : nothing,
    '0014-immediate-positions': dialect === 'sqlite' ? immediatePositions : nothing,
    '0015-quota-times': quotaTimes,
    '0016-position-keys': dialect === 'sqlite' ? positionKeys : nothing,
    '0017-quick-triggers': dialect === 'sqlite' ? quickTriggers : nothing,
    '0018-own-limits': ownLimits(dialect),
  };
  return { getMigrations: async () => all };
}
