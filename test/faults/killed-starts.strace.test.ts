// A start that is killed, or whose disk fails, at any of its steps: the next start completes all its work, including the work
// of a first start after a power cut.
import { execFileSync } from 'node:child_process';
import { link, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { filesBelow, videoBytes } from '../support/content.ts';
import { LandfallProcess } from '../support/landfall-process.ts';
import { programPath } from '../support/needs.ts';
import { randomFrom } from '../support/random.ts';
import { forgetBoot, ledgerRows } from '../support/sqlite-ledger.ts';
import { temporaryDirectory, testDirectory } from '../support/temp-dir.ts';
import { createUpload, idOf, patchUpload } from '../support/tus-requests.ts';
import { resumeInsistently } from './insistent-sender.ts';
import { expectPromisesKept, expectSettled, type Sent, stagedPath } from './truth.ts';

const isLong = process.env.LANDFALL_TEST_LONG === '1';
const LENGTH = 50_000;
const PROVEN = 10_000;
const WRITTEN = 40_000;
const RECEIVING = 4;
const ENV = { UV_THREADPOOL_SIZE: '1', LANDFALL_PATIENCE: '500ms', LANDFALL_SWEEP_INTERVAL: '1s' };

const STEPS = [
  { name: 'truncate', calls: 'truncate,ftruncate' },
  { name: 'write to the ledger', calls: 'pwrite64', isMany: true },
  { name: 'sync', calls: 'fsync,fdatasync' },
  { name: 'unlink', calls: 'unlink,unlinkat' },
  { name: 'link', calls: 'link,linkat' },
  { name: 'mkdir', calls: 'mkdir,mkdirat', isMany: true },
];
const EFFECTS = [
  { what: 'is killed', effect: 'signal=KILL' },
  { what: 'fails with EIO', effect: 'error=EIO' },
];
const CASES = STEPS.flatMap((step) => EFFECTS.map((effect) => ({ isMany: false, ...step, ...effect })))
  // The short version has the steps of a first start after a power cut, and one failure.
  .filter(({ name, effect }) => isLong || name === 'truncate' || (effect === 'signal=KILL' && name !== 'mkdir' && name !== 'link'));

/** 1, 2, 3, … or, for a frequent step, at growing distances; the short version takes one. */
function* counts(isMany: boolean): Generator<number> {
  if (!isLong) yield 2;
  else for (let n = 1; n < 1000; n += isMany ? Math.ceil(n / 4) : 1) yield n;
}

describe.for([{ after: 'a power cut', isRebooted: true }, ...(isLong ? [{ after: 'a crash', isRebooted: false }] : [])])(
  'the first start after $after',
  ({ isRebooted }) => {
    const left = temporaryDirectory();
    let sent: Sent[] = [];
    beforeAll(async () => {
      sent = await leaveWorkOfEachKind(left.path, isRebooted);
    });

    it.for(CASES)('$what at its $name, and the next one completes all of its work', async ({ name, calls, effect, isMany }) => {
      let hits = 0;
      for (const n of counts(isMany)) {
        const dataDir = join(testDirectory(), 'data');
        execFileSync('cp', ['-a', left.path, dataDir]);
        const isHit = await startOnce(dataDir, calls, `${effect}:when=${n}`);
        const uploads = sent.map((upload) => ({ ...upload }));
        const server = new LandfallProcess({ dataDir, env: ENV });
        onTestFinished(() => server.kill());
        await server.start();
        await expectPromisesKept(server, uploads);
        const send = (upload: Sent) => resumeInsistently(upload, { random: randomFrom(n), whenOpen: async () => server.files });
        await Promise.all(uploads.filter(({ ending }) => ending === 'accepted').map(send));
        await expectSettled(server, uploads);
        await server.kill();
        await rm(dataDir, { recursive: true });
        if (!isHit) break;
        hits += 1;
      }
      expect(hits, `the start made no ${name}, so no fault was tested`).toBeGreaterThan(0);
    });
  },
);

/** Resolves once the start is over: true when the call with the fault was made. */
async function startOnce(dataDir: string, calls: string, effect: string): Promise<boolean> {
  const log = join(testDirectory(), 'strace.log');
  const under = [programPath('strace') ?? 'strace', '-f', '-o', log, `--trace=${calls}`, `--inject=${calls}:${effect}`];
  const server = new LandfallProcess({ dataDir, env: ENV, under });
  onTestFinished(() => server.kill());
  const isUp = await server.start().then(
    () => true,
    () => false,
  );
  const isFaulty = async () => (await readFile(log, 'utf8')).includes('INJECTED');
  const isIdle = () => ledgerRows(dataDir).every(({ state }) => state !== 'inspecting');
  // Once it listens, the server continues inspections in the background.
  if (isUp) await expect.poll(async () => !server.isRunning || isIdle() || (await isFaulty()), { timeout: 60_000 }).toBe(true);
  const isHit = !isUp || !server.isRunning || (await isFaulty());
  await server.kill();
  return isHit;
}

/** The state that a server leaves when it is killed, or loses power, with every kind of work in progress. */
async function leaveWorkOfEachKind(dataDir: string, isRebooted: boolean): Promise<Sent[]> {
  const server = new LandfallProcess({ dataDir, env: ENV });
  afterAll(() => server.kill());
  await server.start();
  const sent: Sent[] = [];
  const add = async (name: string, acknowledged: number): Promise<Sent> => {
    const bytes = await videoBytes(LENGTH, sent.length);
    const { url } = await createUpload(server.files, { length: LENGTH, name, body: bytes.subarray(0, acknowledged) });
    const upload: Sent = { id: idOf(url), name, bytes, acknowledged, ending: name.endsWith('.png') ? 'rejected' : 'accepted' };
    sent.push(upload);
    return upload;
  };
  const receiving: Sent[] = [];
  for (let n = 0; n < RECEIVING; n++) receiving.push(await add(`receiving ${n}.mp4`, PROVEN));
  const whole = await add('whole.mp4', LENGTH - 1);
  const accepted = await add('accepted.mp4', PROVEN);
  const refused = await add('refused.png', 0);
  const inspecting = await add('inspecting.mp4', PROVEN);
  for (const { id, bytes, acknowledged } of [accepted, refused]) {
    await patchUpload(`${server.files}/${id}`, acknowledged, bytes.subarray(acknowledged));
  }
  accepted.acknowledged = LENGTH;
  const [final = ''] = await filesBelow(join(dataDir, 'files'));
  // A file stands in place of the directory of final files, so the inspection can't publish.
  await rename(join(dataDir, 'files'), join(dataDir, 'away'));
  await writeFile(join(dataDir, 'files'), '');
  await patchUpload(`${server.files}/${inspecting.id}`, PROVEN, inspecting.bytes.subarray(PROVEN));
  inspecting.acknowledged = LENGTH - 1;
  await server.kill();
  await rm(join(dataDir, 'files'));
  await rename(join(dataDir, 'away'), join(dataDir, 'files'));

  for (const { id, bytes } of receiving) {
    // Bytes from the middle of a body that had not been made durable.
    const tail = isRebooted ? Buffer.alloc(WRITTEN - PROVEN) : bytes.subarray(PROVEN, WRITTEN);
    await writeAt(stagedPath(dataDir, id), PROVEN, tail);
  }
  // Killed between the last write and the state change, between a verdict and the deletion, and in the middle of a copy.
  await writeAt(stagedPath(dataDir, whole.id), LENGTH - 1, isRebooted ? Buffer.alloc(1) : whole.bytes.subarray(LENGTH - 1));
  await link(join(dataDir, 'files', final), stagedPath(dataDir, accepted.id));
  await writeFile(stagedPath(dataDir, refused.id), refused.bytes);
  await writeFile(`${stagedPath(dataDir, whole.id)}.renewed`, whole.bytes.subarray(0, PROVEN));
  if (isRebooted) forgetBoot(dataDir);
  return sent;
}

async function writeAt(path: string, offset: number, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, offset).finally(() => file.close());
}
