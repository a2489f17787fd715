// How events are delivered, with every engine: at least once, in order for each upload, and no upload waits for another's events.
import { sql } from 'kysely';
import { pino } from 'pino';
import { expect, it, onTestFinished } from 'vitest';
import { applicationRecord, toRecord } from '../../server/finish/record.ts';
import { Deliveries, HELD_FOR_MS } from '../../server/ledger/deliveries.ts';
import type { UploadId } from '../../server/ledger/upload-id.ts';
import { AT_ONCE, Deliverer, GIVE_UP_AFTER_MS } from '../../server/notify/deliverer.ts';
import { eventBody } from '../../server/notify/event-body.ts';
import { Webhook } from '../../server/notify/webhooks.ts';
import { startReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts';
import { type EventsUnderTest, giveAll, openEventLog } from './events.ts';
import { HOUR, newUpload } from './new-upload.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const SOON = { timeout: 60_000, interval: 20 };

/** The changes of uploads in these tests. */
const BOTH = ['upload.created', 'upload.terminated'];

interface Bed {
  deliveries: Deliveries;
  deliverer: Deliverer;
  /** Advances the ledger's clock. */
  pass(ms: number): void;
  /** The messages of the lines in the log, from the level `warn` on, that say more than that an event was not delivered. */
  warnings(): string[];
  create(): Promise<UploadId>;
  terminate(id: UploadId): Promise<void>;
  /** Deliveries that are pending or given up, in order. */
  rows(): Promise<{ position: number; state: string; attempts: number; lastError: string | null; dueInMs: number | null }[]>;
}

/** Makes the database refuse every delivery whose last error is this. */
async function refuseErrors({ dialect, db }: EventsUnderTest['engine'], error: string): Promise<void> {
  const refusal =
    dialect === 'postgres'
      ? sql`alter table deliveries add check ("lastError" <> ${sql.lit(error)})`
      : sql`create trigger refuse_errors before update on deliveries when new."lastError" = ${sql.lit(error)}
          begin select raise(abort, 'refused'); end`;
  await refusal.execute(db);
}

/** @param open makes an empty ledger that goes when the running test ends */
export function testDeliveries(open: () => Promise<EventsUnderTest>): void {
  async function bedFor(opened: EventsUnderTest, receiver: WebhookReceiver, limitMs = 15_000, holderName = 'p1'): Promise<Bed> {
    const { engine, ledger } = opened;
    let aheadMs = 0;
    const now = () => ledger.now() + aheadMs;
    const events = openEventLog(
      opened,
      () => aheadMs,
      (event) =>
        eventBody(event, (upload) =>
          applicationRecord(upload, toRecord(ledger, upload, 0, ''), (directory, name) => ({ path: `${directory}/${name}` })),
        ),
    );
    await giveAll(events);
    const given = new Set<() => void>();
    const deliveries = new Deliveries(engine, 'webhook');
    const warnings: string[] = [];
    const write = (line: string) => {
      const { msg } = JSON.parse(line) as { msg: string };
      if (msg !== 'an event was not delivered and will be retried') warnings.push(msg);
    };
    const webhook = new Webhook({ url: receiver.url, secrets: [SECRET] });
    const deliverer = new Deliverer({
      consumer: 'webhook',
      deliveries,
      events,
      holder: { isAlone: ledger.isAlone, name: holderName, lost: new AbortController().signal },
      now,
      onNewEvents: (listener) => {
        given.add(listener);
        return () => given.delete(listener);
      },
      limitMs,
      send: (event, signal) => webhook.send(event, signal),
      log: pino({ level: 'warn' }, { write }),
    });
    onTestFinished(() => deliverer.close());
    await deliverer.start();
    const told = async () => {
      await giveAll(events);
      for (const listener of given) listener();
    };
    return {
      deliveries,
      deliverer,
      pass(ms) {
        aheadMs += ms;
      },
      warnings: () => warnings,
      async create() {
        const upload = newUpload();
        await ledger.create(upload, true);
        await told();
        return upload.id;
      },
      async terminate(id) {
        await ledger.move(id, { from: 'receiving' }, 'terminated', {});
        await told();
      },
      async rows() {
        const rows = await engine.db.selectFrom('deliveries').selectAll().orderBy('position').execute();
        return rows.map(({ position, state, attempts, lastError, dueAt }) => ({
          position,
          state,
          attempts,
          lastError,
          dueInMs: dueAt === null ? null : dueAt - now(),
        }));
      },
    };
  }

  it('sends each event of many uploads once, those of one in order, at most sixteen at once', async () => {
    const opened = await open();
    // An event from before there was a receiver: the receiver does not get it.
    await opened.ledger.create(newUpload(), true);
    const receiver = await startReceiver(async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return 204;
    });
    const bed = await bedFor(opened, receiver);
    const ids = await Promise.all(
      Array.from({ length: 60 }, async () => {
        const id = await bed.create();
        await bed.terminate(id);
        return id;
      }),
    );
    await expect.poll(() => receiver.taken.length, SOON).toBe(120);
    for (const id of ids) expect(receiver.takenOf(id)).toEqual(BOTH);
    expect(receiver.busiest).toBeLessThanOrEqual(AT_ONCE);
    expect(receiver.busiest).toBeGreaterThan(1);
    await expect.poll(() => bed.rows()).toEqual([]);
  });

  it('holds the later events of an upload whose event fails, for an hour, and no other upload’s', async () => {
    let failing = '';
    const receiver = await startReceiver(({ data, type }) => (data.id === failing && type === 'upload.created' ? 500 : 204));
    const bed = await bedFor(await open(), receiver);
    const first = await bed.create();
    await expect.poll(() => receiver.takenOf(first), SOON).toEqual(['upload.created']);
    failing = 'all';
    receiver.answer = ({ data, type }) => {
      if (failing === 'all') failing = data.id;
      return data.id === failing && type === 'upload.created' ? 500 : 204;
    };
    const held = await bed.create();
    await bed.terminate(held);
    await expect.poll(async () => (await bed.rows())[0]?.attempts ?? 0, SOON).toBeGreaterThan(1);
    const other = await bed.create();
    await bed.terminate(other);
    await expect.poll(() => receiver.takenOf(other), SOON).toEqual(BOTH);
    expect(receiver.takenOf(held)).toEqual([]);
    expect((await bed.rows())[0]).toMatchObject({ state: 'pending', lastError: 'The receiver answered 500.' });
    bed.pass(HELD_FOR_MS);
    await expect.poll(() => receiver.takenOf(held), SOON).toEqual(['upload.terminated']);
    // It comes late; its sequence shows that it is the earlier one.
    failing = '';
    bed.pass(HOUR);
    await expect.poll(() => receiver.takenOf(held), SOON).toEqual(['upload.terminated', 'upload.created']);
    expect(receiver.taken.filter(({ data }) => data.id === held).map(({ sequence }) => sequence)).toEqual([2, 1]);
    const ids = receiver.received.filter(({ event }) => event.data.id === held && event.type === 'upload.created');
    expect(new Set(ids.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  });

  it('sends the next event of an upload at once when the one before it is finally delivered', async () => {
    const receiver = await startReceiver(() => 503);
    const bed = await bedFor(await open(), receiver);
    const id = await bed.create();
    await bed.terminate(id);
    await expect.poll(() => receiver.received.length, SOON).toBeGreaterThan(0);
    expect(receiver.received.every(({ event }) => event.type === 'upload.created')).toBe(true);
    receiver.answer = () => 200;
    await expect.poll(() => receiver.takenOf(id), SOON).toEqual(BOTH);
  });

  it('sends all waiting events as soon as one is delivered to a receiver that was down', async () => {
    const receiver = await startReceiver();
    await receiver.down();
    const bed = await bedFor(await open(), receiver);
    const ids = await Promise.all([1, 2, 3].map(() => bed.create()));
    await expect.poll(async () => (await bed.rows()).length, SOON).toBe(3);
    const least = async () => Math.min(...(await bed.rows()).map(({ attempts }) => attempts));
    for (let attempts = 1; attempts < 9; attempts++) {
      await expect.poll(least, SOON).toBeGreaterThanOrEqual(attempts);
      bed.pass(HOUR);
    }
    await expect.poll(least, SOON).toBeGreaterThanOrEqual(9);
    for (const { dueInMs } of await bed.rows()) expect(dueInMs).toBeGreaterThan(200_000);
    await receiver.up();
    const late = await bed.create();
    await expect.poll(() => receiver.taken.length, SOON).toBe(4);
    for (const id of [...ids, late]) expect(receiver.takenOf(id)).toEqual(['upload.created']);
  });

  it('sends all waiting events with the first success of a new process', async () => {
    const opened = await open();
    const receiver = await startReceiver(() => 503);
    const bed = await bedFor(opened, receiver);
    const ids = await Promise.all([1, 2, 3].map(() => bed.create()));
    await expect.poll(async () => (await bed.rows()).filter(({ attempts }) => attempts > 0).length, SOON).toBe(3);
    await bed.deliverer.close();
    await opened.engine.db
      .updateTable('deliveries')
      .set({ dueAt: opened.ledger.now() + HOUR })
      .execute();
    receiver.answer = () => 204;
    const next = await bedFor(opened, receiver, 15_000, 'p2');
    const late = await next.create();
    await expect.poll(() => receiver.taken.length, SOON).toBe(4);
    for (const id of [...ids, late]) expect(receiver.takenOf(id)).toEqual(['upload.created']);
  });

  it('logs an outcome that the ledger refuses, and delivers the other events', async () => {
    const opened = await open();
    await refuseErrors(opened.engine, 'The receiver answered 418.');
    const receiver = await startReceiver(() => 418);
    const bed = await bedFor(opened, receiver);
    const ids = await Promise.all(Array.from({ length: AT_ONCE }, () => bed.create()));
    await expect.poll(() => bed.warnings().length, SOON).toBe(AT_ONCE);
    receiver.answer = () => 204;
    const other = await bed.create();
    await expect.poll(() => receiver.takenOf(other), SOON).toEqual(['upload.created']);
    expect(receiver.received.filter(({ status }) => status === 418)).toHaveLength(AT_ONCE);
    expect(new Set(bed.warnings())).toEqual(
      new Set(['the ledger refuses the outcome of a delivery: the event is not delivered again until the server restarts']),
    );
    await bed.deliverer.close();
    await bedFor(opened, receiver, 15_000, 'p2');
    await expect.poll(() => ids.flatMap((id) => receiver.takenOf(id)), SOON).toEqual(Array(AT_ONCE).fill('upload.created'));
  });

  it('gives up after three days of failures, logs that, and sends again on an operator’s command', async () => {
    const receiver = await startReceiver();
    await receiver.down();
    const bed = await bedFor(await open(), receiver);
    const id = await bed.create();
    await expect.poll(async () => (await bed.rows())[0]?.attempts ?? 0, SOON).toBe(1);
    expect((await bed.rows())[0]?.lastError).toBe('The receiver cannot be reached (ECONNREFUSED).');
    bed.pass(GIVE_UP_AFTER_MS - HOUR);
    await expect.poll(async () => (await bed.rows())[0]?.attempts ?? 0, SOON).toBe(2);
    expect((await bed.rows())[0]?.state).toBe('pending');
    await bed.terminate(id);
    bed.pass(HOUR);
    await expect.poll(async () => (await bed.rows())[0]?.state, SOON).toBe('failed');
    // The event after it is tried independently.
    await expect.poll(async () => (await bed.rows())[1]?.attempts ?? 0, SOON).toBeGreaterThan(0);
    await receiver.up();
    bed.pass(HOUR);
    await expect.poll(() => receiver.takenOf(id), SOON).toEqual(['upload.terminated']);
    const [failed] = await bed.rows();
    await bed.deliveries.redeliver(failed?.position ?? 0, id, 0);
    await expect.poll(() => receiver.takenOf(id), SOON).toEqual(['upload.terminated', 'upload.created']);
    await expect.poll(() => bed.rows()).toEqual([]);
  });

  it('stops at a 410, keeps new events, and sends all of them once it is enabled', async () => {
    const receiver = await startReceiver(() => 410);
    const bed = await bedFor(await open(), receiver);
    const first = await bed.create();
    await expect.poll(() => bed.deliverer.isStopped, SOON).toBe(true);
    const asked = receiver.received.length;
    await bed.terminate(first);
    const second = await bed.create();
    bed.pass(9 * GIVE_UP_AFTER_MS);
    // A turn or two of the sender.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(receiver.received).toHaveLength(asked);
    receiver.answer = () => 204;
    expect(await bed.deliveries.enable(0)).toBe(true);
    await expect.poll(() => [receiver.takenOf(first), receiver.takenOf(second)], SOON).toEqual([BOTH, ['upload.created']]);
    expect(bed.deliverer.isStopped).toBe(false);
  });

  it('waits for an answer up to its limit, and until the next attempt as long as the receiver asks', async () => {
    const receiver = await startReceiver(() => 'hang');
    const bed = await bedFor(await open(), receiver, 200);
    const id = await bed.create();
    await expect.poll(async () => (await bed.rows())[0]?.lastError, SOON).toBe('There was no answer in 0.2 s.');
    receiver.answer = () => ({ status: 429, headers: { 'Retry-After': '900' } });
    await expect.poll(async () => (await bed.rows())[0]?.lastError, SOON).toBe('The receiver answered 429.');
    expect((await bed.rows())[0]?.dueInMs).toBeGreaterThan(800_000);
    bed.pass(HOUR);
    receiver.answer = () => ({ status: 503, headers: { 'Retry-After': new Date(Date.now() + 1_800_000).toUTCString() } });
    await expect.poll(async () => (await bed.rows())[0]?.lastError, SOON).toBe('The receiver answered 503.');
    expect((await bed.rows())[0]?.dueInMs).toBeGreaterThan(1_700_000);
    bed.pass(HOUR);
    receiver.answer = () => ({ status: 420, headers: { 'Retry-After': '900.0001' } });
    await expect.poll(async () => (await bed.rows())[0]?.lastError, SOON).toBe('The receiver answered 420.');
    const { dueInMs = null } = (await bed.rows())[0] ?? {};
    expect(dueInMs).toBeGreaterThan(800_000);
    expect(Number.isInteger(dueInMs)).toBe(true);
    bed.pass(HOUR);
    receiver.answer = () => ({ status: 302, headers: { Location: receiver.url } });
    bed.pass(HOUR);
    await expect.poll(async () => (await bed.rows())[0]?.lastError, SOON).toBe('The receiver answered 302.');
    receiver.answer = () => 201;
    bed.pass(HOUR);
    await expect.poll(() => receiver.takenOf(id), SOON).toEqual(['upload.created']);
  });

  it('completes after a crash what follows from an outcome that was already recorded', async () => {
    const opened = await open();
    const receiver = await startReceiver(() => 500);
    const bed = await bedFor(opened, receiver);
    const id = await bed.create();
    await bed.terminate(id);
    await expect.poll(async () => (await bed.rows()).length, SOON).toBe(2);
    await bed.deliverer.close();
    const [first] = await bed.rows();
    await opened.engine.db
      .deleteFrom('deliveries')
      .where('position', '=', first?.position ?? 0)
      .execute();
    await opened.engine.db.updateTable('deliveries').set({ dueAt: null }).execute();
    receiver.answer = () => 204;
    await bedFor(opened, receiver, 15_000, 'p2');
    await expect.poll(() => receiver.takenOf(id), SOON).toEqual(['upload.terminated']);
  });
}
