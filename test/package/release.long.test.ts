// What must hold before a release: both packages installed by npm into empty projects, with what a registry has for them today.
import { execFile, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { writeVideo } from '../support/content.ts';
import { temporaryDirectory } from '../support/temp-dir.ts';
import { environmentOf, type PackageName, packAll } from './packed.ts';

const run = promisify(execFile);
const isLong = process.env.LANDFALL_TEST_LONG === '1';
const { path: directory } = temporaryDirectory();
const projectOf = (name: PackageName) => join(directory, `empty-${name}`);
/** As npm links it for the project's scripts and for `npx`. */
const program = (name: PackageName) => join(projectOf(name), 'node_modules/.bin', name);

/** How many packages npm put there, the one that was asked for among them. */
function installedPackages(name: PackageName): number {
  const lock = readFileSync(join(projectOf(name), 'node_modules/.package-lock.json'), 'utf8');
  return Object.keys((JSON.parse(lock) as { packages: Record<string, unknown> }).packages).length;
}

describe.runIf(isLong)('a release', () => {
  beforeAll(async () => {
    const tarballs = await packAll(directory);
    for (const name of ['landfall', 'landfall-server'] as const) {
      await mkdir(projectOf(name));
      writeFileSync(join(projectOf(name), 'package.json'), JSON.stringify({ private: true, type: 'module' }));
      await run('npm', ['install', '--no-audit', '--no-fund', tarballs[name]], { cwd: projectOf(name) });
    }
  }, 600_000);

  it('of the client brings at most 25 packages', () => {
    console.log(`landfall: ${installedPackages('landfall')} packages, landfall-server: ${installedPackages('landfall-server')}`);
    expect(installedPackages('landfall')).toBeLessThanOrEqual(25);
  });

  it('of the server brings at most 125 packages where neither S3 nor PostgreSQL is asked for', () => {
    expect(installedPackages('landfall-server')).toBeLessThanOrEqual(125);
  });

  it('serves its page and takes an upload from the command line of the other', async () => {
    const server = spawn(program('landfall-server'), ['--port', '0', '--data-dir', join(directory, 'served')], {
      env: environmentOf(directory),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void server.kill('SIGKILL'));
    let url = '';
    for await (const line of createInterface(server.stdout)) {
      const { msg, url: address } = JSON.parse(line) as { msg: string; url?: string };
      if (msg === 'listening' && address) {
        url = address;
        break;
      }
    }
    const page = await fetch(url);
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('<landfall-upload');

    const film = join(directory, 'film.mp4');
    await writeVideo(film, 3_000_000);
    const { stdout } = await run(program('landfall'), [film, '--to', url], {
      env: environmentOf(directory),
    });
    const answer = await fetch(new URL(stdout.trim().split('\n')[0] ?? '', url));
    expect(answer.status).toBe(200);
    expect((await answer.arrayBuffer()).byteLength).toBe(3_000_000);
  });

  it('takes the optional packages of the server from the same command that its message names', async () => {
    const settings = { LANDFALL_PORT: '0', LANDFALL_DATABASE_URL: 'postgres://127.0.0.1:1/none' };
    const start = () =>
      run(program('landfall-server'), [], { cwd: projectOf('landfall-server'), env: { ...environmentOf(directory), ...settings } }).catch(
        (error: { stderr: string }) => error,
      );
    const [, command = ''] = /: (npm install [\w@/ -]+)$/m.exec((await start()).stderr) ?? [];
    const [npm = '', ...parameters] = command.split(' ');
    expect(npm).toBe('npm');
    await run(npm, [...parameters, '--no-audit', '--no-fund'], { cwd: projectOf('landfall-server') });
    expect((await start()).stderr).toContain("PostgreSQL can't be reached");
  });
});
