import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { REPOSITORY } from '../support/repository.ts';

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
