// The command line sends a very large file in memory that does not grow with the file.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { filesBelow, sha256OfFile, videoBytes } from '../support/content.ts';
import { startLandfall } from '../support/landfall-process.ts';
import { REPOSITORY } from '../support/repository.ts';
import { testDirectory } from '../support/temp-dir.ts';

const MIB = 1024 * 1024;
const isLong = process.env.LANDFALL_TEST_LONG === '1';
const SMALL = 32 * MIB;
const LARGE = (isLong ? 10_240 : 384) * MIB;
/** Garbage that V8 has not collected yet. */
const GROWTH = 64 * MIB;

/** Makes a sparse film of zeros, which takes hardly any space on the disk. */
async function sparse(path: string, length: number): Promise<string> {
  const file = await open(path, 'w');
  await file.write(await videoBytes(40));
  await file.truncate(length);
  await file.close();
  return path;
}

/** Sends the file and resolves with the peak memory of the command. */
async function send(path: string, url: string, directory: string): Promise<number> {
  const child = spawn(process.execPath, [join(REPOSITORY, 'client/cli/main.ts'), path, '--to', url, '--quiet'], {
    env: { PATH: process.env.PATH, HOME: directory, XDG_STATE_HOME: join(directory, 'state') },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  let most = 0;
  while (child.exitCode === null && child.signalCode === null) {
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '');
    most = Math.max(most, Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024);
    await Promise.race([ended, sleep(20)]);
  }
  expect(child.exitCode).toBe(0);
  return most;
}

test('the server stores a sparse file many times the size of the memory whole, and the command takes no more memory for it than for a small file', async () => {
  const directory = testDirectory();
  const server = await startLandfall({ dataDir: join(directory, 'data') });
  onTestFinished(() => server.kill());
  const small = await send(await sparse(join(directory, 'small.mp4'), SMALL), server.url, directory);
  const path = await sparse(join(directory, 'large.mp4'), LARGE);
  const large = await send(path, server.url, directory);
  console.log(`${Math.round(small / MIB)} MiB for ${SMALL / MIB} MiB, ${Math.round(large / MIB)} MiB for ${LARGE / MIB} MiB`);
  expect(large).toBeLessThan(small + GROWTH);
  const files = join(directory, 'data/files');
  const stored = (await filesBelow(files)).find((name) => name.endsWith('large.mp4')) ?? '';
  expect((await stat(join(files, stored))).size).toBe(LARGE);
  expect(await sha256OfFile(join(files, stored))).toBe(await sha256OfFile(path));
});
