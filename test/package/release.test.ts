// Checks before a release: npm installs both packages into empty projects, with today's dependencies of the registry.
import { execFile, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp } from 'node:fs/promises';
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
/** The path of a program as npm links it for the project's scripts and for `npx`. */
const program = (name: PackageName) => join(projectOf(name), 'node_modules/.bin', name);

/** Starts the installed server until the test ends, and resolves with its address. */
async function serve(): Promise<string> {
  const child = spawn(program('landfall-server'), ['--port', '0', '--data-dir', await mkdtemp(join(directory, 'served-'))], {
    env: environmentOf(directory),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  for await (const line of createInterface(child.stdout)) {
    const { msg, url } = JSON.parse(line) as { msg: string; url?: string };
    if (msg === 'listening' && url) return url;
  }
  throw new Error('The server ended before it listened.');
}

/** @param command the program, with its interpreter before it if needed */
async function send(url: string, ...command: [string, ...string[]]): Promise<{ film: string; stdout: string; stderr: string }> {
  const film = join(directory, 'film.mp4');
  await writeVideo(film, 3_000_000);
  const [first, ...rest] = command;
  return { film, ...(await run(first, [...rest, film, '--to', url], { env: environmentOf(directory) })) };
}

/** How many packages npm installed, including the requested one. */
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

  it('of the client installs at most 25 packages', () => {
    console.log(`landfall: ${installedPackages('landfall')} packages, landfall-server: ${installedPackages('landfall-server')}`);
    expect(installedPackages('landfall')).toBeLessThanOrEqual(25);
  });

  it('of the server installs at most 125 packages without S3 and PostgreSQL', () => {
    expect(installedPackages('landfall-server')).toBeLessThanOrEqual(125);
  });

  it('of the server serves its page and accepts an upload from the command line of the client', async () => {
    const url = await serve();
    const page = await fetch(url);
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('<landfall-upload');

    const { film, stdout } = await send(url, program('landfall'));
    const answer = await fetch(new URL(stdout.trim().split('\n')[0] ?? '', url));
    expect(answer.status).toBe(200);
    expect(Buffer.from(await answer.arrayBuffer()).equals(readFileSync(film))).toBe(true);
  });

  it('of the client uploads with the oldest Node that it supports', async () => {
    const { engines } = JSON.parse(readFileSync(join(projectOf('landfall'), 'node_modules/landfall/package.json'), 'utf8')) as {
      engines: { node: string };
    };
    const project = join(directory, 'oldest-node');
    await mkdir(project);
    writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, allowScripts: { node: true } }));
    const oldest = engines.node.replace('>=', '');
    await run('npm', ['install', '--no-audit', '--no-fund', `node@${oldest}`], { cwd: project });
    const node = join(project, 'node_modules/.bin/node');
    expect((await run(node, ['--version'])).stdout).toMatch(new RegExp(`^v${oldest.replaceAll('.', '\\.')}\\b`));
    const { stderr } = await send(await serve(), node, program('landfall'));
    expect(stderr).toContain('1 of 1 file accepted');
  });

  it('of the server gets its optional packages by the command that its message names', async () => {
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
