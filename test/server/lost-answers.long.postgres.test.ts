// The server acts on a change that the ledger kept, even when the answer was lost: the connection to PostgreSQL is cut between
// the commit and its answer, for each statement that decides something.
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { ConfigInput, EventType } from '../../server/index.ts';
import { filesBelow, sha256, videoBytes } from '../support/content.ts';
import { type EmbeddedLandfall, embedLandfall } from '../support/landfall-embedded.ts';
import { postgresForTests } from '../support/postgres.ts';
import { startTcpSwitch } from '../support/tcp-switch.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord, terminateUpload } from '../support/tus-requests.ts';

const postgres = postgresForTests();
const LENGTH = 100_000;
/** Small enough to be sent whole with its creation. */
const SMALL = 10_000;

async function embedBehindSwitch({ databaseUrl: given, ...config }: ConfigInput & { databaseUrl?: string } = {}) {
  const databaseUrl = given ?? (await postgres.database());
  const url = new URL(databaseUrl);
  const connection = await startTcpSwitch(url.hostname, Number(url.port));
  url.port = String(connection.port);
  url.hostname = '127.0.0.1';
  const told: EventType[] = [];
  const server = await embedLandfall(
    { databaseUrl: url.href, databaseConnections: 4, patience: '2s', ...config },
    {
      onEvent: ({ type }) => {
        if (type !== 'upload.created') told.push(type);
      },
    },
  );
  return { server, connection, told, databaseUrl };
}

/** Repeats a request after a fault or without an answer, as a client does. */
async function patchUntilAnswered(url: string, bytes: Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}): Promise<number> {
  for (;;) {
    const { status, offset = 0 } = await headUpload(url);
    if (status === 423) await sleep(100);
    else if (status !== 200) return status;
    else {
      const sent = await patchUpload(url, offset, bytes.subarray(offset), headers);
      if (sent.offset === LENGTH || sent.status === 422) return sent.status;
    }
  }
}

it.for([
  { change: 'that starts an inspection', said: ['update "uploads"', 'receiving', 'inspecting', 'leaseOwner'] },
  { change: 'that accepts a file', said: ['update "uploads"', 'inspecting', 'accepted'] },
  { change: 'of an offset', said: ['update "uploads"', 'case when "provenOffset"'] },
  { change: 'that takes a lock', said: ['insert into "locks"'] },
  { change: 'that releases a lock', said: ['delete from "locks"'] },
])('an answer to the change $change is lost, and the file is accepted once', async ({ said }) => {
  const { server, connection, told } = await embedBehindSwitch();
  const bytes = await videoBytes(LENGTH);
  const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
  const lost = connection.loseAnswer(...said);
  await patchUpload(url, 0, bytes.subarray(0, 50_000));
  expect(await patchUntilAnswered(url, bytes)).toBe(204);
  await lost;
  expect(await readRecord(url)).toMatchObject({ state: 'accepted', offset: LENGTH });
  expect(sha256(Buffer.from(await (await fetch(url)).arrayBuffer()))).toBe(sha256(bytes));
  await expect.poll(() => told).toEqual(['upload.accepted']);
  await expect.poll(() => filesBelow(`${server.dataDir}/staging`)).toEqual([]);
});

it('an answer to the refusal of a file is lost, and the file stays refused, with no byte left', async () => {
  const { server, connection, told } = await embedBehindSwitch();
  const bytes = await videoBytes(LENGTH);
  const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
  const lost = connection.loseAnswer('update "uploads"', 'inspecting', 'rejected');
  expect(await patchUntilAnswered(url, bytes, { 'Landfall-Checksum': 'crc32 AAAAAA==' })).toBe(422);
  await lost;
  expect(await readRecord(url)).toMatchObject({ state: 'rejected' });
  await expect.poll(() => told).toEqual(['upload.rejected']);
  await expect.poll(() => filesBelow(`${server.dataDir}/staging`)).toEqual([]);
  expect(await filesBelow(`${server.dataDir}/files`)).toEqual([]);
});

it('an answer to a verdict is lost, the ledger stays unreachable for a while, and the sender gets the committed verdict', async () => {
  const { server, connection, told } = await embedBehindSwitch();
  const bytes = await videoBytes(LENGTH);
  const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
  const lost = connection.loseAnswer('update "uploads"', 'inspecting', 'accepted');
  const sent = patchUpload(url, 0, bytes);
  await lost;
  await connection.off();
  await sleep(1500);
  await connection.on();
  await sent;
  expect(await patchUntilAnswered(url, bytes)).toBe(204);
  expect(sha256(Buffer.from(await (await fetch(url)).arrayBuffer()))).toBe(sha256(bytes));
  await expect.poll(() => told).toEqual(['upload.accepted']);
  await expect.poll(() => filesBelow(`${server.dataDir}/staging`)).toEqual([]);
});

it('an answer to the row of a small file sent with its creation is lost, and the file is accepted once', async () => {
  const { server, connection, told } = await embedBehindSwitch();
  const bytes = await videoBytes(SMALL);
  const lost = connection.loseAnswer('insert into "uploads"', 'inspecting');
  const { status, url, offset } = await createUpload(server.files, { length: SMALL, name: 'film.mp4', body: bytes });
  await lost;
  expect([status, offset]).toEqual([201, SMALL]);
  expect(sha256(Buffer.from(await (await fetch(url)).arrayBuffer()))).toBe(sha256(bytes));
  await expect.poll(() => told).toEqual(['upload.accepted']);
  await expect.poll(() => filesBelow(`${server.dataDir}/staging`)).toEqual([]);
});

it('a small file whose row is uncertain for a while gets its verdict when the ledger is back, or leaves nothing', async () => {
  const { server, connection, databaseUrl } = await embedBehindSwitch();
  const bytes = await videoBytes(SMALL);
  const kept = connection.loseAnswer('insert into "uploads"', 'inspecting');
  const first = createUpload(server.files, { length: SMALL, name: 'film.mp4', body: bytes });
  await kept;
  await connection.off();
  expect((await first).status).toBeGreaterThanOrEqual(500);
  const second = await createUpload(server.files, { length: SMALL, name: 'film.mp4', body: bytes });
  expect(second.status).toBeGreaterThanOrEqual(500);
  await connection.on();
  await expect.poll(() => postgres.query('select state from uploads', databaseUrl), { timeout: 30_000 }).toEqual([{ state: 'accepted' }]);
  await expect.poll(() => filesBelow(`${server.dataDir}/staging`), { timeout: 30_000 }).toEqual([]);
  expect(await filesBelow(`${server.dataDir}/files`)).toHaveLength(1);
});

it('an answer to a creation is lost, and the sender gets the upload’s address', async () => {
  const { server, connection } = await embedBehindSwitch();
  const lost = connection.loseAnswer('insert into "uploads"');
  const { status, url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
  await lost;
  expect(status).toBe(201);
  expect(await headUpload(url)).toMatchObject({ status: 200, offset: 0 });
});

it('an answer to a termination is lost, and nothing of the upload is left', async () => {
  const { server, connection } = await embedBehindSwitch();
  const bytes = await videoBytes(LENGTH);
  const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4', body: bytes.subarray(0, 50_000) });
  const lost = connection.loseAnswer('update "uploads"', 'receiving', 'terminated');
  expect((await terminateUpload(url)).status).toBe(204);
  await lost;
  expect((await headUpload(url)).status).toBe(410);
  expect(await filesBelow(`${server.dataDir}/staging`)).toEqual([]);
});

it('an answer to a refusal by the first bytes is lost, and the file stays refused, with no byte left', async () => {
  const { server, connection, told } = await embedBehindSwitch();
  const bytes = await videoBytes(LENGTH);
  const { url } = await createUpload(server.files, { length: LENGTH, name: 'photo.png' });
  const lost = connection.loseAnswer('update "uploads"', 'receiving', 'rejected');
  expect(await patchUntilAnswered(url, bytes.subarray(0, 50_000))).toBe(422);
  await lost;
  expect(await readRecord(url)).toMatchObject({ state: 'rejected', error: { code: 'ERR_TYPE_MISMATCH' } });
  expect(await patchUpload(url, 0, bytes)).toMatchObject({ status: 422, code: 'ERR_TYPE_MISMATCH' });
  await expect.poll(() => told).toEqual(['upload.rejected']);
  await expect.poll(() => filesBelow(`${server.dataDir}/staging`)).toEqual([]);
});

it('an answer to an expiry is lost, and nothing of the upload is left', async () => {
  const { server, connection } = await embedBehindSwitch({ expireAfter: 2000, sweepInterval: 100 });
  const lost = connection.loseAnswer('update "uploads"', 'receiving', 'expired');
  const bytes = await videoBytes(LENGTH);
  const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4', body: bytes.subarray(0, 50_000) });
  await lost;
  await expect.poll(async () => (await headUpload(url)).status).toBe(410);
  await expect.poll(() => filesBelow(`${server.dataDir}/staging`)).toEqual([]);
});

/**
 * All bytes are stored, and the inspection can't end, since a file takes the place of the final directory. Resolves with a
 * function that removes that file.
 */
async function holdInspection(server: EmbeddedLandfall, databaseUrl: string) {
  const files = join(server.dataDir, 'files');
  await rm(files, { recursive: true, force: true });
  await writeFile(files, '');
  const bytes = await videoBytes(LENGTH);
  const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4', body: bytes });
  const isFree = `select id from uploads where state = 'inspecting' and "leaseOwner" is null and "retryAt" is not null`;
  await expect.poll(() => postgres.query(isFree, databaseUrl)).toHaveLength(1);
  return { url, bytes, mend: () => rm(files) };
}

it('an answer to the claim of an inspection is lost, and its process continues it, without a strike', async () => {
  const { server, connection, told, databaseUrl } = await embedBehindSwitch();
  const { url, bytes, mend } = await holdInspection(server, databaseUrl);
  const lost = connection.loseAnswer('update "uploads"', '"strikes" = case');
  await lost;
  const strikes = () => postgres.query('select strikes from uploads where "leaseOwner" is null', databaseUrl);
  await expect.poll(strikes).toEqual([{ strikes: 0 }]);
  await mend();
  await expect.poll(async () => (await readRecord(url)).state).toBe('accepted');
  expect(sha256(Buffer.from(await (await fetch(url)).arrayBuffer()))).toBe(sha256(bytes));
  await expect.poll(() => told).toEqual(['upload.accepted']);
  expect(await filesBelow(`${server.dataDir}/files`)).toHaveLength(1);
  await expect.poll(() => filesBelow(`${server.dataDir}/staging`)).toEqual([]);
});

/** A dead process, as the ledger records it. */
const DEAD = `insert into holders (owner, "expiresAt", "leaseMs", "isDead") values ('dead', ${Date.now()}, 1000, 1)`;

it.for([
  { change: 'that frees what a dead process held', said: ['update "uploads" set "leaseOwner"', 'dead'] },
  { change: 'that takes its inspection over', said: ['update "uploads"', '"strikes" = case'] },
])('an answer to the change $change is lost, and the file is accepted once', async ({ said }) => {
  const databaseUrl = await postgres.database();
  const dying = await embedLandfall({ databaseUrl, databaseConnections: 4, patience: '1s' });
  const { url, bytes, mend } = await holdInspection(dying, databaseUrl);
  await dying.close();
  await mend();
  // A process that is not known to be dead keeps its uploads.
  await postgres.query(`update uploads set "leaseOwner" = 'dead', "retryAt" = null, strikes = 1`, databaseUrl);
  const { server, connection, told } = await embedBehindSwitch({ dataDir: dying.dataDir, databaseUrl });
  const lost = connection.loseAnswer(...said);
  await postgres.query(DEAD, databaseUrl);
  await lost;
  const here = `${server.files}/${idOf(url)}`;
  await expect.poll(async () => (await readRecord(here)).state).toBe('accepted');
  expect(sha256(Buffer.from(await (await fetch(here)).arrayBuffer()))).toBe(sha256(bytes));
  await expect.poll(() => told).toEqual(['upload.accepted']);
  expect(await filesBelow(`${server.dataDir}/files`)).toHaveLength(1);
  await expect.poll(() => filesBelow(`${server.dataDir}/staging`)).toEqual([]);
});

it("an answer to the mark that another machine's unproved bytes are gone is lost, and the proved bytes resume", async () => {
  const { server, connection, databaseUrl } = await embedBehindSwitch();
  const bytes = await videoBytes(LENGTH);
  const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4', body: bytes.subarray(0, 50_000) });
  await postgres.query(DEAD, databaseUrl);
  await postgres.query(`insert into locks ("uploadId", owner, boot) values ('${idOf(url)}', 'dead', 'of another machine')`, databaseUrl);
  const lost = connection.loseAnswer('update "locks" set "boot"');
  expect(await headUpload(url)).toMatchObject({ status: 200, offset: 50_000 });
  expect(await patchUntilAnswered(url, bytes)).toBe(204);
  await lost;
  expect(sha256(Buffer.from(await (await fetch(url)).arrayBuffer()))).toBe(sha256(bytes));
  await expect.poll(() => postgres.query('select owner from locks', databaseUrl)).toEqual([]);
});
