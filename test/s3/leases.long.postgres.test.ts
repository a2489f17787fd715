// A process is suspended past its lease and then resumed: on S3, only the ledger tells it that it is too late.
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished, vi } from 'vitest';
import { environmentName } from '../../server/config/setting-names.ts';
import type { SettingKey } from '../../server/config/settings.ts';
import { gathered, videoBytes } from '../support/content.ts';
import { type Exchange, type Fault, startFaultProxy } from '../support/fault-proxy.ts';
import { LandfallProcess } from '../support/landfall-process.ts';
import { postgresForTests } from '../support/postgres.ts';
import { MIB, operationOf, partNumberOf, s3Config } from '../support/s3-landfall.ts';
import { testBucket } from '../support/s3-test-bucket.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord } from '../support/tus-requests.ts';

const postgres = postgresForTests();
const LEASE_MS = 1500;

/** Two processes on one bucket and one ledger, the first with a proxy before S3. */
async function startTwo({ plan, inspectionsMs }: { plan?: (exchange: Exchange) => Fault | undefined; inspectionsMs: [number, number] }) {
  const s3 = await testBucket();
  const proxy = await startFaultProxy({ upstream: s3.options.endpoint, ...(plan && { onRequest: plan }) });
  onTestFinished(() => proxy.close());
  const database = await postgres.database();
  const start = async (endpoint: string, inspectionMs: number) => {
    const settings = { ...s3Config(s3, endpoint), databaseUrl: database, lease: LEASE_MS, logLevel: 'fatal' };
    const env = Object.entries(settings).map(([key, value]) => [environmentName(key as SettingKey), String(value)] as const);
    const server = new LandfallProcess({
      dataDir: testDirectory(),
      program: 'test/support/slow-landfall.ts',
      env: { ...Object.fromEntries(env), LANDFALL_LEASE: `${LEASE_MS}ms`, INSPECTION_MS: String(inspectionMs) },
    });
    onTestFinished(() => server.kill());
    await server.start();
    return server;
  };
  const [stopped, living] = [await start(proxy.url, inspectionsMs[0]), await start(s3.options.endpoint, inspectionsMs[1])];
  return { s3, stopped, living, database, at: (server: LandfallProcess, url: string) => `${server.files}/${idOf(url)}` };
}

async function waitUntilAwake(server: LandfallProcess): Promise<void> {
  await vi.waitFor(async () => expect((await fetch(`${server.url}/health/ready`)).status).toBe(200), { timeout: 60_000 });
  // Covers requests in flight when the process was suspended, and those it starts before it notices.
  await sleep(2 * LEASE_MS);
}

it('takes back no offset that another process has acknowledged since', async () => {
  let stop = () => {};
  const { s3, stopped, living, at } = await startTwo({
    // The process is suspended while it sends its second part: the answer, and what follows, comes after it resumes.
    plan: (exchange) => {
      if (operationOf(exchange) === 'UploadPart' && partNumberOf(exchange) === 2) stop();
      return undefined;
    },
    inspectionsMs: [1, 1],
  });
  let isStopped = false;
  stop = () => {
    isStopped = true;
    stopped.signal('SIGSTOP');
  };
  const bytes = await videoBytes(20 * MIB);
  const { url } = await createUpload(stopped.files, { length: bytes.byteLength, name: 'film.mp4' });
  const headers = { 'Tus-Resumable': '1.0.0', 'Upload-Offset': 0, 'Content-Type': 'application/offset+octet-stream' };
  const sending = request(url, { method: 'PATCH', headers: { ...headers, 'Content-Length': bytes.byteLength } });
  sending.on('error', () => undefined);
  onTestFinished(() => void sending.destroy());
  sending.write(bytes.subarray(0, 12 * MIB));
  await vi.waitFor(() => expect(isStopped).toBe(true), { timeout: 60_000, interval: 20 });

  const elsewhere = at(living, url);
  const goOn = async () => {
    const { offset = -1 } = await headUpload(elsewhere);
    return (await patchUpload(elsewhere, offset, bytes.subarray(offset, 17 * MIB))).offset;
  };
  await expect.poll(goOn, { timeout: 60_000, interval: 300 }).toBe(17 * MIB);
  stopped.signal('SIGCONT');
  await waitUntilAwake(stopped);
  for (const server of [living, stopped]) expect((await headUpload(at(server, url))).offset).toBe(17 * MIB);
  expect(await patchUpload(at(stopped, url), 17 * MIB, bytes.subarray(17 * MIB))).toMatchObject({ status: 204, offset: 20 * MIB });
  const [key = '', ...others] = await s3.keys('files/');
  expect(others).toEqual([]);
  expect((await gathered(await s3.bucket.stream(key))).equals(bytes)).toBe(true);
  await expect.poll(async () => [await s3.keys('staging/'), await s3.unfinished()]).toEqual([[], []]);
});

it('writes no verdict over one that another process has written since, and leaves one file', async () => {
  const { s3, stopped, living, database, at } = await startTwo({ inspectionsMs: [1000, 1] });
  const bytes = await videoBytes(6 * MIB);
  const { url } = await createUpload(stopped.files, { length: bytes.byteLength, name: 'film.mp4' });
  const sent = patchUpload(url, 0, bytes).catch(() => undefined);
  await expect.poll(async () => (await readRecord(at(living, url))).state, { interval: 20 }).toBe('inspecting');
  stopped.signal('SIGSTOP');
  await expect.poll(async () => (await readRecord(at(living, url))).state, { timeout: 60_000 }).toBe('accepted');
  const ended = await readRecord(at(living, url));
  stopped.signal('SIGCONT');
  await waitUntilAwake(stopped);
  await sent;
  expect(await readRecord(at(living, url))).toEqual(ended);
  const keys = await s3.keys('files/');
  expect(keys).toEqual([expect.stringContaining(`${idOf(url)}/2/`)]);
  expect((await gathered(await s3.bucket.stream(keys[0] ?? ''))).equals(bytes)).toBe(true);
  expect(await postgres.query('select type from events order by number', database)).toEqual([
    { type: 'upload.created' },
    { type: 'upload.accepted' },
  ]);
  expect(await s3.keys('staging/')).toEqual([]);
});
