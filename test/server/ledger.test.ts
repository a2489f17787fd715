import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { DirectUploads } from '../../server/ledger/direct-uploads.ts';
import { Holders } from '../../server/ledger/holders.ts';
import { Ledger } from '../../server/ledger/ledger.ts';
import { Locks } from '../../server/ledger/locks.ts';
import { LedgerTooNew } from '../../server/ledger/migrate.ts';
import { LedgerInUse, openSqlite } from '../../server/ledger/sqlite.ts';
import { testLedger } from '../contract/ledger.ts';
import { BEGIN, HOUR, newUpload } from '../contract/new-upload.ts';
import { fillingStatements, ROWS, testPlans } from '../contract/plans.ts';
import { migrateTo, testUpgrades } from '../contract/upgrades.ts';
import { testDirectory } from '../support/temp-dir.ts';

async function openEngine(dataDir: string, exclusive = false) {
  const engine = await openSqlite(dataDir, { exclusive });
  const ledger = new Ledger(engine);
  onTestFinished(() => ledger.close());
  await ledger.migrate();
  return { engine, ledger };
}

async function openLedger(dataDir: string, exclusive = false): Promise<Ledger> {
  return (await openEngine(dataDir, exclusive)).ledger;
}

describe('a statement of the ledger', () => {
  it('is prepared once, whatever it is given', async () => {
    const ledger = await openLedger(testDirectory());
    const upload = newUpload();
    await ledger.create(upload, false);
    const checkpoint = (offset: number) => ledger.checkpoint(upload.id, { checksumOffset: offset }, offset);
    await checkpoint(1);
    const prepared = vi.spyOn(DatabaseSync.prototype, 'prepare');
    onTestFinished(() => prepared.mockRestore());
    for (let offset = 2; offset < 20; offset++) await checkpoint(offset);
    expect((await ledger.get(upload.id))?.provenOffset).toBe(19);
    const texts = prepared.mock.calls.map(([text]) => text).filter((text) => text.startsWith('update'));
    expect(texts).toEqual([]);
  });
});

describe('the ledger on SQLite', () => {
  testLedger(async () => {
    const dataDir = testDirectory();
    const { engine, ledger } = await openEngine(dataDir);
    return {
      ledger,
      holders: new Holders(engine),
      locks: new Locks(engine),
      direct: new DirectUploads(engine),
      other: () => openLedger(dataDir),
      events: async (uploadId) => {
        const database = new DatabaseSync(join(dataDir, 'ledger.sqlite'), { readOnly: true });
        const rows = database.prepare('select * from events order by position').all() as Record<string, unknown>[];
        database.close();
        return rows.filter((row) => Object.values(row).includes(uploadId)).map((row) => String(row.type));
      },
    };
  });

  testPlans(async () => {
    const dataDir = testDirectory();
    const { engine } = await openEngine(dataDir);
    const database = new DatabaseSync(join(dataDir, 'ledger.sqlite'));
    onTestFinished(() => database.close());
    const numbers = `with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < ${ROWS}) select n from numbers`;
    database.exec('drop trigger uploads_inserted; drop trigger uploads_adopted');
    for (const statement of fillingStatements(numbers, "printf('%032x', n)", "printf('%016x', n)")) database.exec(statement);
    database.exec('analyze');
    return {
      engine,
      async explain({ sql, parameters }) {
        const steps = database.prepare(`explain query plan ${sql}`).all(...(parameters as string[]));
        const lines = steps.map(({ detail }) => String(detail));
        return {
          plan: lines.join('\n'),
          scans: lines.filter((line) => /^SCAN (?:uploads|locks|events|deliveries|[def])\b(?!.* USING )/.test(line)),
        };
      },
    };
  });

  testUpgrades(async () => {
    const engine = await openSqlite(testDirectory(), { exclusive: true });
    onTestFinished(() => engine.close());
    return engine;
  });

  it('is served by one process at a time, however many operators read it', async () => {
    const dataDir = testDirectory();
    const served = await openLedger(dataDir, true);
    await expect(openSqlite(dataDir, { exclusive: true })).rejects.toThrow(LedgerInUse);
    const upload = newUpload();
    await served.create(upload, true);
    const looked = await openLedger(dataDir);
    expect(await looked.get(upload.id)).toEqual(upload);
  });

  // SQLite makes a temporary table of a longer list each time that the trigger runs: several microseconds for each change of an upload.
  it.each(['0016-position-keys', undefined])(
    'after an upgrade from %s no trigger of uploads has a list of more than two values',
    async (from) => {
      const dataDir = testDirectory();
      if (from !== undefined) {
        const engine = await openSqlite(dataDir, { exclusive: true });
        await migrateTo(engine, from);
        await engine.close();
      }
      await openLedger(dataDir);
      const database = new DatabaseSync(join(dataDir, 'ledger.sqlite'));
      const triggers = database.prepare("select sql from sqlite_master where type = 'trigger' and tbl_name = 'uploads'").all();
      database.close();
      expect(triggers.length).toBeGreaterThan(10);
      for (const { sql } of triggers) expect(sql).not.toMatch(/ in \((?:[^(),]+,){2}/);
    },
  );

  it('is refused when a newer program wrote it', async () => {
    const dataDir = testDirectory();
    await openLedger(dataDir);
    const database = new DatabaseSync(join(dataDir, 'ledger.sqlite'));
    database.exec("insert into kysely_migration values ('9999-later', '2999-01-01T00:00:00.000Z')");
    database.close();
    await expect(openLedger(dataDir)).rejects.toThrow(LedgerTooNew);
  });

  it('of a version without a clock continues from when it was last served, so that nothing in it expires meanwhile', async () => {
    const dataDir = testDirectory();
    const engine = await openSqlite(dataDir, { exclusive: false });
    await migrateTo(engine, '0003-direct');
    await engine.close();
    const servedAt = Date.now() - 1000 * HOUR;
    const database = new DatabaseSync(join(dataDir, 'ledger.sqlite'));
    database
      .prepare(
        `insert into uploads (id, owner, state, held, metadata, "provenOffset", checksum, "checksumOffset", attempt, strikes,
           "createdAt", "updatedAt", "expiresAt")
         values ('a', 'somebody', 'receiving', 'byte', '', 0, 0, 0, 0, 0, :servedAt, :servedAt, :expiresAt)`,
      )
      .run({ servedAt, expiresAt: servedAt + HOUR });
    database.close();
    const ledger = await openLedger(dataDir);
    expect(ledger.now() - servedAt).toBeGreaterThanOrEqual(0);
    expect(await ledger.uploads.expired(ledger.now(), 1)).toEqual([]);
    expect(await ledger.uploads.expired(servedAt + HOUR, 1)).toEqual(['a']);
  });

  it('is migrated completely, or left as it was', async () => {
    const dataDir = testDirectory();
    const database = new DatabaseSync(join(dataDir, 'ledger.sqlite'));
    onTestFinished(() => database.close());
    // Blocks a migration after the first.
    database.exec('create table locks (something text)');
    await expect(openLedger(dataDir)).rejects.toThrow('locks');
    const names = () =>
      database
        .prepare("select name from sqlite_master where type = 'table'")
        .all()
        .map(({ name }) => String(name));
    expect(names()).not.toContain('uploads');
    database.exec('drop table locks');
    const ledger = await openLedger(dataDir);
    const upload = newUpload();
    await ledger.create(upload, true);
    expect(await ledger.get(upload.id)).toEqual(upload);
  });

  it('copies its log beside the commits, so that the log restarts although commits never pause', async () => {
    const dataDir = testDirectory();
    const ledger = await openLedger(dataDir, true);
    const size = (name: string) => statSync(join(dataDir, name)).size;
    const write = async () => {
      for (let each = 0; each < 4000; each++) await ledger.create(newUpload(), false);
      return size('ledger.sqlite-wal');
    };
    // Meanwhile the thread that copies starts.
    const before = await write();
    expect(before).toBeGreaterThan(4 * 1024 * 1024);
    // On a busy machine that thread is slow; without it the log grows each time by as much.
    let last = before;
    const grown = async () => {
      const now = await write();
      const growth = now - last;
      last = now;
      return growth;
    };
    await expect.poll(grown, { interval: 10 }).toBeLessThan(before / 2);
    await vi.waitFor(() => expect(size('ledger.sqlite')).toBeGreaterThan(1024 * 1024), 60_000);
  });

  it('shows no state before it is durable', async () => {
    const engine = await openSqlite(testDirectory(), { exclusive: false });
    const flushed = Promise.withResolvers<void>();
    let isDurable = false;
    const ledger = new Ledger({
      ...engine,
      flush: async () => {
        await flushed.promise;
        await engine.flush();
        isDurable = true;
      },
    });
    onTestFinished(() => ledger.close());
    flushed.resolve();
    await ledger.migrate();
    const upload = newUpload();
    await ledger.create(upload, false);

    const again = Promise.withResolvers<void>();
    flushed.promise = again.promise;
    isDurable = false;
    let heardDurable: boolean | undefined;
    ledger.onChange(upload.id, () => {
      heardDurable = isDurable;
    });
    const begun = ledger.startInspection(upload.id, 'first', BEGIN);
    const seen = ledger.get(upload.id).then((row) => ({ state: row?.state, isDurable }));
    setTimeout(again.resolve, 50);
    expect(await seen).toEqual({ state: 'inspecting', isDurable: true });
    await begun;
    expect(heardDurable).toBe(true);
  });

  it('reports a change that was kept, although the sync after it failed while another change was rolled back', async () => {
    const engine = await openSqlite(testDirectory(), { exclusive: false });
    let rollbacks = 0;
    let isFailing = false;
    const faulty = Object.create(engine, {
      rollbacks: { get: () => engine.rollbacks + rollbacks },
      flush: {
        value: async () => {
          if (!isFailing) return engine.flush();
          isFailing = false;
          rollbacks += 1;
          throw new Error('EIO: i/o error, fdatasync');
        },
      },
    }) as typeof engine;
    const ledger = new Ledger(faulty);
    onTestFinished(() => ledger.close());
    await ledger.migrate();
    const failing = <T>(change: () => Promise<T>) => {
      isFailing = true;
      return change();
    };
    const heard: string[] = [];
    const [upload, refused] = [newUpload(), newUpload()];
    const { id } = upload;
    ledger.onChange(id, ({ state }) => heard.push(state));
    expect(await failing(() => ledger.create(upload, true))).toBe(true);
    expect(await failing(() => ledger.startInspection(id, 'first', BEGIN))).toMatchObject({ state: 'inspecting', attempt: 1 });
    const lease = { holder: 'first', attempt: 1 };
    const accepting = () =>
      ledger.move(id, { from: 'inspecting', lease }, 'accepted', { name: 'name.txt', type: 'text/plain', leaseOwner: null });
    expect(await failing(accepting)).toMatchObject({ state: 'accepted', leaseOwner: null });
    expect(heard).toEqual(['inspecting', 'accepted']);
    await ledger.create(refused, true);
    expect(await failing(() => ledger.move(refused.id, { from: 'receiving' }, 'expired', {}))).toMatchObject({ state: 'expired' });
    // A change that failed is not reported.
    isFailing = false;
    expect(await ledger.move(refused.id, { from: 'receiving' }, 'terminated', {})).toBeUndefined();
  });

  it('makes many commits durable together', async () => {
    const engine = await openSqlite(testDirectory(), { exclusive: false });
    const ledger = new Ledger(engine);
    onTestFinished(() => ledger.close());
    await ledger.migrate();
    const rows = Array.from({ length: 200 }, () => newUpload());
    expect(await Promise.all(rows.map((row) => ledger.create(row, true)))).toEqual(rows.map(() => true));
    expect(await ledger.uploads.receiving('', 1000)).toHaveLength(200);
  });
});
