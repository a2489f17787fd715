import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { NewEvent } from '../../server/ledger/event-log.ts';
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
    expect(await events.read(0, 10)).toEqual([]);
    expect(await events.last()).toBe(0);
    flushes[0]?.();
    expect(await given).toBe(1);
    expect(await events.last()).toBe(1);
    const reading = events.read(0, 10);
    // The body, too, is durable before it is read.
    await expect.poll(() => flushes.length).toBe(2);
    expect(await Promise.race([reading, setTimeout(20, 'waiting')])).toBe('waiting');
    flushes[1]?.();
    expect(await reading).toHaveLength(1);
  });

  it('get their bodies when they are first read, and keep them', async () => {
    const opened = await open();
    const { engine, ledger } = opened;
    await ledger.create(newUpload(), true);
    let made = 0;
    const bodyOf = ({ id }: NewEvent) => JSON.stringify({ id, made: ++made });
    const events = openEventLog(opened, () => 0, bodyOf);
    await giveAll(events);
    expect(made).toBe(0);
    const [[first], [second]] = await Promise.all([events.read(0, 10), events.read(0, 10)]);
    expect(first?.body).toBe(second?.body);
    expect((await openEventLog(opened, () => 0, bodyOf).withBodies([{ position: 1, body: null as string | null }]))[0]?.body).toBe(
      first?.body,
    );
    expect(await engine.db.selectFrom('events').select('upload').execute()).toEqual([{ upload: null }]);
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
