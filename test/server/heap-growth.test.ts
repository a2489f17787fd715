import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, vi } from 'vitest';
import { startLandfall } from '../support/landfall-process.ts';
import { REPOSITORY } from '../support/repository.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload } from '../support/tus-requests.ts';

const run = promisify(execFile);

/** Size in MiB of V8's space for new objects after work in which many of them survived. */
async function spaceAfterWork({ isBound, verdicts = 0 }: { isBound: boolean; verdicts?: number }): Promise<number> {
  const script = `
    import { setImmediate as turn } from 'node:timers/promises';
    import { getHeapSpaceStatistics } from 'node:v8';
    import { boundHeapGrowth, countVerdict } from ${JSON.stringify(join(REPOSITORY, 'server/runtime/heap-growth.ts'))};
    if (${isBound}) boundHeapGrowth();
    let live = [];
    for (let each = 0; each < 2_000_000; each++) {
      live.push({ each, list: [each] });
      if (live.length > 300_000) live = live.slice(150_000);
      if (each % 500 > 0) continue;
      for (let verdict = 0; verdict < ${verdicts}; verdict++) countVerdict();
      await turn();
    }
    console.log(getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_size / 1024 ** 2);`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script]);
  return Number(stdout);
}

// How many objects survive a collection depends on its time: on a busy machine, neither effect may show.
it('the space for new objects stops growing at its bound', { retry: 3 }, async () => {
  expect(await spaceAfterWork({ isBound: false })).toBeGreaterThan(24);
  expect(await spaceAfterWork({ isBound: true })).toBeLessThanOrEqual(16);
});

it('the bound is wide while verdicts come fast', { retry: 3 }, async () => {
  const space = await spaceAfterWork({ isBound: true, verdicts: 20 });
  expect(space).toBeGreaterThan(16);
  expect(space).toBeLessThanOrEqual(32);
});

const TRACE = `data:text/javascript,import{setFlagsFromString}from'node:v8';setFlagsFromString('--trace-gc')`;
const UPLOADS = 2000;

// Such a collection comes eight seconds after the last work. If it reduces memory, it drops optimized code, too.
it('V8 keeps its code when the server is idle after many small files', { retry: 3, timeout: 120_000 }, async () => {
  await using server = await startLandfall({ dataDir: testDirectory(), env: { NODE_OPTIONS: `--import=${TRACE}` } });
  const main = server.log.map(({ msg = '' }) => /^\[\d+:\w+\]/.exec(msg)?.[0]).find((isolate) => isolate !== undefined) ?? '';
  let left = UPLOADS;
  const send = async () => {
    while (left > 0) {
      left -= 1;
      const { status } = await createUpload(server.files, { length: 5, name: 'note.txt', body: Buffer.from('hello') });
      expect(status).toBe(201);
    }
  };
  await Promise.all(Array.from({ length: 8 }, send));
  const busyLines = server.log.length;
  const collection = await vi.waitFor(
    () => {
      const found = server.log.slice(busyLines).find(({ msg = '' }) => msg.startsWith(main) && msg.includes('Mark-Compact'));
      if (found?.msg === undefined) throw new Error('There was no collection yet.');
      return found.msg;
    },
    { timeout: 40_000, interval: 200 },
  );
  expect(collection).not.toContain('(reduce)');
});
