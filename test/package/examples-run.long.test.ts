// The examples, run as a reader would: copied out of the repository, with the packages as npm would publish them.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { writeVideo } from '../support/content.ts';
import { freePort } from '../support/free-port.ts';
import { REPOSITORY } from '../support/repository.ts';
import { temporaryDirectory } from '../support/temp-dir.ts';
import { environmentOf, type Packed, packAll, unpack } from './packed.ts';

const run = promisify(execFile);
const { path: directory } = temporaryDirectory();
const packages = {} as { client: Packed; server: Packed };

beforeAll(async () => {
  const tarballs = await packAll(directory);
  packages.client = await unpack(tarballs.landfall, 'landfall', directory);
  packages.server = await unpack(tarballs['landfall-server'], 'landfall-server', directory);
}, 600_000);

function copyExample(example: string, { project }: Packed): string {
  const copy = join(project, example.split('/').at(-1) ?? '');
  copyFileSync(join(REPOSITORY, 'examples', example), copy);
  return copy;
}

it('the example application accepts uploads of its users from Node, and refuses all others', async () => {
  const port = await freePort();
  const application = spawn(process.execPath, [copyExample('express/server.ts', packages.server)], {
    cwd: packages.server.project,
    env: { ...environmentOf(directory), PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void application.kill('SIGKILL'));
  const lines: string[] = [];
  createInterface(application.stdout).on('line', (line) => lines.push(line));
  await expect.poll(() => lines).toContain('ready');

  const film = join(directory, 'film.mp4');
  const tiny = join(directory, 'tiny.mp4');
  await writeVideo(film, 3_000_000);
  await writeVideo(tiny, 5000);
  const example = copyExample('node/send.mjs', packages.client);
  const send = (token: string, ...files: string[]) =>
    run(process.execPath, [example, `http://127.0.0.1:${port}/uploads/files`, token, ...files], {
      env: environmentOf(directory),
    }).catch((error: { stdout: string; code: number }) => error);

  const sent = await send('token-of-ada', film);
  expect(sent).not.toHaveProperty('code');
  const [, url = ''] = /^accepted film\.mp4 (\S+)$/m.exec(sent.stdout) ?? [];
  const download = (token: string) => fetch(url, { headers: { Authorization: `Bearer ${token}` } });
  expect(Buffer.from(await (await download('token-of-ada')).arrayBuffer()).equals(readFileSync(film))).toBe(true);
  expect((await download('token-of-ben')).status).toBe(404);

  const refused = await send('token-of-ada', tiny);
  expect(refused).toMatchObject({ code: 1, stdout: expect.stringContaining('A film has more than 10 kB.') });
  expect(await send('token-of-nobody', film)).toMatchObject({ code: 1, stdout: expect.stringContaining('Sign in to upload.') });
  await expect.poll(() => lines.map((line) => line.split(' ')[0])).toEqual(['ready', 'accepted', 'rejected']);

  application.kill('SIGTERM');
  expect(await once(application, 'exit')).toEqual([0, null]);
});
