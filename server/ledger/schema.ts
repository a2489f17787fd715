import { sql } from 'kysely';
import type { Migration, MigrationProvider } from 'kysely/migration';
import type { UploadState } from '../../shared/upload.ts';
import { type ConsumerTable, type DeliveryTable, type EventTable, eventTables } from './event-tables.ts';
import { createQuotas } from './quota-triggers.ts';
import type { UploadId } from './upload-id.ts';

/**
 * One durable row an upload. Sizes are bytes, times milliseconds: since the epoch where they are for people, and by the
 * ledger's own clock where something hangs on them.
 */
export interface UploadTable {
  id: UploadId;
  owner: string;
  state: UploadState;
  /** Null while deferred. */
  length: number | null;
  /** What the sender is not told yet while the inspection runs: the last byte, or that the length was declared. */
  held: 'byte' | 'length';
  /** `Upload-Metadata` as sent. */
  metadata: string;
  originalName: string | null;
  claimedType: string | null;
  relativePath: string | null;
  /** The safe name; null until it is known. */
  name: string | null;
  /** Null until the upload is accepted. */
  type: string | null;
  /** Directory of the final file, relative to the storage's root; fixed on entering `inspecting`. */
  target: string | null;
  /** Bytes known to survive a power cut. */
  provenOffset: number;
  /** Running CRC-32 of the first `checksumOffset` bytes. */
  checksum: number;
  checksumOffset: number;
  /** While a chunk that carries its own checksum comes in: where it began. Beyond, nothing is counted; null otherwise. */
  unverifiedFrom: number | null;
  /** CRC-32 of the whole file as the sender read it, where it said so. */
  expectedChecksum: number | null;
  /** In hex, where configuration asks for it. */
  sha256: string | null;
  /** Inspections begun. The lease of attempt n is the only one that may write the outcome. */
  attempt: number;
  /** Inspections begun since the last one that ended by itself: crashes and time limits in a row. */
  strikes: number;
  /** The holder that has the lease, as long as it lives. A column keeps the name that it was published with, here and below. */
  leaseOwner: string | null;
  /** Earliest next attempt after a fault of ours. */
  retryAt: number | null;
  errorCode: string | null;
  errorDetail: string | null;
  /** JSON that a check attached to the verdict. */
  result: string | null;
  /** JSON: what a scan for malware found (`ScanReport`). */
  scan: string | null;
  /** The code of the fault of ours that the last attempt ended with, where it has one of its own. */
  fault: string | null;
  /** The policy a refusal was spoken under. */
  policyHash: string | null;
  /** As sent; of the anonymous owner behind the fingerprint, so that each creation has keys of its own. */
  idempotencyKey: string | null;
  /** SHA-256 of what the creation asked for, where it came with a key: the same key can't stand for anything else. */
  creationFingerprint: string | null;
  /** By the wall's clock, as `updatedAt`: for people, and nothing hangs on them. */
  createdAt: number;
  /** How far the wall's clock was ahead of the ledger's at the creation: without it, `createdAt` is the ledger's time. */
  wallAheadMs: number;
  updatedAt: number;
  /** When the sweeper may take it; null: never. */
  expiresAt: number | null;
  /** Of a file that is removed, and may still lie in the storage: when its record goes. Null once the file is gone. */
  recordExpiresAt: number | null;
  /** When to look, unasked, whether all has come of what is sent past this server; null: its bytes come through here. */
  directDueAt: number | null;
  /** How its sender was known; see `Grantee` for this and the next three. */
  source: string;
  credential: string | null;
  quota: string;
  /** JSON. */
  limits: string;
  /** Bytes that it counts for while it is unfinished: its length, or as far as room was taken for it. */
  reservedBytes: number;
  /** When that room is given back, should nothing come; null: it was, or there is none to give. */
  reservedUntil: number | null;
  /** 1: its bytes take room on the disk that all share. */
  onVolume: number;
}

/**
 * What uploads come to, counted together in the statements that change them (triggers): for each `quota`, each `credential`, and
 * `volume`. A limit that a change would exceed takes the change back.
 */
export interface QuotaTable {
  scope: string;
  /** Uploads that receive or are inspected, and the bytes reserved for them. */
  unfinished: number;
  reservedBytes: number;
  /** Of accepted files. */
  storedBytes: number;
  /** Ever, but for refused, cancelled and expired ones; and what those came to. */
  uploads: number;
  bytes: number;
  /** Null: no limit. */
  maxUnfinished: number | null;
  maxReservedBytes: number | null;
  /** Of what is stored and reserved together. */
  maxStoredBytes: number | null;
  maxUploads: number | null;
  maxBytes: number | null;
}

/** What the ledger knows of itself. */
export interface FactTable {
  key: string;
  value: string;
}

/** A process that takes locks and leases, for as long as it renews this row. Dead once, dead for ever. */
export interface HolderTable {
  /** The holder's own name. */
  owner: string;
  /** By the database's clock: another value with each renewal. */
  expiresAt: number;
  /** So long a renewal counts; 0: written by a version that did not say so. */
  leaseMs: number;
  /** 1: what it held is free. The row stays for a while, so that what it wrote without knowing is known to be a dead one's. */
  isDead: number;
}

/** The holder that is named in the row may write the upload's bytes, as long as it lives. */
export interface LockTable {
  uploadId: UploadId;
  /** The holder that has the lock. */
  owner: string;
  /** The machine's boot that the bytes were written in: in another, what was not proved may be anything. */
  boot: string;
}

/** What was given out, or taken back: keys, upload links, and grants that were revoked. Times are the wall's: they are people's. */
export interface CredentialTable {
  /** `key:ID`, `link:ID`, `grant:ID`. */
  id: string;
  /** What its id begins with. */
  kind: 'key' | 'link' | 'grant';
  owner: string;
  /** SHA-256 of the secret, in hex; empty for a grant, which carries its own proof. */
  secretHash: string;
  /** For people. */
  title: string;
  /** JSON, as in an upload's row. */
  limits: string;
  createdAt: number;
  /** When it ends by itself; null: never. */
  endsAt: number | null;
  /** When it was taken back; null: it counts. */
  removedAt: number | null;
}

/** One row: how far the ledger's time has come. */
export interface ClockTable {
  at: number;
}

export interface Schema {
  uploads: UploadTable;
  holders: HolderTable;
  locks: LockTable;
  facts: FactTable;
  clock: ClockTable;
  events: EventTable;
  quotas: QuotaTable;
  credentials: CredentialTable;
  consumers: ConsumerTable;
  deliveries: DeliveryTable;
}

export type Dialect = 'sqlite' | 'postgres';

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
    // Partial indexes: what ended and stays (accepted) is in none of them, so each stays as small as the work at hand.
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
    // In the statement that ends an upload, whatever that is: no verdict without its event, no event without its verdict.
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

/** Locks, and leases that end with their holder instead of one by one. */
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

/** Uploads that are sent past the server. */
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

/** A clock of the ledger's own. What is there already has deadlines by the wall's, so it begins where that was last seen. */
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

/** What an idempotency key was used for. */
const creationFingerprint: Migration = {
  async up(db) {
    await db.schema.alterTable('uploads').addColumn('creationFingerprint', 'text').execute();
  },
};

/** What was accepted has a type. */
const acceptedType: Migration = {
  async up(db) {
    await sql`update uploads set type = 'application/octet-stream'
      where type is null and state in ('accepted', 'removed')`.execute(db);
  },
};

/** Who sent it and within which limits, and what all of that comes to. */
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

/** What checks attach, and files that are removed when their time is over. */
const results: Migration = {
  async up(db) {
    for (const column of ['result', 'scan', 'fault']) await db.schema.alterTable('uploads').addColumn(column, 'text').execute();
    await db.schema.alterTable('uploads').addColumn('recordExpiresAt', 'bigint').execute();
  },
};

/** In order; a published one is never changed. */
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
  };
  return { getMigrations: async () => all };
}
