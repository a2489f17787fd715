// The packages that `npm install landfall` and `npm install landfall-server` install: they load and run, and compilers find their types.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { writeVideo } from '../support/content.ts';
import { REPOSITORY } from '../support/repository.ts';
import { temporaryDirectory } from '../support/temp-dir.ts';
import { environmentOf, link, type PackageName, type Packed, packAll, packedFiles, unpack } from './packed.ts';

const run = promisify(execFile);
const { path: directory } = temporaryDirectory();
const NAMES: readonly PackageName[] = ['landfall', 'landfall-server'];
const packages = {} as Record<PackageName, Packed>;

beforeAll(async () => {
  const tarballs = await packAll(directory);
  for (const name of NAMES) packages[name] = await unpack(tarballs[name], name, directory);
});

/** Runs a module in the project that has the package installed, and resolves with its output. */
async function evaluate(name: PackageName, script: string, ...flags: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [...flags, '--input-type=module', '-e', script], { cwd: packages[name].project });
  return stdout.trim();
}

/** The errors of the compiler for a module in the project, in strict mode. */
async function typeErrors(name: PackageName, source: string): Promise<string> {
  const { project } = packages[name];
  writeFileSync(join(project, 'use.ts'), source);
  writeFileSync(join(project, 'package.json'), JSON.stringify({ type: 'module' }));
  const compilerOptions = { strict: true, module: 'nodenext', target: 'es2024', noEmit: true, types: ['node'], skipLibCheck: true };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }));
  link(project, '@types');
  const checking = run(join(REPOSITORY, 'node_modules/.bin/tsc'), ['-p', '.'], { cwd: project });
  return (await checking.catch((error: { stdout: string }) => error)).stdout;
}

describe.each(NAMES)('the package %s', (name) => {
  it('passes publint', async () => {
    const { messages } = await publint({ pkgDir: packages[name].installed, pack: false, strict: true });
    expect(messages).toEqual([]);
  });

  it('has types for every way of importing it, checked by attw', async () => {
    const attw = join(REPOSITORY, 'node_modules/.bin/attw');
    const { stdout } = await run(attw, [packages[name].tarball, '--profile', 'esm-only', '--format', 'ascii', '--no-color', '--no-emoji']);
    const entries = stdout.split(/^"(?=landfall)/m).slice(1);
    expect(entries).toHaveLength(Object.keys(packages[name].manifest.exports).length);
    for (const entry of entries.filter((each) => !each.includes('package.json'))) {
      expect(entry).toMatch(/^node16 \(from ESM\): OK/m);
      expect(entry).toMatch(/^bundler: OK/m);
    }
  });

  it('contains its licence and its README, and no tests', () => {
    const files = packedFiles(packages[name]);
    expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'package.json']));
    expect(files.filter((file) => /\.test\.|^test\/|^dist\/src\/test\//.test(file))).toEqual([]);
    expect(readFileSync(join(packages[name].installed, 'LICENSE'), 'utf8')).toBe(readFileSync(join(REPOSITORY, 'LICENSE'), 'utf8'));
  });

  it('has source maps from its code and its types to sources in the package', () => {
    const { installed } = packages[name];
    const files = packedFiles(packages[name]);
    const built = files.filter((file) => /^dist\/(?:client|server|shared)\/.*\.(?:js|d\.ts)$/.test(file));
    expect(built.length).toBeGreaterThan(50);
    expect(built.filter((file) => !files.includes(`${file}.map`))).toEqual([]);
    for (const map of built.map((file) => join(installed, `${file}.map`))) {
      const { sources } = JSON.parse(readFileSync(map, 'utf8')) as { sources: string[] };
      expect(sources.filter((source) => !existsSync(join(dirname(map), source)))).toEqual([]);
    }
  });

  it('names only its own files in exports and bins, and those exist', async () => {
    const { manifest, installed } = packages[name];
    const targets = JSON.stringify([manifest.exports, manifest.bin]).match(/(?:\.\/)?dist\/[^"]+/g) ?? [];
    expect(targets.length).toBeGreaterThanOrEqual(3);
    for (const target of targets) expect((await stat(join(installed, target))).isFile(), target).toBe(true);
  });

  it('does not let other packages import files that it does not export', async () => {
    await expect(evaluate(name, `await import('${name}/dist/shared/errors.js')`)).rejects.toThrow(/ERR_PACKAGE_PATH_NOT_EXPORTED/);
  });
});

describe('the package landfall', () => {
  it('exports the client under the same names to Node and to browsers', async () => {
    const names = "console.log(Object.keys(await import('landfall')).sort().join())";
    const inNode = await evaluate('landfall', names);
    expect(inNode.split(',')).toEqual(expect.arrayContaining(['UploadError', 'createQueue', 'forget', 'interrupted', 'upload']));
    expect(await evaluate('landfall', names, '--conditions=browser')).toBe(inNode);
    const address = "console.log(import.meta.resolve('landfall'))";
    expect(await evaluate('landfall', address)).toMatch(/client\/node\.js$/);
    expect(await evaluate('landfall', address, '--conditions=browser')).toMatch(/client\/index\.js$/);
  });

  it('can be imported during server-side rendering, including the element', async () => {
    expect(await evaluate('landfall', "console.log(Object.keys(await import('landfall/element')).join())")).toBe('LandfallUploadElement');
  });

  it('exports the React hooks, which need no other package than React', async () => {
    const names = "console.log(Object.keys(await import('landfall/react')).sort().join())";
    await expect(evaluate('landfall', names)).rejects.toThrow(/Cannot find package 'react'/);
    link(packages.landfall.project, 'react');
    expect(await evaluate('landfall', names)).toBe('useLandfall,useQueue');
    const hooks = await readFile(join(packages.landfall.installed, 'dist/client/react/use-landfall.js'), 'utf8');
    expect(hooks).toMatch(/^'use client';/);
  });

  it('type-checks in a strict project with only its dependencies', async () => {
    const errors = await typeErrors(
      'landfall',
      `import { upload, UploadError, type UploadResult } from 'landfall';
import { useLandfall } from 'landfall/react';
export const count = (): number => useLandfall({ endpoint: '/files' }).counts.accepted;
const result: Promise<UploadResult> = upload('film.mp4', { endpoint: 'http://127.0.0.1:1080/files' }).done;
result.catch((error: unknown) => error instanceof UploadError && error.code === 'ERR_NETWORK');
// @ts-expect-error: not an option
upload('film.mp4', { endpoints: '/files' });
`,
    );
    expect(errors).toBe('');
  });
});

describe('the package landfall-server', () => {
  const needing = (settings: Record<string, string>) =>
    run(process.execPath, [program('landfall-server'), '--data-dir', join(directory, 'needing')], {
      env: { ...environmentOf(directory), LANDFALL_PORT: '0', ...settings },
    });

  it('exports the server, which serves uploads and the page', async () => {
    const script = `
      import { createServer } from 'node:http';
      import { createLandfall } from 'landfall-server';
      const landfall = createLandfall({ dataDir: ${JSON.stringify(join(directory, 'embedded'))}, logLevel: 'silent' });
      await landfall.start();
      const server = createServer(landfall.handler).listen(0, '127.0.0.1', async () => {
        const address = 'http://127.0.0.1:' + server.address().port;
        const page = await fetch(address + '/');
        const created = await fetch(address + '/files', { method: 'POST', headers: { 'Tus-Resumable': '1.0.0', 'Upload-Length': '5' } });
        console.log(page.status, page.headers.get('content-type'), created.status);
        server.closeAllConnections();
        server.close();
        await landfall.close();
      });`;
    expect(await evaluate('landfall-server', script)).toMatch(/^200 text\/html.* 201$/);
  });

  it('exports grants, which load without the dependencies of the server', async () => {
    const alone = join(directory, 'alone');
    cpSync(packages['landfall-server'].installed, join(alone, 'node_modules/landfall-server'), { recursive: true });
    const script = `
      import { createGrant } from 'landfall-server/grants';
      console.log(createGrant('s'.repeat(32), { owner: 'a', expires: '1h' }).split('.').length);
      await import('landfall-server').catch((error) => console.log(error.code));`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: alone });
    expect(stdout).toBe('3\nERR_MODULE_NOT_FOUND\n');
  });

  it('names in one line the package that a setting needs', async () => {
    const s3 = { LANDFALL_STORAGE_BACKEND: 's3', LANDFALL_S3_BUCKET: 'uploads' };
    await expect(needing(s3)).rejects.toMatchObject({
      code: 2,
      stderr:
        'landfall-server: LANDFALL_STORAGE_BACKEND=s3 needs the package @aws-sdk/client-s3, which is not installed: npm install @aws-sdk/client-s3 @aws-sdk/s3-request-presigner\n',
    });
    await expect(needing({ LANDFALL_DATABASE_URL: 'postgres://127.0.0.1:1/none' })).rejects.toMatchObject({
      code: 2,
      stderr: 'landfall-server: LANDFALL_DATABASE_URL needs the package pg, which is not installed: npm install pg\n',
    });
  });

  it('gives an application the same error with a code, and starts once the setting is removed', async () => {
    const script = `
      import { createLandfall } from 'landfall-server';
      const dataDir = ${JSON.stringify(join(directory, 'again'))};
      const landfall = createLandfall({ dataDir, logLevel: 'silent', storageBackend: 's3', s3Bucket: 'uploads' });
      const error = await landfall.start().catch((error) => error);
      const onDisk = createLandfall({ dataDir, logLevel: 'silent' });
      await onDisk.start();
      await onDisk.close();
      console.log(error.code);`;
    expect(await evaluate('landfall-server', script)).toBe('ERR_PACKAGE_MISSING');
  });

  it('type-checks in a strict project with only its dependencies', async () => {
    const errors = await typeErrors(
      'landfall-server',
      `import { createServer } from 'node:http';
import { createLandfall, type LandfallHooks } from 'landfall-server';
const hooks: LandfallHooks = { onEvent: ({ type, data }) => console.log(type, data.owner.length) };
const landfall = createLandfall({ maxUploadSize: '1 GiB' }, hooks);
createServer(landfall.handler).listen(0);
// @ts-expect-error: not a setting
createLandfall({ maxUploadSizes: 1 });
// @ts-expect-error: a promise is not a number
const wrong: number = landfall.start();
export { wrong };
`,
    );
    expect(errors).toBe('');
  });
});

function tooOldNode(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'));
  return folders
    .map((folder) => join(folder, 'node'))
    .filter((path) => existsSync(path))
    .find((path) => Number(execFileSync(path, ['-p', 'process.versions.node.split(".")[0]'], { encoding: 'utf8' })) < 22);
}

function program(name: PackageName): string {
  const { installed, manifest } = packages[name];
  return join(installed, manifest.bin[name] ?? '');
}

describe('the programs of the packages', () => {
  it('start with a shebang line for node', async () => {
    for (const name of NAMES) expect((await readFile(program(name), 'utf8')).split('\n')[0], name).toBe('#!/usr/bin/env node');
  });

  it('print their help', async () => {
    for (const name of NAMES) {
      const { stdout } = await run(process.execPath, [program(name), '--help']);
      expect(stdout, name).toContain(name);
    }
  });

  // An old Node that is installed on this machine, if there is one.
  const oldNode = tooOldNode();
  it.skipIf(oldNode === undefined)('report a too old Node in one line, before anything else', async () => {
    for (const name of NAMES) {
      for (const parameters of [[], ['--help']]) {
        const ended = await run(oldNode ?? '', [program(name), ...parameters]).catch((error: { code: number; stderr: string }) => error);
        expect(ended, name).toMatchObject({ code: 2 });
        expect(ended.stderr, name).toMatch(new RegExp(`^${name}: This is Node [0-9.]+; .* needs Node [0-9.]+ or newer\\.\n$`));
      }
    }
  });

  it('print the version of their package', async () => {
    const { stdout } = await run(process.execPath, [program('landfall'), '--version']);
    expect(stdout.trim()).toBe(packages.landfall.manifest.version);
  });

  it('upload a file together: one serves, the other sends', async () => {
    const server = spawn(process.execPath, [program('landfall-server'), '--port', '0', '--data-dir', join(directory, 'served')], {
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
    const film = join(directory, 'film.mp4');
    await writeVideo(film, 3_000_000);
    const { stdout } = await run(process.execPath, [program('landfall'), film, '--to', new URL('files', url).href], {
      env: environmentOf(directory),
    });
    const [landed = ''] = stdout.trim().split('\n');
    const answer = await fetch(new URL(landed, url));
    expect(answer.status).toBe(200);
    expect((await answer.arrayBuffer()).byteLength).toBe(3_000_000);
  });
});

describe('the download size of the package', () => {
  it.each([
    // 386 KB when it was set, and a little more.
    ['landfall', 400_000],
    // 1042 KB when it was set, plus a tenth: each module comes as code, types, maps and source.
    ['landfall-server', 1_146_000],
  ] as const)('%s is under %d bytes', (name, limit) => {
    const bytes = statSync(packages[name].tarball).size;
    console.log(`${name}: ${(bytes / 1000).toFixed(0)} KB packed`);
    expect(bytes).toBeLessThan(limit);
  });
});
