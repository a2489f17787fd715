// What depends on Node's insides, once more on the newest major of Node, which the workspace `.ci/newest-node` brings.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { REPOSITORY } from '../support/repository.ts';

const NODE = join(REPOSITORY, '.ci/newest-node/node_modules/node/bin/node');

// On a platform that the package has no program for, there is none.
it.skipIf(!existsSync(NODE)).for(['test/server/lift.test.ts', 'test/server/lift-limits.test.ts'])('%s passes there', async (file) => {
  const vitest = join(REPOSITORY, 'node_modules/vitest/vitest.mjs');
  const child = spawn(NODE, [vitest, 'run', '--project', 'server', file], { cwd: REPOSITORY, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout.on('data', (part) => (text += part));
  child.stderr.on('data', (part) => (text += part));
  const [code] = (await once(child, 'close')) as [number | null];
  expect(code, text).toBe(0);
});
