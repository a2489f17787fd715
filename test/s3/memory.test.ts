// Bodies on their way to S3 use only the configured memory, and no disk.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { environmentName } from '../../server/config/setting-names.ts';
import type { SettingKey } from '../../server/config/settings.ts';
import { gathered, videoBytes } from '../support/content.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { startLandfall } from '../support/landfall-process.ts';
import { MIB, s3Config } from '../support/s3-landfall.ts';
import { testBucket } from '../support/s3-test-bucket.ts';
import { startStockOnS3 } from '../support/stock-s3.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, patchUpload } from '../support/tus-requests.ts';

const SENDERS = 24;
const LENGTH = 12 * MIB;
const MEMORY = 32 * MIB;
/** The server may write no larger file: its ledger stays below this, a part would not. */
const FILE_BYTES = 4 * MIB;
/** As docs/s3.md says: the configured memory, two parts, and the buffers between each connection and those. */
const PROMISED = MEMORY + 2 * 5 * MIB + SENDERS * 1.5 * MIB;
/** For memory that V8 has not collected yet, and for threads. */
const SLACK = 96 * MIB;

it('more concurrent bodies than fit wait for each other, within the memory limit and without a file', { timeout: 600_000 }, async () => {
  const s3 = await testBucket();
  const proxy = await startFaultProxy({ upstream: s3.options.endpoint });
  onTestFinished(() => proxy.close());
  const settings = { ...s3Config(s3, proxy.url), s3Memory: MEMORY, s3Connections: 4 };
  const env = Object.entries(settings).map(([key, value]) => [environmentName(key as SettingKey), String(value)]);
  const under = ['prlimit', `--fsize=${FILE_BYTES}`];
  const server = await startLandfall({ dataDir: testDirectory(), env: Object.fromEntries(env), under });
  onTestFinished(() => server.kill());
  const bytes = await videoBytes(LENGTH);
  const send = async () => {
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    expect(await patchUpload(url, 0, bytes)).toMatchObject({ status: 204, offset: LENGTH });
  };
  // Loads once all code that the measured run will use.
  await send();
  const idle = residentBytes(server.pid, 'VmRSS');
  forgetPeak(server.pid);
  // Slower than the bodies: without a limit, all of them would be in memory.
  proxy.bytesPerSecond = 10 * MIB;
  await Promise.all(Array.from({ length: SENDERS }, send));
  const taken = residentBytes(server.pid, 'VmHWM') - idle;
  expect(taken).toBeLessThan(PROMISED + SLACK);
  expect(PROMISED + SLACK).toBeLessThan(0.75 * SENDERS * LENGTH);
  const keys = await s3.keys('files/');
  expect(keys).toHaveLength(SENDERS + 1);
  expect((await gathered(await s3.bucket.stream(keys.at(-1) ?? ''))).equals(bytes)).toBe(true);
  expect(await server.stop()).toBe(0);
});

it('the stock store writes each part to the temporary directory first', async () => {
  const { TMPDIR } = process.env;
  const directory = testDirectory();
  process.env.TMPDIR = directory;
  onTestFinished(() => {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
  });
  const spooled = new Set<string>();
  const look = () => {
    for (const name of readdirSync(directory)) spooled.add(name);
    return undefined;
  };
  const { files } = await startStockOnS3(look);
  const { url } = await createUpload(files, { length: LENGTH });
  expect((await patchUpload(url, 0, await videoBytes(LENGTH))).status).toBe(204);
  expect(spooled.size).toBeGreaterThan(0);
});

/** A field of Linux's `/proc/<pid>/status`: memory now, or the highest since the peak was reset. */
function residentBytes(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const [, kib = '0'] = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}

function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}
