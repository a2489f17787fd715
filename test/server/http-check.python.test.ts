// Runs examples/check/check.py unchanged: an application in another language decides.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { REPOSITORY } from '../support/repository.ts';
import { createUpload, patchUpload, readRecord } from '../support/tus-requests.ts';

it('twenty lines of Python accept a file with a result, and refuse one', async () => {
  const port = await freePort();
  const child = spawn('python3', [join(REPOSITORY, 'examples/check/check.py')], {
    env: { ...process.env, PORT: String(port) },
    stdio: 'ignore',
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  // Files wait while it starts.
  const { files } = await embedLandfall({ checkUrl: `http://127.0.0.1:${port}/`, patience: 60_000 });
  const content = 'a line\n'.repeat(100_000);
  const accepted = await createUpload(files, { length: content.length, name: 'a.txt', metadata: { project: 'bridge' } });
  expect((await patchUpload(accepted.url, 0, content)).status).toBe(204);
  expect((await readRecord(accepted.url)).result).toEqual({ project: 'bridge', lines: 100_000 });
  const refused = await createUpload(files, { length: 4, name: 'b.txt' });
  const answer = await patchUpload(refused.url, 0, 'text');
  expect([answer.status, answer.text]).toEqual([422, expect.stringContaining('Say which project the file is for.')]);
});
