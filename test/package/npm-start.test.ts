// `npm start` under a supervisor: npm runs the script in a shell, and passes its signals on to that shell.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it, onTestFinished } from 'vitest';
import { withoutSettings } from '../support/environment.ts';
import { REPOSITORY } from '../support/repository.ts';
import { testDirectory } from '../support/temp-dir.ts';

it.each(['start', 'dev'])('the shell of npm run %s is replaced by the server, so that a signal to the shell ends the server', (script) => {
  const { scripts } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8'));
  expect(scripts[script]).toMatch(/&& exec node /);
});

it('SIGTERM to the shell of npm start ends the server', async () => {
  const { scripts } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8'));
  const command = scripts.start.replace('npm run -s build:page', 'true');
  const shell = spawn('sh', ['-c', command], {
    cwd: REPOSITORY,
    env: { ...withoutSettings(), LANDFALL_PORT: '0', LANDFALL_DATA_DIR: testDirectory() },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void shell.kill('SIGKILL'));
  let url = '';
  for await (const line of createInterface(shell.stdout)) {
    const entry = JSON.parse(line);
    if (entry.msg !== 'listening') continue;
    url = entry.url;
    break;
  }
  expect((await fetch(`${url}health/live`)).status).toBe(200);
  shell.kill('SIGTERM');
  await once(shell, 'exit');
  await expect(fetch(`${url}health/live`)).rejects.toThrow();
});
