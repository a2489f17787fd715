// Two processes' worth of Landfall share one data directory and one PostgreSQL: any process can serve any request of an upload.

import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createGrant } from '../../server/grants.ts';
import type { ConfigInput, LandfallHooks } from '../../server/index.ts';
import { LedgerElsewhere } from '../../server/ledger/open.ts';
import { channelOf } from '../../server/ledger/postgres-notices.ts';
import { filesBelow, sha256, videoBytes } from '../support/content.ts';
import { bearer } from '../support/credentials.ts';
import { gateCheck } from '../support/gate-check.ts';
import { type EmbeddedLandfall, embedLandfall } from '../support/landfall-embedded.ts';
import { postgresForTests } from '../support/postgres.ts';
import { openSocket, patchHead } from '../support/raw-http.ts';
import { startTcpSwitch } from '../support/tcp-switch.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord, terminateUpload } from '../support/tus-requests.ts';

const postgres = postgresForTests();
const LENGTH = 1_000_000;

async function embedTwo(config: ConfigInput = {}, hooks: LandfallHooks = {}): Promise<[EmbeddedLandfall, EmbeddedLandfall]> {
  const shared = { dataDir: testDirectory(), databaseUrl: await postgres.database(), databaseConnections: 4, ...config };
  return [await embedLandfall(shared, hooks), await embedLandfall(shared, hooks)];
}

/** The same upload's address at the other process. */
function at(server: EmbeddedLandfall, url: string): string {
  return `${server.files}/${idOf(url)}`;
}

/** Sends the head of a PATCH and half of its body, then falls silent. */
async function sendHalf(server: EmbeddedLandfall, url: string, body: Uint8Array): Promise<void> {
  const socket = await openSocket(server.url);
  onTestFinished(() => void socket.destroy());
  socket.on('data', () => undefined);
  socket.write(patchHead(url, 0, LENGTH));
  socket.write(body);
}

describe('two processes', () => {
  it('obey the limits of the grant that is presented, when two grants have one id', async () => {
    const secret = 'a secret that signs grants and nothing else';
    const [one, other] = await embedTwo({ access: 'grants', grantSecrets: secret });
    const [five, two] = [5, 2].map((maxUploads) =>
      bearer(createGrant(secret, { owner: 'guest', id: 'one-id', expires: '1h', maxUploads })),
    );
    const create = async (server: EmbeddedLandfall, headers = five) => {
      const { status, code } = await createUpload(server.files, { length: 10, name: 'a.txt', ...(headers && { headers }) });
      return code ?? status;
    };
    expect(await create(one)).toBe(201);
    expect(await create(other, two)).toBe(201);
    expect(await create(other, two)).toBe('ERR_ACCESS_USED_UP');
    expect(await create(one)).toBe(201);
    expect(await create(one, two)).toBe('ERR_ACCESS_USED_UP');
    expect(await create(other)).toBe(201);
    expect(await create(one)).toBe(201);
    expect(await create(other)).toBe('ERR_ACCESS_USED_UP');
  });

  it('share one upload, chunk by chunk, and serve the same file', async () => {
    const servers = await embedTwo();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(servers[0].files, { length: LENGTH, name: 'film.mp4' });
    const size = 100_000;
    for (let offset = 0, n = 1; offset < LENGTH; offset += size, n++) {
      const server = servers[n % 2 === 0 ? 0 : 1];
      expect(await headUpload(at(servers[n % 2 === 0 ? 1 : 0], url))).toMatchObject({ status: 200, offset });
      const patched = await patchUpload(at(server, url), offset, bytes.subarray(offset, offset + size));
      expect(patched).toMatchObject({ status: 204, offset: offset + size });
    }
    for (const server of servers) {
      expect(await readRecord(at(server, url))).toMatchObject({ state: 'accepted', offset: LENGTH });
      expect(sha256(Buffer.from(await (await fetch(at(server, url))).arrayBuffer()))).toBe(sha256(bytes));
    }
    expect(await filesBelow(`${servers[0].dataDir}/staging`)).toEqual([]);
  });

  it('keep each other’s staged bytes without a row, and delete those of ended uploads', async () => {
    const databaseUrl = await postgres.database();
    const [first] = await embedTwo({ databaseUrl });
    const id = `${'0'.repeat(30)}aa`;
    const ended = `ff${'0'.repeat(30)}`;
    const bytes = await videoBytes(1000);
    for (const name of [id, ended]) await writeFile(join(first.dataDir, 'staging', name.slice(0, 2), name), bytes);
    await postgres.query(
      `insert into uploads (id, owner, state, held, metadata, "provenOffset", checksum, "checksumOffset", attempt, strikes, "createdAt", "updatedAt")
       values ('${ended}', '', 'terminated', 'byte', '', 0, 0, 0, 0, 0, 0, 0)`,
      databaseUrl,
    );
    await embedLandfall({ dataDir: first.dataDir, databaseUrl, databaseConnections: 4 });
    await expect.poll(() => filesBelow(`${first.dataDir}/staging`)).toEqual([`00/${id}`]);
  });

  it('run one inspection, and a sender at either gets its verdict at once', async () => {
    const { check, open, seen } = gateCheck();
    const [first, second] = await embedTwo({ patience: '10m' }, { checks: [check] });
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(first.files, { length: LENGTH, name: 'film.mp4', body: bytes.subarray(0, LENGTH - 1) });
    const sent = patchUpload(url, LENGTH - 1, bytes.subarray(LENGTH - 1));
    await expect.poll(() => seen.begun).toBe(1);
    const status = fetch(`${at(second, url)}/status?wait=30`).then(async (answer) => (await answer.json()) as { state: string });
    const joined = patchUpload(at(second, url), LENGTH - 1, bytes.subarray(LENGTH - 1));
    expect(await headUpload(at(second, url))).toMatchObject({ status: 200, offset: LENGTH - 1 });
    expect(await terminateUpload(at(second, url))).toMatchObject({ status: 423 });
    await sleep(200);
    // Without the first process's notice, the requests would wait for their whole patience, longer than a test may take.
    open();
    for (const answer of await Promise.all([sent, joined])) expect(answer).toMatchObject({ status: 204, offset: LENGTH });
    expect(await status).toMatchObject({ state: 'accepted' });
    expect(seen.begun).toBe(1);
  });

  it.for([
    ['take over a silent body from each other, at its offset', { asksFirst: true }],
    ['stop a body at one process for a PATCH at the other, without a HEAD before', { asksFirst: false }],
  ] as const)('%s', async ([, { asksFirst }]) => {
    const [first, second] = await embedTwo();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(first.files, { length: LENGTH, name: 'film.mp4' });
    await sendHalf(first, url, bytes.subarray(0, 400_000));
    await expect.poll(async () => (await readRecord(url)).offset).toBe(400_000);
    if (asksFirst) expect(await headUpload(at(second, url))).toMatchObject({ status: 200, offset: 400_000 });
    expect(await patchUpload(at(second, url), 400_000, bytes.subarray(400_000))).toMatchObject({ status: 204, offset: LENGTH });
    expect(sha256(Buffer.from(await (await fetch(url)).arrayBuffer()))).toBe(sha256(bytes));
  });

  it('are not disturbed by foreign notices', async () => {
    const databaseUrl = await postgres.database();
    const [first, second] = await embedTwo({ databaseUrl });
    for (const payload of ['', ',', 'somebody,error x', 'somebody,newListener x', 'somebody,gap', 'somebody,constructor x,state'])
      await postgres.query(`notify ${channelOf('public')}, '${payload}'`, databaseUrl);
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(first.files, { length: LENGTH, name: 'film.mp4' });
    expect(await patchUpload(at(second, url), 0, bytes)).toMatchObject({ status: 204, offset: LENGTH });
  });

  it('hold no connection to the ledger for an upload, however many they receive', async () => {
    const databaseUrl = await postgres.database();
    const databaseConnections = 2;
    const servers = await embedTwo({ databaseUrl, databaseConnections });
    const bytes = await videoBytes(LENGTH);
    const urls = await Promise.all(
      Array.from({ length: 40 }, async (_, n) => {
        const server = servers[n % 2 === 0 ? 0 : 1];
        const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
        await sendHalf(server, url, bytes.subarray(0, 400_000));
        return url;
      }),
    );
    const count = async (what: string) =>
      Number((await postgres.query(`select count(*)::int as count from ${what}`, databaseUrl))[0]?.count);
    await expect.poll(() => count('locks')).toBe(urls.length);
    // Besides the pool's connections: one that listens and, for a while, the one that ran the migrations.
    const connections = await count("pg_stat_activity where datname = current_database() and application_name like 'landfall%'");
    expect(connections).toBeLessThanOrEqual(2 * (databaseConnections + 2));
    expect(await patchUpload(urls[0] ?? '', 400_000, bytes.subarray(400_000))).toMatchObject({ status: 204, offset: LENGTH });
  });

  it('know each other’s idempotency keys, refuse and cancel for each other', async () => {
    const [first, second] = await embedTwo();
    const headers = { 'Idempotency-Key': 'one' };
    const created = await Promise.all(
      [first, second, first, second].map(({ files }) => createUpload(files, { length: LENGTH, name: 'film.mp4', headers })),
    );
    expect(new Set(created.map(({ url }) => idOf(url))).size).toBe(1);
    const url = created[0]?.url ?? '';
    expect(await terminateUpload(at(second, url))).toMatchObject({ status: 204 });
    expect(await headUpload(at(first, url))).toMatchObject({ status: 410 });
    const refused = await createUpload(first.files, { length: 1000, name: 'photo.png' });
    const bytes = await videoBytes(1000);
    const answer = await patchUpload(refused.url, 0, bytes);
    expect(answer).toMatchObject({ status: 422 });
    expect(await patchUpload(at(second, refused.url), 999, bytes.subarray(999))).toMatchObject({ status: 422, text: answer.text });
  });

  it('make one upload of one key that both get at once, and refuse the key for a different one', async () => {
    const owners: LandfallHooks = { authenticate: () => 'anna' };
    for (const [hooks, status] of [
      [owners, 422],
      [{}, 201],
    ] as const) {
      const [first, second] = await embedTwo({}, hooks);
      const headers = { 'Idempotency-Key': 'one' };
      const create = (server: EmbeddedLandfall, name: string) => createUpload(server.files, { length: 10, name, headers });
      const same = await Promise.all([first, second, first, second, first, second].map((server) => create(server, 'a.txt')));
      expect(new Set(same.map((answer) => `${answer.status} ${idOf(answer.url)}`)).size).toBe(1);
      const others = await Promise.all([first, second, second, first].map((server) => create(server, 'b.txt')));
      expect(others.map((answer) => answer.status)).toEqual(Array(4).fill(status));
      const ids = new Set(others.filter(({ url }) => url !== '').map(({ url }) => idOf(url)));
      expect(ids.size).toBe(status === 201 ? 1 : 0);
      expect(ids.has(idOf(same[0]?.url ?? ''))).toBe(false);
    }
  });

  it.for([true, false])(
    'both answer with the verdict on an empty upload whose length is declared last: accepted is %s',
    async (allowEmpty) => {
      const [first, second] = await embedTwo({ allowEmpty });
      const { url } = await createUpload(first.files, { name: 'a.txt', headers: { 'Upload-Defer-Length': '1' } });
      for (const server of [second, first, second]) {
        const answer = await patchUpload(at(server, url), 0, new Uint8Array(), { 'Upload-Length': '0' });
        expect(answer).toMatchObject(allowEmpty ? { status: 204, offset: 0 } : { status: 422, code: 'ERR_EMPTY' });
        expect(await headUpload(at(server, url))).toMatchObject({ status: 200, offset: 0 });
      }
    },
  );

  it('answer HEAD 423 and other requests 503 while the ledger is unreachable, lose nothing, and recover by themselves', async () => {
    const [first, second] = await embedTwo();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(first.files, { length: LENGTH, name: 'film.mp4' });
    await patchUpload(url, 0, bytes.subarray(0, 500_000));
    await postgres.crash();
    for (const server of [first, second]) {
      const away = await headUpload(at(server, url));
      expect(away).toMatchObject({ status: 423 });
      expect(away.headers.get('Retry-After')).toMatch(/^\d+$/);
      expect(await patchUpload(at(server, url), 500_000, bytes.subarray(500_000))).toMatchObject({ status: 503 });
      expect((await fetch(`${server.url}/health/ready`)).status).toBe(503);
    }
    await postgres.start();
    await expect.poll(async () => (await headUpload(at(second, url))).status, { timeout: 60_000 }).toBe(200);
    expect(await headUpload(at(second, url))).toMatchObject({ offset: 500_000 });
    expect(await patchUpload(at(second, url), 500_000, bytes.subarray(500_000))).toMatchObject({ status: 204, offset: LENGTH });
    expect(sha256(Buffer.from(await (await fetch(at(first, url))).arrayBuffer()))).toBe(sha256(bytes));
  });

  it('do not count unproved bytes of another machine, whose fault ended a body and whose power was then cut', async () => {
    const databaseUrl = await postgres.database();
    const through = new URL(databaseUrl);
    const connection = await startTcpSwitch(through.hostname, Number(through.port));
    through.host = `127.0.0.1:${connection.port}`;
    const dataDir = testDirectory();
    const first = await embedLandfall({ dataDir, databaseUrl: through.href, databaseConnections: 4 });
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(first.files, { length: LENGTH, name: 'film.mp4' });
    expect(await patchUpload(url, 0, bytes.subarray(0, 100_000))).toMatchObject({ status: 204, offset: 100_000 });
    const socket = await openSocket(first.url);
    socket.on('data', () => undefined);
    socket.write(patchHead(url, 100_000, LENGTH - 100_000));
    socket.write(bytes.subarray(100_000, 400_000));
    const staged = join(dataDir, 'staging', idOf(url).slice(0, 2), idOf(url));
    await expect.poll(async () => (await stat(staged)).size).toBe(400_000);
    await connection.off();
    socket.destroy();
    await sleep(500);
    await connection.on();
    const lock = async () => (await postgres.query('select owner, boot from locks', databaseUrl))[0];
    await expect.poll(lock).toMatchObject({ owner: '' });

    // The lock belongs to another machine now, and a power cut left this of bytes that were not durable.
    await first.close();
    await postgres.query(`update locks set boot = 'of another machine'`, databaseUrl);
    await writeFile(staged, Buffer.concat([bytes.subarray(0, 100_000), Buffer.alloc(300_000)]));
    const second = await embedLandfall({ dataDir, databaseUrl, databaseConnections: 4 });
    expect(await headUpload(at(second, url))).toMatchObject({ status: 200, offset: 100_000 });
    expect(await readRecord(at(second, url))).toMatchObject({ offset: 100_000 });
    expect(await patchUpload(at(second, url), 100_000, bytes.subarray(100_000))).toMatchObject({ status: 204, offset: LENGTH });
    expect(sha256(Buffer.from(await (await fetch(at(second, url))).arrayBuffer()))).toBe(sha256(bytes));
    await expect.poll(lock).toBeUndefined();
  });

  it('do not count their own faults against a file, and leave it to any process that can continue', async () => {
    const database = await postgres.database();
    const [first] = await embedTwo({ databaseUrl: database, patience: 500 });
    const files = join(first.dataDir, 'files');
    // A file takes the place of the final directory: no process can make anything there.
    await rm(files, { recursive: true });
    await writeFile(files, '');
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(first.files, { length: LENGTH, name: 'film.mp4', body: bytes });
    const free = 'select attempt, strikes from uploads where "leaseOwner" is null and "retryAt" is not null';
    // Between two attempts no process has the lease, and no attempt is counted.
    await expect.poll(async () => (await postgres.query(free, database))[0]).toMatchObject({ strikes: 0 });
    await rm(files);
    await expect.poll(async () => (await readRecord(url)).state).toBe('accepted');
  });

  it('refuse a directory with a ledger of its own, whose bytes they would delete', async () => {
    const dataDir = testDirectory();
    const alone = await embedLandfall({ dataDir });
    await alone.close();
    await expect(embedLandfall({ dataDir, databaseUrl: await postgres.database() })).rejects.toThrow(LedgerElsewhere);
  });
});
