// docs/migration.md, run unchanged: its commands on the stores of other servers, and its program.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { FileStore } from '@tus/file-store';
import { Upload } from '@tus/utils';
import { expect, it, onTestFinished } from 'vitest';
import { videoBytes } from '../support/content.ts';
import { runShell } from '../support/docs-blocks.ts';
import { freePort } from '../support/free-port.ts';
import { startLandfall } from '../support/landfall-process.ts';
import { REPOSITORY } from '../support/repository.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, patchUpload, readRecord } from '../support/tus-requests.ts';
import { uploadId } from '../support/upload-ids.ts';

/** The block that starts with this comment. */
async function block(language: 'sh' | 'js', comment: string): Promise<string> {
  const page = await readFile(join(REPOSITORY, 'docs/migration.md'), 'utf8');
  const blocks = Array.from(page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm')), ([, text = '']) => text);
  const [found, ...others] = blocks.filter((text) => text.split('\n')[0]?.endsWith(` ${comment}`));
  if (found === undefined || others.length > 0) throw new Error(`docs/migration.md has no single block that starts with "${comment}".`);
  return found;
}

const HALF = uploadId('a');

it('the commands of docs/migration.md adopt a file store', async () => {
  const [directory, dataDir] = [testDirectory(), testDirectory()];
  const bytes = await videoBytes(9000);
  const store = new FileStore({ directory });
  await store.create(new Upload({ id: HALF, size: 9000, offset: 0, metadata: { filename: 'a.mp4' } }));
  await store.write(Readable.from([bytes.subarray(0, 5000)]), HALF, 0);
  const script = (await block('sh', 'take over a file store')).replaceAll('/srv/tus/files', directory);
  const { code, said } = await runShell(script, { LANDFALL_DATA_DIR: dataDir });
  expect(said).toContain('0 finished and 1 unfinished uploads would be adopted');
  expect(said).toContain('0 finished and 1 unfinished uploads adopted');
  expect(code).toBe(0);
  const server = await startLandfall({ dataDir });
  onTestFinished(() => server.kill());
  expect((await headUpload(`${server.files}/${HALF}`)).offset).toBe(5000);
});

it('the commands of docs/migration.md adopt a directory of tusd', async () => {
  const [directory, dataDir] = [testDirectory(), testDirectory()];
  // A directory as tusd 2.9.1 writes it; adopt-tusd.long.test.ts runs tusd itself.
  const info = {
    ID: HALF,
    Size: 9000,
    SizeIsDeferred: false,
    Offset: 0,
    MetaData: { filename: 'a.mp4' },
    IsPartial: false,
    IsFinal: false,
  };
  await writeFile(join(directory, `${HALF}.info`), JSON.stringify(info));
  await writeFile(join(directory, HALF), (await videoBytes(9000)).subarray(0, 4000));
  const script = (await block('sh', 'take over tusd')).replaceAll('/srv/tusd/data', directory);
  const { code, said } = await runShell(script, { LANDFALL_DATA_DIR: dataDir });
  expect({ code, said }).toMatchObject({ code: 0, said: expect.stringContaining('1 unfinished uploads adopted') });
  const server = await startLandfall({ dataDir });
  onTestFinished(() => server.kill());
  expect((await headUpload(`${server.files}/${HALF}`)).offset).toBe(4000);
});

it('the program of docs/migration.md accepts uploads by its hooks', async () => {
  const [folder, dataDir, port] = [testDirectory(), testDirectory(), await freePort()];
  await mkdir(join(folder, 'node_modules'));
  await symlink(join(REPOSITORY, 'node_modules/express'), join(folder, 'node_modules/express'));
  const program = (await block('js', 'a server on @tus/server becomes'))
    .replace("'landfall-server'", JSON.stringify(join(REPOSITORY, 'server/index.ts')))
    .replace('/srv/landfall', dataDir)
    .replace('1080', String(port));
  await writeFile(join(folder, 'server.mjs'), program);
  const child = spawn(process.execPath, [join(folder, 'server.mjs')], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let said = '';
  child.stdout.on('data', (chunk) => {
    said += chunk;
  });
  const files = `http://127.0.0.1:${port}/files`;
  await expect
    .poll(() =>
      fetch(files, { method: 'OPTIONS' }).then(
        ({ ok }) => ok || child.exitCode !== null,
        () => false,
      ),
    )
    .toBe(true);
  expect((await createUpload(files, { length: 9000, name: 'film.mp4' })).status).toBe(401);
  const headers = { Authorization: 'Bearer secret' };
  const { url } = await createUpload(files, { length: 9000, name: 'film.mp4', headers });
  expect((await patchUpload(url, 0, await videoBytes(9000), headers)).status).toBe(204);
  expect(await readRecord(url, headers)).toMatchObject({ state: 'accepted' });
  const short = await createUpload(files, { length: 3, name: 'film.mp4', headers });
  expect((await patchUpload(short.url, 0, new Uint8Array(3), headers)).status).toBe(422);
  await expect.poll(() => said).toContain('accepted film.mp4');
  child.kill('SIGKILL');
  await once(child, 'exit');
});

it('the command of docs/migration.md sends a form', async () => {
  const [folder, dataDir] = [testDirectory(), testDirectory()];
  await writeFile(join(folder, 'film.mp4'), await videoBytes(9000));
  const server = await startLandfall({ dataDir });
  onTestFinished(() => server.kill());
  const script = (await block('sh', 'send a form'))
    .replace('http://127.0.0.1:1080', server.url)
    .replace('film.mp4', join(folder, 'film.mp4'));
  const { code, said } = await runShell(script);
  expect({ code, said }).toMatchObject({ code: 0, said: expect.stringContaining('"accepted"') });
});
