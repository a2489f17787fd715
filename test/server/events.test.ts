import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Ledger } from '../../server/ledger/ledger.ts';
import { openSqlite } from '../../server/ledger/sqlite.ts';
import { testDeliveries } from '../contract/deliveries.ts';
import { giveAll, openEventLog, testEvents } from '../contract/events.ts';
import { newUpload } from '../contract/new-upload.ts';
import { testDirectory } from '../support/temp-dir.ts';

async function open(dataDir = testDirectory()) {
  const engine = await openSqlite(dataDir, { exclusive: true });
  const ledger = new Ledger(engine);
  onTestFinished(() => ledger.close());
  await ledger.migrate();
  return { engine, ledger, dataDir };
}

describe('events on SQLite', () => {
  testEvents(open);
  testDeliveries(open);

  it('are delivered once they are durable, and no sooner', async () => {
    const opened = await open();
    const { engine, ledger } = opened;
    const flushes: (() => void)[] = [];
    const flush = engine.flush.bind(engine);
    engine.flush = async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      flushes.push(resolve);
      await promise;
      return flush();
    };
    const events = openEventLog(opened);
    await ledger.create(newUpload(), false);
    const given = events.assignPositions();
    await expect.poll(() => flushes.length).toBe(1);
    expect(await engine.db.selectFrom('events').select('position').execute()).toEqual([{ position: null }]);
    flushes[0]?.();
    await expect.poll(() => flushes.length).toBe(2);
    expect(await engine.db.selectFrom('events').select('position').execute()).toEqual([{ position: 1 }]);
    expect(await events.read(0, 10)).toEqual([]);
    flushes[1]?.();
    expect(await given).toBe(1);
    expect(await events.read(0, 10)).toHaveLength(1);
  });

  it('have every column of the row in them, including columns of later versions', async () => {
    const dataDir = testDirectory();
    const engine = await openSqlite(dataDir, { exclusive: true });
    const first = new Ledger(engine);
    await first.migrate();
    await first.close();
    const database = new DatabaseSync(join(dataDir, 'ledger.sqlite'));
    database.exec("alter table uploads add column later text default 'there'");
    database.close();
    const opened = await open(dataDir);
    await opened.ledger.create(newUpload(), true);
    const events = openEventLog(opened);
    await giveAll(events);
    const [event] = await events.read(0, 1);
    expect(JSON.parse(event?.body ?? '{}')).toMatchObject({ later: 'there', state: 'receiving' });
  });
});
