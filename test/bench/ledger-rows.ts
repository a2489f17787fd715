// Fills the ledger of a data directory with history, by the ledger's own migrations and then by SQL: a million uploads
// through the server would take an hour.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Ledger } from '../../server/ledger/ledger.ts';
import type { UploadTable } from '../../server/ledger/schema.ts';
import { openSqlite } from '../../server/ledger/sqlite.ts';

const DAY_MS = 86_400_000;
/** Values of typical length for columns that no query here reads. Other columns are empty. */
const COMMON: Row = {
  id: 'lower(hex(randomblob(16)))',
  length: '1000000 + n',
  held: "'byte'",
  metadata: "'filename ZmlsbS5tcDQ=,filetype dmlkZW8vbXA0'",
  originalName: "'film.mp4'",
  claimedType: "'video/mp4'",
  name: "'film.mp4'",
  type: "'video/mp4'",
  target: "'2026/01/01/0123456789abcdef0123456789abcdef'",
  checksum: 'n',
  checksumOffset: '1000000 + n',
  attempt: '1',
};

/** SQL over `n`, the number of the row. */
type Row = Partial<Record<keyof UploadTable, string>>;

/** Writes rows of ended uploads, spread over the last year. No server may have the directory open. */
export async function writeHistory(dataDir: string, rows: number): Promise<void> {
  await migrate(dataDir);
  insert(dataDir, rows, {
    state: "case when n % 100 < 94 then 'accepted' when n % 100 < 98 then 'rejected' else 'terminated' end",
    createdAt: `:now - (:rows - n) * ${365 * DAY_MS} / :rows`,
    // Clients can still request these records; records of accepted uploads never expire.
    expiresAt: `case when n % 100 < 94 then null else :now + ${DAY_MS} end`,
  });
}

/** Writes abandoned uploads whose time is over, each with some staged bytes. */
export async function writeExpired(dataDir: string, rows: number): Promise<void> {
  const ids = insert(dataDir, rows, { state: "'receiving'", createdAt: `:now - ${8 * DAY_MS} - n`, expiresAt: `:now - ${DAY_MS} + n` });
  const bytes = Buffer.alloc(4096, 1);
  for (const id of ids) {
    const folder = join(dataDir, 'staging', id.slice(0, 2));
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, id), bytes);
  }
}

/** Random ids of accepted uploads. */
export function someAccepted(dataDir: string, count: number): string[] {
  return read(dataDir, `select id from uploads where state = 'accepted' order by random() limit ${count}`).map(({ id }) => String(id));
}

export function countReceiving(dataDir: string): number {
  return Number(read(dataDir, "select count(*) as count from uploads where state = 'receiving'")[0]?.count);
}

function read(dataDir: string, query: string): Record<string, unknown>[] {
  const database = new DatabaseSync(join(dataDir, 'ledger.sqlite'), { readOnly: true });
  try {
    return database.prepare(query).all();
  } finally {
    database.close();
  }
}

async function migrate(dataDir: string): Promise<void> {
  const ledger = new Ledger(await openSqlite(dataDir, { exclusive: true }));
  await ledger.migrate();
  await ledger.close();
}

/** Inserts rows and returns the ids of the uploads in state `receiving`. */
function insert(dataDir: string, rows: number, of: Row): string[] {
  const database = new DatabaseSync(join(dataDir, 'ledger.sqlite'));
  try {
    database.exec('pragma synchronous=OFF; begin');
    const last = database.prepare('select coalesce(max(rowid), 0) as rowid from uploads').get()?.rowid ?? 0;
    const values: Readonly<Record<string, string>> = { ...COMMON, updatedAt: of.createdAt ?? ':now', ...of };
    const columns = database.prepare("select name, type, [notnull] from pragma_table_info('uploads')").all();
    const expressions = columns.map(
      ({ name, type, notnull }) => values[camelCase(String(name))] ?? (notnull ? (type === 'TEXT' ? "''" : '0') : 'null'),
    );
    database
      .prepare(
        `with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < :rows)
         insert into uploads (${columns.map(({ name }) => `"${name}"`).join(', ')}) select ${expressions.join(', ')} from numbers`,
      )
      .run({ rows, now: Date.now() });
    const ids = database.prepare("select id from uploads where rowid > ? and state = 'receiving'").all(last);
    database.exec('commit; pragma wal_checkpoint(truncate)');
    return ids.map(({ id }) => String(id));
  } finally {
    database.close();
  }
}

function camelCase(column: string): string {
  return column.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
