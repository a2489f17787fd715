// Every kind of write and sync fails for a while: nothing is acknowledged wrongly meanwhile, the sender is told to come again, and
// the upload ends right after the fault has gone, with nothing left. Faults that come once, at each call in turn, are in
// fsync.strace.test.ts.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { videoBytes } from '../support/content.ts';
import { LandfallProcess } from '../support/landfall-process.ts';
import { randomFrom, testSeed } from '../support/random.ts';
import { Strace, type Tampering, type ThreadName } from '../support/strace.ts';
import { temporaryDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf, patchUpload } from '../support/tus-requests.ts';
import { resumeInsistently } from './insistent-sender.ts';
import { expectSettled, type Sent, stagedPath } from './truth.ts';

const isLong = process.env.LANDFALL_TEST_LONG === '1';
const ERRNOS = isLong ? ['EIO', 'ENOSPC', 'EDQUOT'] : ['EIO'];
/** Each may take the sender's whole patience. */
const ASKED = isLong ? 3 : 1;
const LENGTH = 300_000;
const HALF = LENGTH / 2;
/** Senders take a line on which nothing comes for so long for dead. */
const SILENCE_MS = 30_000;

interface Failing {
  what: string;
  calls: string;
  /** Undefined: on any file. */
  paths?: (id: string) => string[];
  thread?: ThreadName;
  /** What fails besides, to have another way taken. */
  also?: { tampering: Tampering; thread: ThreadName };
  /** What is sent meanwhile. */
  body: 'chunk' | 'damaged chunk' | 'last byte';
}

const WRITES = 'write,writev,pwrite64,pwritev,pwritev2';
const SYNCS = 'fsync,fdatasync,sync_file_range';
const LINKS = 'link,linkat';

describe('a disk on which for a while fails', () => {
  const data = temporaryDirectory();
  const server = new LandfallProcess({
    dataDir: data.path,
    env: { UV_THREADPOOL_SIZE: '1', LANDFALL_PATIENCE: '500ms', LANDFALL_SWEEP_INTERVAL: '1s' },
  });
  let uploads = 0;
  beforeAll(() => server.start());
  afterAll(() => server.kill());

  // With the copy that takes its place when a sync of it failed.
  const staged = (id: string) => [stagedPath(data.path, id), `${stagedPath(data.path, id)}.renewed`];
  const ledger = () => ['ledger.sqlite-wal', 'ledger.sqlite'].map((name) => join(data.path, name));
  const withoutLinks: Failing['also'] = { tampering: { calls: LINKS, effect: 'error=EPERM' }, thread: 'landfall-disk' };

  const FAILING: Failing[] = [
    { what: 'opening what is staged', calls: 'openat', paths: staged, body: 'chunk' },
    { what: 'writing what is staged', calls: WRITES, paths: staged, body: 'chunk' },
    { what: 'writing the last staged byte', calls: WRITES, paths: staged, body: 'last byte' },
    { what: 'syncing what is staged', calls: SYNCS, paths: staged, body: 'chunk' },
    { what: 'syncing what is staged whole', calls: SYNCS, paths: staged, body: 'last byte' },
    { what: 'taking back a damaged chunk', calls: 'truncate,ftruncate', paths: staged, body: 'damaged chunk' },
    { what: 'writing the ledger under a chunk', calls: 'pwrite64', paths: ledger, body: 'chunk' },
    { what: 'writing the ledger under a finish', calls: 'pwrite64', paths: ledger, body: 'last byte' },
    { what: 'syncing the ledger under a chunk', calls: SYNCS, paths: ledger, body: 'chunk' },
    { what: 'syncing the ledger under a finish', calls: SYNCS, paths: ledger, body: 'last byte' },
    { what: 'making a directory', calls: 'mkdir,mkdirat', body: 'last byte' },
    { what: 'linking', calls: LINKS, thread: 'landfall-disk', body: 'last byte' },
    { what: 'syncing a directory', calls: SYNCS, thread: 'landfall-disk', body: 'last byte' },
    {
      what: 'copying, where links are not to be had',
      calls: `copy_file_range,sendfile,${WRITES}`,
      thread: 'libuv-worker',
      paths: parts,
      also: withoutLinks,
      body: 'last byte',
    },
    { what: 'syncing a copy', calls: SYNCS, thread: 'libuv-worker', paths: parts, also: withoutLinks, body: 'last byte' },
    { what: 'naming a copy', calls: `${LINKS},rename,renameat,renameat2`, thread: 'libuv-worker', also: withoutLinks, body: 'last byte' },
  ];

  const CASES = FAILING.flatMap((failing) => ERRNOS.map((errno) => ({ ...failing, errno })));
  it.for(CASES)('$what with $errno, the sender is told to come again, and the upload ends as soon as it can', async (failing) => {
    const upload = await sendHalf(failing.what);
    await failWhile(failing, upload.id, async () => {
      for (let asked = 0; asked < ASKED; asked++) await expectNothingWrong(upload, failing.body);
    });
    await resumeInsistently(upload, { random: randomFrom(1), whenOpen: async () => server.files });
    await expectSettled(server, [upload]);
  });

  it.for(ERRNOS)('taking away what is staged with %s, the verdict is told, and it goes later', async (errno) => {
    const upload = await sendHalf('taking away');
    const failing = { what: '', calls: 'unlink,unlinkat', paths: staged, errno, body: 'last byte' } as const;
    await failWhile(failing, upload.id, async () => {
      await resumeInsistently(upload, { random: randomFrom(1), whenOpen: async () => server.files });
    });
    await expectSettled(server, [upload]);
  });

  it('every few writes and syncs of the ledger, many uploads that finish at the same time all end', async () => {
    const seed = testSeed();
    console.log(`Faults of the ledger; LANDFALL_TEST_SEED=${seed} repeats them.`);
    const random = randomFrom(seed);
    for (let round = 0; round < (isLong ? 20 : 1); round++) {
      const many = await Promise.all(Array.from({ length: 12 }, (_, n) => sendHalf(`many ${round} ${n}`)));
      const effect = `error=EIO:when=${random.between(1, 6)}+${random.between(2, 4)}`;
      const strace = await Strace.attach(server.pid, [{ calls: `pwrite64,${SYNCS}`, effect }], undefined, ledger());
      const sending = Promise.all(
        many.map((upload) =>
          resumeInsistently(upload, { random: randomFrom(random.between(0, 2 ** 31)), whenOpen: async () => server.files }),
        ),
      );
      await Promise.race([sending, sleep(3000)]);
      await strace.detach();
      await sending;
      await expectSettled(server, many);
    }
  });

  async function sendHalf(what: string): Promise<Sent> {
    uploads += 1;
    const name = `${what} ${uploads}.mp4`;
    const bytes = await videoBytes(LENGTH, uploads);
    const { url, status } = await createUpload(server.files, { length: LENGTH, name, body: bytes.subarray(0, HALF) });
    expect(status).toBe(201);
    return { id: idOf(url), name, bytes, acknowledged: HALF, ending: 'accepted' };
  }

  /** Where a copy is made: its name has the day and the attempt in it. */
  function parts(id: string): string[] {
    const days = [0, 1].map((later) => new Date(Date.now() + later * 86_400_000).toISOString().slice(0, 10).replaceAll('-', '/'));
    const names = Array.from({ length: 9 }, (_, attempt) => `${id}.${attempt + 1}.part`);
    return days.flatMap((day) => names.map((name) => join(data.path, 'files', day, id, name)));
  }

  /** Resolves, when the fault has gone, with whether any call failed. */
  async function failWhile(failing: Failing & { errno: string }, id: string, work: () => Promise<void>): Promise<void> {
    const { calls, errno, thread, paths, also } = failing;
    const beside = also && (await Strace.attach(server.pid, [also.tampering], also.thread));
    const strace = await Strace.attach(server.pid, [{ calls, effect: `error=${errno}` }], thread, paths?.(id));
    const detach = () => Promise.all([strace.detach(), beside?.detach()]);
    onTestFinished(() => void detach());
    await work();
    // What follows the verdict may come after its answer.
    const isInjected = async () => (await strace.calls()).some((line) => line.includes('INJECTED'));
    await expect.poll(isInjected, { message: 'a call that never failed proves nothing' }).toBe(true);
    await detach();
  }

  async function expectNothingWrong(upload: Sent, body: Failing['body']): Promise<void> {
    const url = `${server.files}/${upload.id}`;
    const asked = await headUpload(url);
    expect(asked.status).toBeOneOf([200, 423]);
    if (asked.offset === undefined) return;
    const from = asked.offset;
    expect(from).toBeGreaterThanOrEqual(upload.acknowledged);
    expect(from).toBeLessThan(LENGTH);
    upload.acknowledged = from;
    const answer = await Promise.race([send(upload, url, from, body), sleep(SILENCE_MS)]);
    if (answer === undefined) throw new Error('The sender is left without an answer.');
    // An upload that waits for its inspection holds back its last byte.
    const isHeld = answer.status === 204 && answer.offset === LENGTH - 1 && body === 'last byte';
    // A 409 says that what was stored could not be proved: the sender asks HEAD what there is.
    if (!isHeld) expect(answer.status).toBeOneOf(body === 'last byte' ? [409, 423, 503, 507] : [423, 503, 507]);
    if (isHeld) upload.acknowledged = LENGTH - 1;
    expect(answer.text).not.toMatch(/EIO|ENOSPC|EDQUOT|sync|\//);
  }

  async function send({ bytes }: Sent, url: string, from: number, body: Failing['body']) {
    if (body === 'last byte') return patchUpload(url, from, bytes.subarray(from));
    const chunk = bytes.subarray(from, from + 50_000);
    if (body === 'chunk') return patchUpload(url, from, chunk);
    return patchUpload(url, from, chunk, { 'Upload-Checksum': `crc32 ${Buffer.alloc(4).toString('base64')}` });
  }
});
