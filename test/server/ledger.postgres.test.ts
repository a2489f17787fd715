import { describe, expect, it, onTestFinished } from 'vitest';
import { DirectUploads } from '../../server/ledger/direct-uploads.ts';
import { Holders } from '../../server/ledger/holders.ts';
import { Ledger } from '../../server/ledger/ledger.ts';
import { Locks } from '../../server/ledger/locks.ts';
import { LedgerTooNew } from '../../server/ledger/migrate.ts';
import { openPostgres } from '../../server/ledger/postgres.ts';
import { testLedger } from '../contract/ledger.ts';
import { BEGIN, newUpload } from '../contract/new-upload.ts';
import { fillingStatements, ROWS, testPlans } from '../contract/plans.ts';
import { countedFromRows, counters } from '../contract/quotas.ts';
import { testUpgrades } from '../contract/upgrades.ts';
import { postgresForTests } from '../support/postgres.ts';
import { randomFrom, testSeed } from '../support/random.ts';
import { uploadId } from '../support/upload-ids.ts';

const postgres = postgresForTests({ fsync: false });

async function openEngine(url: string) {
  const engine = openPostgres(url, { connections: 5 });
  const ledger = new Ledger(engine);
  onTestFinished(() => ledger.close());
  await ledger.migrate();
  return { engine, ledger };
}

describe('the ledger on PostgreSQL', () => {
  testLedger(async () => {
    const url = await postgres.database();
    const { engine, ledger } = await openEngine(url);
    return {
      ledger,
      holders: new Holders(engine),
      locks: new Locks(engine),
      direct: new DirectUploads(engine),
      other: async () => (await openEngine(url)).ledger,
      events: async (uploadId) => {
        const rows = await postgres.query('select * from events order by number', url);
        return rows.filter((row) => row.uploadId === uploadId).map((row) => String(row.type));
      },
    };
  });

  testPlans(async () => {
    const url = await postgres.database();
    const { engine } = await openEngine(url);
    const numbers = `select n from generate_series(1, ${ROWS}) as n`;
    await postgres.query('alter table uploads disable trigger uploads_inserted', url);
    for (const statement of [...fillingStatements(numbers, "lpad(to_hex(n), 32, '0')", "lpad(to_hex(n), 16, '0')"), 'analyze'])
      await postgres.query(statement, url);
    return {
      engine,
      async explain(query) {
        const { rows } = await engine.db.executeQuery<{ 'QUERY PLAN': string }>({ ...query, sql: `explain ${query.sql}` });
        const lines = rows.map((row) => row['QUERY PLAN']);
        return { plan: lines.join('\n'), scans: lines.filter((line) => /Seq Scan on (?:uploads|locks|events|deliveries)\b/.test(line)) };
      },
    };
  });

  testUpgrades(async () => {
    const engine = openPostgres(await postgres.database(), { connections: 5 });
    onTestFinished(() => engine.close());
    return engine;
  });

  it('is created once by several processes that start at the same time', async () => {
    const url = await postgres.database();
    const ledgers = (await Promise.all(Array.from({ length: 6 }, () => openEngine(url)))).map(({ ledger }) => ledger);
    const upload = newUpload();
    await ledgers[0]?.create(upload, true);
    for (const ledger of ledgers) expect(await ledger.get(upload.id)).toEqual(upload);
  });

  it('is refused when a newer program wrote it', async () => {
    const url = await postgres.database();
    await openEngine(url);
    await postgres.query("insert into kysely_migration values ('9999-later', '2999-01-01T00:00:00.000Z')", url);
    await expect(openEngine(url)).rejects.toThrow(LedgerTooNew);
  });

  it('overrides synchronous_commit = off, with which PostgreSQL could lose acknowledged commits', async () => {
    const url = await postgres.database();
    const name = new URL(url).pathname.slice(1);
    const setting = async () => {
      const { engine } = await openEngine(url);
      const { rows } = await engine.db.executeQuery<{ synchronous_commit: string }>({
        ...engine.db.selectFrom('facts').selectAll().compile(),
        sql: 'show synchronous_commit',
        parameters: [],
      });
      return rows[0]?.synchronous_commit;
    };
    expect(await setting()).toBe('on');
    await postgres.query(`alter database ${name} set synchronous_commit = 'off'`);
    expect(await setting()).toBe('on');
    await postgres.query(`alter database ${name} set synchronous_commit = 'remote_write'`);
    expect(await setting()).toBe('remote_write');
  });

  it('writes concurrent creations and state changes in few transactions, with every event, and answers each caller separately', async () => {
    const url = await postgres.database();
    const { ledger } = await openEngine(url);
    const rows = Array.from({ length: 80 }, (_, n) => newUpload({ quota: `owner:${n % 7}`, credential: `key:${n % 5}`, onVolume: 1 }));
    expect(await Promise.all(rows.map((row) => ledger.create(row, true)))).toEqual(rows.map(() => true));
    const transactions = async (table: string) =>
      Number((await postgres.query(`select count(distinct xmin::text) from ${table}`, url))[0]?.count);
    expect(await transactions('uploads')).toBeLessThan(5);
    const begun = await Promise.all(rows.map(({ id }) => ledger.startInspection(id, 'p1', BEGIN)));
    expect(begun.map((row) => [row?.id, row?.attempt])).toEqual(rows.map(({ id }) => [id, 1]));
    const verdict = { name: 'name.txt', type: 'text/plain', leaseOwner: null };
    const moved = await Promise.all(
      rows.map(({ id }, n) => {
        const lease = { holder: 'p1', attempt: n === 3 ? 2 : 1 };
        return ledger.move(id, { from: 'inspecting', lease }, 'accepted', { ...verdict, result: String(n) });
      }),
    );
    expect(moved.map((row) => row?.result)).toEqual(rows.map((_, n) => (n === 3 ? undefined : String(n))));
    const events = await postgres.query('select type, count(*)::integer from events group by type order by type', url);
    expect(events).toEqual([
      { type: 'upload.accepted', count: 79 },
      { type: 'upload.created', count: 80 },
    ]);
    expect(await transactions('events')).toBeLessThan(10);
  });

  it('has no deadlock between uploads of random owners and keys at several processes', async () => {
    const url = await postgres.database();
    const { engine, ledger } = await openEngine(url);
    const ledgers = [ledger, (await openEngine(url)).ledger, (await openEngine(url)).ledger];
    const random = randomFrom(testSeed());
    const pick = (count: number) => random.between(0, count - 1);
    const work = Array.from({ length: 300 }, async (_, n) => {
      const own = ledgers[n % ledgers.length] ?? ledger;
      const row = newUpload({ quota: `owner:${pick(6)}`, credential: `link:${pick(4)}`, onVolume: 1, reservedBytes: pick(100) });
      // Spreads the work over time.
      await new Promise((resolve) => setTimeout(resolve, pick(200)));
      await own.create(row, true);
      if (pick(2) === 0) await own.move(row.id, { from: 'receiving' }, 'terminated', {});
      else await own.startInspection(row.id, 'p1', BEGIN);
    });
    await Promise.all(work);
    expect(await counters(engine)).toEqual(await countedFromRows(engine));
    const [{ deadlocks } = {}] = await postgres.query(
      'select deadlocks::integer from pg_stat_database where datname = current_database()',
      url,
    );
    expect(deadlocks).toBe(0);
  });

  it('creates no upload under inspection for a process that others took for dead, however long ago', async () => {
    const url = await postgres.database();
    const { engine, ledger } = await openEngine(url);
    const holders = new Holders(engine);
    await holders.register('living', 60_000);
    await holders.register('dead', 60_000);
    await holders.markDead('dead');
    const of = (leaseOwner: string) => newUpload({ state: 'inspecting', leaseOwner });
    const created = ['living', 'dead', 'forgotten'].map((holder) => ledger.create(of(holder), true));
    expect(await Promise.all(created)).toEqual([true, false, false]);
  });

  it('continues after PostgreSQL restarted, and after it crashed, with everything it acknowledged', async () => {
    const url = await postgres.database();
    const { ledger } = await openEngine(url);
    const rows = Array.from({ length: 20 }, () => newUpload());
    await Promise.all(rows.map((row) => ledger.create(row, true)));
    await postgres.restart();
    expect(await ledger.uploads.receiving('', 100)).toHaveLength(20);
    await ledger.move(rows[0]?.id ?? uploadId('0'), { from: 'receiving' }, 'terminated', {});
    await postgres.crash();
    await expect(ledger.get(rows[0]?.id ?? uploadId('0'))).rejects.toThrow();
    await postgres.start();
    expect((await ledger.get(rows[0]?.id ?? uploadId('0')))?.state).toBe('terminated');
  });
});
