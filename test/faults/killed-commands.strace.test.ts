// An upload command that is killed at any change of its saved state, the last one included, and run again stores no file twice.
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { type Command, startCommand } from '../support/command-line.ts';
import { filesBelow } from '../support/content.ts';
import { type Exchange, startFaultProxy } from '../support/fault-proxy.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { Strace, type ThreadName } from '../support/strace.ts';
import { testDirectory } from '../support/temp-dir.ts';

const isLong = process.env.LANDFALL_TEST_LONG === '1';
const FILES = 2;

async function startKilling() {
  const directory = testDirectory();
  const server = await embedLandfall({ allowEmpty: true });
  let creations: Exchange[] = [];
  let held = Promise.resolve();
  const proxy = await startFaultProxy({
    upstream: server.url,
    onRequest: (exchange) => {
      if (exchange.method !== 'POST') return undefined;
      creations.push(exchange);
      return { kind: 'hold', until: held };
    },
  });
  onTestFinished(() => proxy.close());
  let runs = 0;
  const start = (files: readonly string[]): Command =>
    startCommand({ directory, env: { UV_THREADPOOL_SIZE: '1' } }, ...files, '--to', proxy.url);
  const stored = async () => (await filesBelow(join(server.dataDir, 'files'))).length;
  /** Saved records; a record's draft that a kill left does not count. */
  const left = async () => {
    const folders = ['uploads', 'ending'].map((name) => readdir(join(directory, 'state/landfall', name)).catch(() => []));
    return (await Promise.all(folders)).flat().filter((name) => name.endsWith('.json'));
  };

  /**
   * Uploads new empty files, traced from the moment when every creation has been requested. Resolves to true when the command
   * was killed.
   */
  async function runKilled(thread: ThreadName, call: string, nth: number): Promise<boolean> {
    runs += 1;
    const files = Array.from({ length: FILES }, (_, n) => join(directory, `${runs} ${n}.txt`));
    for (const file of files) await writeFile(file, '');
    const before = await stored();
    const { promise, resolve: pass } = Promise.withResolvers<void>();
    held = promise;
    creations = [];
    const command = start(files);
    await expect.poll(() => creations.length, { interval: 20 }).toBe(FILES);
    const strace = await Strace.attach(command.child.pid ?? 0, [{ calls: call, effect: `signal=KILL:when=${nth}` }], thread);
    pass();
    const { code, stdout } = await command.ended;
    await strace.detach();
    if (code !== null) {
      expect(code).toBe(0);
      expect(await left()).toEqual([]);
      return false;
    }
    const again = await start(files).ended;
    expect(again).toMatchObject({ code: 0 });
    for (const url of stdout.split('\n')) expect(again.stdout).toContain(url);
    expect(await stored(), `files stored twice or missing after a kill at ${call} ${nth}`).toBe(before + FILES);
    expect(await left()).toEqual([]);
    return true;
  }

  return { runKilled };
}

/**
 * A worker thread changes the records of running and finished uploads; the main thread makes the last change, once all verdicts
 * are known.
 */
const SWEEPS: { thread: ThreadName; call: string; from: number; atLeast: number }[] = [
  { thread: 'libuv-worker', call: 'rename', from: isLong ? 1 : FILES + 1, atLeast: isLong ? FILES + 1 : 1 },
  { thread: 'libuv-worker', call: 'unlink', from: 1, atLeast: FILES },
  { thread: 'main', call: 'unlink', from: 1, atLeast: 1 },
];
const LONG_SWEEPS: typeof SWEEPS = ['openat', 'write', 'fsync,fdatasync', 'close'].map((call) => ({
  thread: 'libuv-worker',
  call,
  from: 1,
  atLeast: FILES + 1,
}));

it.for([...SWEEPS, ...(isLong ? LONG_SWEEPS : [])])('at each $call of the thread $thread', async ({ thread, call, from, atLeast }) => {
  const { runKilled } = await startKilling();
  let kills = 0;
  while (await runKilled(thread, call, from + kills)) kills += 1;
  expect(kills).toBeGreaterThanOrEqual(atLeast);
});
