// Runs the back-up and restore commands of docs/operations.md beside a server that receives uploads all the time.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { nodeStore } from '../../client/node/store.ts';
import { upload } from '../../client/node.ts';
import { filesBelow, sha256, videoBytes, writeVideo } from '../support/content.ts';
import { type Ran, runDocumented, runShell } from '../support/docs-blocks.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { type LandfallProcess, startLandfall } from '../support/landfall-process.ts';
import { uploadWithStockClient } from '../support/stock-client.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord } from '../support/tus-requests.ts';

export interface Drill {
  /** The engine's name in the comments of the documented commands. */
  engine: 'SQLite' | 'PostgreSQL';
  /** The data directory in the documented commands. */
  documentedDir: string;
  /** Settings of the server that is backed up. */
  env: Record<string, string>;
  /** Called once the server has ended. Resolves with the settings of the restored server. */
  restoreInto(): Promise<Record<string, string>>;
}

const MIB = 1024 * 1024;
const LENGTH = 300_000;
const SENDERS = 3;

interface Sent {
  url: string;
  hash: string;
}

export async function drill({ engine, documentedDir, env, restoreInto }: Drill): Promise<void> {
  const [dataDir, newDir, backup] = ['data', 'restored', 'backup'].map((name) => join(testDirectory(), name)) as [string, string, string];
  for (const path of [newDir, backup]) mkdirSync(path);
  const program = 'test/support/slow-landfall.ts';
  const options = { program, env: { INSPECTION_MS: '100', LANDFALL_LOG_LEVEL: 'fatal', ...env } };
  const server = await startLandfall({ dataDir, ...options });
  onTestFinished(() => server.kill());
  const { half, long, refused } = await bringToEveryState(server);
  const clients = await startClients(server);
  const traffic = sendOnAndOn(server);
  await expect.poll(() => traffic.accepted.length).toBeGreaterThan(2 * SENDERS);

  const before = [...traffic.accepted];
  const backedUp = await runDocumented(`Backup, ${engine}`, { places: { [documentedDir]: dataDir, '/backup': backup }, env });
  expect(backedUp).toEqual({ code: 0, said: '' });
  const during = traffic.accepted.length;
  await expect.poll(() => traffic.accepted.length).toBeGreaterThan(during);
  const refusal = await runShell('landfall-server restored', { ...env, LANDFALL_DATA_DIR: dataDir });
  expect(refusal).toMatchObject({ code: 2, said: expect.stringMatching(/^landfall-server: Another process serves .*\n$/) });
  await server.kill();
  await traffic.stop();

  const newEnv = await restoreInto();
  const restored = await runDocumented(`Restore, ${engine}`, { places: { [documentedDir]: newDir, '/backup': backup }, env: newEnv });
  expectRestored(restored, before.length);
  const fresh = await startLandfall({ dataDir: newDir, ...options, env: { ...options.env, ...newEnv } });
  onTestFinished(() => fresh.kill());
  const at = (url: string) => `${fresh.files}/${idOf(url)}`;

  for (const { url, hash } of before) expect(await download(at(url))).toBe(hash);
  for (const { url, hash } of traffic.accepted.slice(before.length)) expect(await download(at(url))).toBeOneOf([hash, 404, 410]);
  for (const url of [half, long]) {
    expect(await headUpload(at(url))).toMatchObject({ status: 410, offset: undefined });
    expect(await patchUpload(at(url), LENGTH / 2, 'x')).toMatchObject({ status: 410, code: 'ERR_UPLOAD_EXPIRED' });
  }
  expect(await patchUpload(at(refused), LENGTH - 1, 'x')).toMatchObject({ status: 422, code: 'ERR_CHECK_REFUSED' });

  clients.switchTo(fresh);
  for (const { url, hash } of await clients.ended()) expect(await download(at(url))).toBe(hash);
  expect(await filesBelow(join(newDir, 'staging'))).toEqual([]);
}

/** Besides uploads that get accepted: one that is half stored, one under inspection, one that was refused. */
async function bringToEveryState({ files }: LandfallProcess) {
  const bytes = await videoBytes(LENGTH);
  const create = async (name: string) => (await createUpload(files, { length: LENGTH, name })).url;
  const [half, long, refused] = [await create('half.mp4'), await create('long.mp4'), await create('refuse.mp4')];
  expect(await patchUpload(half, 0, bytes.subarray(0, LENGTH / 2))).toMatchObject({ status: 204 });
  expect(await patchUpload(refused, 0, bytes)).toMatchObject({ status: 422 });
  // Stays unanswered until the server has ended.
  patchUpload(long, 0, bytes).catch(() => undefined);
  await expect.poll(async () => (await readRecord(long)).state).toBe('inspecting');
  return { half, long, refused };
}

/** Our client and the stock client in the middle of a file, through a proxy that can switch to another server. */
async function startClients(server: LandfallProcess) {
  const proxy = await startFaultProxy({ upstream: server.url, bytesPerSecond: MIB });
  onTestFinished(() => proxy.close());
  const directory = testDirectory();
  const path = join(directory, 'ours.mp4');
  const endpoint = `${proxy.url}/files`;
  const hash = await writeVideo(path, 24 * MIB);
  const handle = upload(path, { endpoint, store: nodeStore(join(directory, 'state')) });
  handle.done.catch(() => undefined);
  onTestFinished(() => handle.cancel().catch(() => undefined));
  const bytes = await videoBytes(16 * MIB, 2);
  const stock = uploadWithStockClient(endpoint, bytes, 'stock.mp4', { chunkSize: MIB / 4, retryDelays: Array(200).fill(200) });
  await expect.poll(() => handle.snapshot.sent).toBeGreaterThan(MIB / 2);
  await expect.poll(() => proxy.exchanges.some(({ method, status }) => method === 'PATCH' && status === 204)).toBe(true);
  return {
    switchTo(fresh: LandfallProcess) {
      proxy.upstream = new URL(fresh.url);
      proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
      // Skips the pause that the client makes when a server is unreachable for long.
      handle.resume();
    },
    async ended(): Promise<Sent[]> {
      const [ours, theirs] = await Promise.all([handle.done, stock]);
      expect(theirs).toMatchObject({ outcome: 'success' });
      return [
        { url: ours.url ?? '', hash },
        { url: theirs.url, hash: sha256(bytes) },
      ];
    },
  };
}

function sendOnAndOn({ files }: LandfallProcess) {
  const accepted: Sent[] = [];
  let isOn = true;
  const send = async (first: number) => {
    for (let seed = first; isOn; seed += SENDERS) {
      const bytes = await videoBytes(LENGTH, seed);
      const { url } = await createUpload(files, { length: LENGTH, name: `film ${seed}.mp4` });
      const { status } = await patchUpload(url, 0, bytes);
      if (status === 204) accepted.push({ url, hash: sha256(bytes) });
    }
  };
  // The senders end with the server, if not before.
  const senders = Promise.allSettled(Array.from({ length: SENDERS }, (_, index) => send(index)));
  return {
    accepted,
    async stop() {
      isOn = false;
      await senders;
    },
  };
}

function expectRestored({ code, said }: Ran, least: number): void {
  const [, ended, files, faults] = /^(\d+) unfinished uploads ended\n(\d+) files, (\d+) faults\n$/.exec(said) ?? [];
  expect({ code, faults }, said).toEqual({ code: 0, faults: '0' });
  // One half-stored upload, one under inspection, and the uploads of the two clients.
  expect(Number(ended)).toBeGreaterThanOrEqual(4);
  expect(Number(files)).toBeGreaterThanOrEqual(least);
}

/** The hash of the file, or the status without one. */
async function download(url: string): Promise<string | number> {
  const response = await fetch(url);
  const bytes = Buffer.from(await response.arrayBuffer());
  return response.status === 200 ? sha256(bytes) : response.status;
}
