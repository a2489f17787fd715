import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { REPOSITORY } from '../support/repository.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { processesIn } from './last-will.ts';
import { startTime } from './processor-time.ts';
import type { Device } from './scenario.ts';
import { newFolder, removeFolder, removeLeftovers, requireRoom } from './work-folders.ts';

const device = (): Device => ({ name: 'disk', path: testDirectory() });

async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 50_000; !condition(); await sleep(50)) if (Date.now() > deadline) expect.fail('It took too long.');
}

it.runIf(process.platform === 'linux')('a killed benchmark leaves neither folders nor servers', { timeout: 110_000 }, async () => {
  const { path } = device();
  const parameters = ['small-files', '--count', '100000', '--rivals', 'multer', '--on', 'disk', '--disk', path];
  const bench = spawn(process.execPath, [join(REPOSITORY, 'test/bench/main.ts'), ...parameters], { stdio: 'ignore' });
  onTestFinished(() => void bench.kill('SIGKILL'));
  await until(() => processesIn(path).length > 0);
  bench.kill('SIGKILL');
  await until(() => readdirSync(path).length === 0 && processesIn(path).length === 0);
});

it.runIf(process.platform === 'linux')('removeLeftovers removes folders of ended processes, and keeps those of running ones', () => {
  const here = device();
  const mine = newFolder(here);
  // One pid belongs to another process by now, and one can belong to no process.
  const reused = join(here.path, `landfall-bench-${process.pid}-${Number(startTime(process.pid)) - 1}-AbCdEf`);
  const gone = join(here.path, 'landfall-bench-99999999-1-AbCdEf');
  const foreign = join(here.path, 'landfall-benchmarks');
  for (const path of [reused, gone, foreign]) mkdirSync(path);
  removeLeftovers(here);
  expect([mine, reused, gone, foreign].map((path) => existsSync(path))).toEqual([true, false, false, true]);
  removeFolder(mine);
});

it('requireRoom refuses in a sentence when the bytes do not fit', () => {
  const here = device();
  expect(() => requireRoom(here, 2 ** 60)).toThrow(/has room for .*, and .* are needed/);
  requireRoom({ name: 'tmpfs', path: here.path }, -(2 ** 40));
});
