// Senders that put all of their bytes into S3 and never report completion.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, inject, it } from 'vitest';
import { videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { postgresForTests } from '../support/postgres.ts';
import { embedLandfallOnS3, MIB, operationOf, postJson, type S3Landfall } from '../support/s3-landfall.ts';
import { startTcpSwitch } from '../support/tcp-switch.ts';
import { idOf, readRecord } from '../support/tus-requests.ts';

const postgres = postgresForTests({ fsync: false });

interface Links {
  url: string;
  partSize: number;
  parts: { number: number; url: string }[];
}

/** Addresses expire soon, but late enough for a busy machine to use them; the sweeper runs all the time. */
const HASTY = { s3LinkLifetime: 3000, sweepInterval: 50 };

/** Runs where the S3 server at hand can refuse headers that were not signed. */
const guarded = it.skipIf(inject('s3HeaderGuard') === null);

/** Sends the missing parts to the addresses that the server gave out for them. */
async function send({ parts, partSize }: Links, bytes: Buffer<ArrayBuffer>, wanted = (_number: number) => true): Promise<void> {
  const sending = parts
    .filter((part) => wanted(part.number))
    .map(({ number, url }) => fetch(url, { method: 'PUT', body: bytes.subarray((number - 1) * partSize, number * partSize) }));
  for (const { status } of await Promise.all(sending)) expect(status).toBe(200);
}

async function create(url: string, length: number): Promise<{ links: Links; record: string; door: string }> {
  const response = await fetch(`${url}/get-upload-url`, postJson({ name: 'film.mp4', length }));
  const links = (await response.json()) as Links;
  const record = new URL(links.url, url).href;
  return { links, record, door: `${url}/get-upload-url/${idOf(record)}` };
}

async function expectOnly({ onlyFile, expectNothingStaged }: S3Landfall, bytes: Buffer): Promise<void> {
  expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
  await expectNothingStaged();
}

guarded.for([MIB, 13 * MIB])('a direct upload of %i bytes is inspected once its addresses have expired', async (length) => {
  const server = await embedLandfallOnS3(undefined, HASTY);
  const bytes = await videoBytes(length);
  const { links, record, door } = await create(server.url, length);
  await send(links, bytes);
  await expect.poll(async () => (await readRecord(record)).state).toBe('accepted');
  await expectOnly(server, bytes);
  const reads = server.proxy.exchanges.filter((exchange) => operationOf(exchange) === 'GetObject' && exchange.path.includes('/bytes'));
  expect(reads.reduce((sum, { answer }) => sum + Number(answer?.['content-length'] ?? 0), 0)).toBeLessThan(64 * 1024);
  // The sender reports completion late, and gets the same verdict.
  const answer = await fetch(door, { method: 'POST', body: '{}' });
  expect([answer.status, await answer.json()]).toMatchObject([200, { state: 'accepted', length }]);
  expect(await (await fetch(door)).json()).toMatchObject({ parts: [] });
});

guarded('a direct upload that lacks a part is inspected only after the part is stored', async () => {
  const server = await embedLandfallOnS3(undefined, HASTY);
  const bytes = await videoBytes(12 * MIB);
  const { links, record, door } = await create(server.url, bytes.length);
  await send(links, bytes, (number) => number !== 2);
  const looked = () => server.proxy.exchanges.filter((exchange) => operationOf(exchange) === 'ListParts').length;
  await expect.poll(looked).toBeGreaterThan(0);
  expect((await readRecord(record)).state).toBe('receiving');
  await send((await (await fetch(door)).json()) as Links, bytes);
  await expect.poll(async () => (await readRecord(record)).state).toBe('accepted');
  await expectOnly(server, bytes);
});

guarded('the sweeper does not look for a direct upload while its sender may still send', async () => {
  const server = await embedLandfallOnS3(undefined, { s3LinkLifetime: 60_000, sweepInterval: 20 });
  const bytes = await videoBytes(MIB);
  const { links, record } = await create(server.url, bytes.length);
  await send(links, bytes);
  await sleep(500);
  expect((await readRecord(record)).state).toBe('receiving');
});

guarded('an expired direct upload is inspected when it is complete, and expires when it is not', async () => {
  const server = await embedLandfallOnS3(undefined, { s3LinkLifetime: 3_600_000, sweepInterval: 50, expireAfter: 3000 });
  const bytes = await videoBytes(6 * MIB);
  const [whole, part] = await Promise.all([create(server.url, bytes.length), create(server.url, bytes.length)]);
  await Promise.all([send(whole.links, bytes), send(part.links, bytes, (number) => number === 1)]);
  await expect.poll(async () => (await readRecord(whole.record)).state).toBe('accepted');
  await expect.poll(async () => (await fetch(part.record, { method: 'HEAD', headers: { 'Tus-Resumable': '1.0.0' } })).status).toBe(410);
  await expectOnly(server, bytes);
});

guarded.for(['SQLite', 'PostgreSQL'])('a direct upload completed while no server ran is found by the next start, on %s', async (engine) => {
  const databaseUrl = engine === 'SQLite' ? '' : await postgres.database();
  const server = await embedLandfallOnS3(undefined, { s3LinkLifetime: HASTY.s3LinkLifetime, databaseUrl });
  const bytes = await videoBytes(13 * MIB);
  const { links, record } = await create(server.url, bytes.length);
  await send(links, bytes);
  await server.close();
  const again = await embedLandfall({ ...server.config, ...HASTY });
  await expect.poll(async () => (await readRecord(`${again.files}/${idOf(record)}`)).state).toBe('accepted');
  // The server does not read the bytes back to compute a checksum.
  expect(await readRecord(`${again.files}/${idOf(record)}`)).toMatchObject({ checksum: null });
  await expectOnly(server, bytes);
});

guarded.for([
  { who: 'its sender reports completion', sweepInterval: 3_600_000, says: true },
  { who: 'no sender reports completion', sweepInterval: HASTY.sweepInterval, says: false },
])("the ledger's answer to the completion of a direct upload is lost, $who, and the file is accepted once", async (given) => {
  const { says, sweepInterval } = given;
  const databaseUrl = new URL(await postgres.database());
  const connection = await startTcpSwitch(databaseUrl.hostname, Number(databaseUrl.port));
  databaseUrl.host = `127.0.0.1:${connection.port}`;
  const server = await embedLandfallOnS3(undefined, { ...HASTY, sweepInterval, databaseUrl: databaseUrl.href, databaseConnections: 4 });
  const bytes = await videoBytes(6 * MIB);
  const { links, record, door } = await create(server.url, bytes.length);
  const lost = connection.loseAnswer('update "uploads"', '"checksumOffset"', '"directDueAt"');
  await send(links, bytes);
  if (says) await expect.poll(async () => (await fetch(door, { method: 'POST', body: '{}' })).status).toBe(200);
  await lost;
  await expect.poll(async () => (await readRecord(record)).state).toBe('accepted');
  await expectOnly(server, bytes);
});
