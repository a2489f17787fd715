// A receiver is unreachable while the sending servers are killed again and again: afterwards it has every event, under ids that
// never changed, and the first deliveries of each upload are in order.
import { setTimeout as sleep } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';
import { expect, it, onTestFinished } from 'vitest';
import { videoBytes } from '../support/content.ts';
import { type LandfallProcess, startLandfall } from '../support/landfall-process.ts';
import { postgresForTests } from '../support/postgres.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, patchUpload, terminateUpload } from '../support/tus-requests.ts';
import { startReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts';

const isLong = process.env.LANDFALL_TEST_LONG === '1';
const AWAY_MS = isLong ? 600_000 : 5000;
const KILLS = isLong ? 20 : 5;
const LENGTH = 50_000;
const SECRET = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;
const SEQUENCE: Record<string, number> = { 'upload.created': 1, 'upload.accepted': 2, 'upload.rejected': 2, 'upload.terminated': 2 };

const postgres = postgresForTests();

/** Sends uploads of every verdict to any running server, until `stop` is called. */
function sendContinuously(servers: readonly LandfallProcess[]) {
  let isOn = true;
  let count = 0;
  const send = async (first: number) => {
    for (let n = first; isOn; n += 3) {
      const server = servers[n % servers.length];
      if (server?.isRunning !== true) {
        await sleep(50);
        continue;
      }
      // A killed server does not answer; the ledger has the upload's state.
      try {
        const bytes = await videoBytes(LENGTH, n);
        const { url } = await createUpload(server.files, { length: LENGTH, name: n % 3 === 0 ? 'refused.png' : `film ${n}.mp4` });
        if (n % 5 === 4) await terminateUpload(url);
        else await patchUpload(url, 0, bytes);
        count += 1;
      } catch {
        await sleep(20);
      }
      await sleep(30);
    }
  };
  const sending = Promise.all([0, 1, 2].map(send));
  return {
    count: () => count,
    async stop() {
      isOn = false;
      await sending;
    },
  };
}

async function killInTurn(servers: readonly LandfallProcess[]): Promise<void> {
  const endsAt = performance.now() + AWAY_MS;
  for (let kill = 0; kill < KILLS; kill++) {
    const server = servers[kill % servers.length];
    await server?.kill();
    await server?.start();
    await sleep(Math.max(0, (endsAt - performance.now()) / (KILLS - kill)));
  }
}

/** Verifies each delivery on receipt: the library refuses any older than five minutes. Returns the errors. */
function verifyAll(receiver: WebhookReceiver): string[] {
  const webhook = new Webhook(SECRET);
  const faults: string[] = [];
  receiver.answer = (event) => {
    const { headers = {}, body = '' } = receiver.received.findLast((received) => received.event === event) ?? {};
    try {
      expect(webhook.verify(body, headers as Record<string, string>)).toEqual(event);
      expect(headers['webhook-id']).toBe(event.id);
    } catch (error) {
      faults.push(String(error));
    }
    return 204;
  };
  return faults;
}

it('after its outage, a receiver has every event, whichever server was killed', { timeout: isLong ? 3_600_000 : 600_000 }, async () => {
  const database = await postgres.database();
  const receiver = await startReceiver();
  const faults = verifyAll(receiver);
  const dataDir = testDirectory();
  const env = {
    LANDFALL_DATABASE_URL: database,
    LANDFALL_LEASE: '2s',
    LANDFALL_WEBHOOK_URL: receiver.url,
    LANDFALL_WEBHOOK_SECRET: SECRET,
  };
  const servers = await Promise.all(Array.from({ length: 3 }, () => startLandfall({ dataDir, env })));
  onTestFinished(async () => {
    for (const server of servers) await server.kill();
  });
  const traffic = sendContinuously(servers);
  await expect.poll(() => receiver.taken.length, { timeout: 60_000 }).toBeGreaterThan(10);
  await receiver.down();
  const beforeAway = receiver.taken.length;
  await killInTurn(servers);
  await traffic.stop();
  await receiver.up();

  const ids = async () => (await postgres.query('select id from events', database)).map(({ id }) => String(id)).sort();
  const missing = async () => {
    const taken = new Set(receiver.taken.map(({ id }) => id));
    return (await ids()).filter((id) => !taken.has(id));
  };
  // By their number, and seldom: this process is the receiver, too, and the long version leaves tens of thousands of events to deliver.
  await expect.poll(async () => (await missing()).length, { timeout: 300_000, interval: isLong ? 5000 : 500 }).toBe(0);
  await expect.poll(() => postgres.query('select * from deliveries', database), { timeout: 60_000 }).toEqual([]);

  expect(receiver.taken.length).toBeGreaterThan(beforeAway + 10);
  expect([...new Set(receiver.taken.map(({ id }) => id))].sort()).toEqual(await ids());
  expect(faults).toEqual([]);
  const bodies = new Map<string, string>();
  const first = new Map<string, number>();
  for (const { event, body, status } of receiver.received) {
    expect(body).toBe(bodies.get(event.id) ?? body);
    bodies.set(event.id, body);
    if (status !== 204) continue;
    const before = first.get(event.data.id) ?? 0;
    expect(event.sequence).toBe(SEQUENCE[event.type]);
    // First deliveries are in order; a repeated one may be older.
    if (event.sequence > before) expect(event.sequence).toBe(before + 1);
    first.set(event.data.id, Math.max(before, event.sequence));
  }
  const rows = await postgres.query('select id, state from uploads', database);
  const ended = rows.filter(({ state }) => state === 'accepted' || state === 'rejected' || state === 'terminated');
  expect(ended.length).toBeGreaterThan(10);
  for (const { id, state } of ended) expect(receiver.takenOf(String(id)), String(id)).toContain(`upload.${state}`);
});
