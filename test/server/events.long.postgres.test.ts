import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { Client } from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Ledger } from '../../server/ledger/ledger.ts';
import { openPostgres } from '../../server/ledger/postgres.ts';
import { testDeliveries } from '../contract/deliveries.ts';
import { giveAll, openEventLog, testEvents } from '../contract/events.ts';
import { newUpload } from '../contract/new-upload.ts';
import { postgresPrograms } from '../support/needs.ts';
import { postgresForTests } from '../support/postgres.ts';

const postgres = postgresForTests({ fsync: false });

async function open(url?: string) {
  const database = url ?? (await postgres.database());
  const engine = openPostgres(database, { connections: 6 });
  const ledger = new Ledger(engine);
  onTestFinished(() => ledger.close());
  await ledger.migrate();
  return { engine, ledger, database };
}

/** Opens a transaction that the test leaves uncommitted. */
async function begin(database: string): Promise<Client> {
  const client = new Client({ connectionString: database });
  await client.connect();
  onTestFinished(() => client.end());
  await client.query('begin');
  return client;
}

describe('events on PostgreSQL', () => {
  testEvents(open);
  testDeliveries(open);

  it('of an uncommitted transaction come after those committed meanwhile, and no reader skips them', async () => {
    const opened = await open();
    const { ledger, database } = opened;
    const events = openEventLog(opened);
    const [slow, gone, quick] = [newUpload(), newUpload(), newUpload()];
    for (const upload of [slow, gone, quick]) await ledger.create(upload, true);
    await giveAll(events);
    const cursor = await events.last();
    const held = await begin(database);
    await held.query(`update uploads set state = 'terminated' where id = '${slow.id}'`);
    const lost = await begin(database);
    await lost.query(`update uploads set state = 'expired' where id = '${gone.id}'`);
    await ledger.move(quick.id, { from: 'receiving' }, 'terminated', {});
    await giveAll(events);
    const first = await events.read(cursor, 10);
    expect(first.map(({ uploadId }) => uploadId)).toEqual([quick.id]);
    await lost.query('rollback');
    await held.query('commit');
    await giveAll(events);
    const next = await events.read(first.at(-1)?.position ?? 0, 10);
    // No reader gets the event of a transaction that was rolled back.
    expect(next.map(({ uploadId, type }) => [uploadId, type])).toEqual([[slow.id, 'upload.terminated']]);
  });

  it('wait for their positions no longer than a process that died while it assigned them stays connected', async () => {
    const opened = await open();
    const { ledger, database } = opened;
    const events = openEventLog(opened);
    await ledger.create(newUpload(), true);
    const giver = new Client({ connectionString: database });
    giver.on('error', () => undefined);
    await giver.connect();
    await giver.query('begin');
    await giver.query("select pg_advisory_xact_lock(1279348292, 'events'::regclass::oid::int)");
    await giver.query('update events set position = 1');
    const { rows } = await giver.query('select pg_backend_pid() as pid');
    const given = events.assignPositions();
    const waiting = "select 1 from pg_stat_activity where wait_event = 'advisory'";
    await expect.poll(() => postgres.query(waiting, database)).toHaveLength(1);
    await postgres.query(`select pg_terminate_backend(${rows[0].pid})`, database);
    expect(await given).toBe(1);
    expect((await events.read(0, 10)).map(({ position }) => position)).toEqual([1]);
  });

  it('wait at most some seconds for a process that was suspended while it assigned them', async () => {
    const opened = await open();
    const { ledger } = opened;
    await ledger.create(newUpload(), true);
    const stopped = openEventLog(
      opened,
      () => 0,
      ({ upload }) => {
        // Like SIGSTOP: the process neither continues nor ends, and its connection stays open.
        spawnSync('sleep', ['8']);
        return upload;
      },
    );
    await expect(stopped.assignPositions()).rejects.toThrow();
    const events = openEventLog(opened);
    expect(await events.assignPositions()).toBe(1);
    expect(await events.read(0, 10)).toHaveLength(1);
  });

  it('keep their positions through a dump and a restore, and readers continue at theirs', async () => {
    const opened = await open();
    const { ledger, database } = opened;
    const events = openEventLog(opened);
    for (let n = 0; n < 3; n++) await ledger.create(newUpload(), true);
    await giveAll(events);
    const before = await events.read(0, 10);
    const unplaced = newUpload();
    await ledger.create(unplaced, true);
    const dumped = spawnSync(join(postgresPrograms() ?? '', 'pg_dump'), [database], { maxBuffer: 1 << 28, encoding: 'utf8' });
    expect(dumped.stderr).toBe('');
    const restored = await postgres.database();
    const loaded = spawnSync(join(postgresPrograms() ?? '', 'psql'), ['-q', '-v', 'ON_ERROR_STOP=1', restored], {
      input: dumped.stdout,
      encoding: 'utf8',
    });
    expect(loaded.status, loaded.stderr).toBe(0);
    const again = await open(restored);
    const next = openEventLog(again);
    await giveAll(next);
    expect(await next.read(0, 3)).toEqual(before);
    const cursor = before.at(-1)?.position ?? 0;
    await expect(next.requireKnown(cursor)).resolves.toBeUndefined();
    expect((await next.read(cursor, 10)).map(({ uploadId }) => uploadId)).toEqual([unplaced.id]);
    const late = newUpload();
    await again.ledger.create(late, true);
    await giveAll(next);
    expect((await next.read(cursor + 1, 10)).map(({ uploadId }) => uploadId)).toEqual([late.id]);
  });
});
