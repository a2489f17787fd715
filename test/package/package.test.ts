// What `npm install landfall` brings: it loads, runs, and its types are found.
import { execFile, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { readFile, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { writeVideo } from '../support/content.ts';
import { REPOSITORY } from '../support/repository.ts';
import { temporaryDirectory } from '../support/temp-dir.ts';
import { type Packed, pack, packedFiles } from './packed.ts';

const run = promisify(execFile);
const { path: directory } = temporaryDirectory();
let packed: Packed;

beforeAll(async () => {
  packed = await pack(directory);
});

/** Runs a module in the project that has the package installed, and resolves with what it printed. */
async function evaluate(script: string, ...flags: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [...flags, '--input-type=module', '-e', script], { cwd: packed.project });
  return stdout.trim();
}

describe('the package', () => {
  it('is clean by publint', async () => {
    const { messages } = await publint({ pkgDir: packed.installed, pack: false, strict: true });
    expect(messages).toEqual([]);
  });

  it('has types that every way of importing finds, by attw', async () => {
    const attw = join(REPOSITORY, 'node_modules/.bin/attw');
    const { stdout } = await run(attw, [packed.tarball, '--profile', 'esm-only', '--format', 'ascii', '--no-color', '--no-emoji']);
    const entries = stdout.split(/^"(?=landfall)/m).slice(1);
    expect(entries.length).toBeGreaterThanOrEqual(3);
    for (const entry of entries) {
      expect(entry).toMatch(/^node16 \(from ESM\): OK/m);
      expect(entry).toMatch(/^bundler: OK/m);
    }
  });

  it('holds the programs, the page and the documents, and neither sources nor tests', () => {
    const files = packedFiles(packed);
    expect(files).toEqual(
      expect.arrayContaining([
        'LICENSE',
        'README.md',
        'docs/errors.md',
        'dist/page/index.html',
        'dist/server/main.js',
        'dist/client/cli/main.js',
      ]),
    );
    expect(files.filter((file) => /\.test\.|^test\/|(?<!\.d)\.ts$/.test(file))).toEqual([]);
  });

  it('names only its own files in exports and bins, and those exist', async () => {
    const manifest = JSON.parse(await readFile(join(packed.installed, 'package.json'), 'utf8'));
    const targets = JSON.stringify([manifest.exports, manifest.bin]).match(/(?:\.\/)?dist\/[^"]+/g) ?? [];
    expect(targets.length).toBeGreaterThan(5);
    for (const target of targets) expect((await stat(join(packed.installed, target))).isFile(), target).toBe(true);
  });

  it('exports the client under the same names to Node and to browsers', async () => {
    const names = "console.log(Object.keys(await import('landfall')).sort().join())";
    const inNode = await evaluate(names);
    expect(inNode.split(',')).toEqual(expect.arrayContaining(['UploadError', 'createQueue', 'forget', 'interrupted', 'upload']));
    expect(await evaluate(names, '--conditions=browser')).toBe(inNode);
    expect(await evaluate("console.log(import.meta.resolve('landfall'))")).toMatch(/client\/node\.js$/);
    expect(await evaluate("console.log(import.meta.resolve('landfall'))", '--conditions=browser')).toMatch(/client\/index\.js$/);
  });

  it('exports the React hooks, which need React and nothing else that is not there', async () => {
    const names = "console.log(Object.keys(await import('landfall/react')).sort().join())";
    await expect(evaluate(names)).rejects.toThrow(/Cannot find package 'react'/);
    await symlink(join(REPOSITORY, 'node_modules/react'), join(packed.project, 'node_modules/react'));
    expect(await evaluate(names)).toBe('useLandfall,useQueue');
    const hooks = await readFile(join(packed.installed, 'dist/client/react/use-landfall.js'), 'utf8');
    expect(hooks).toMatch(/^'use client';/);
  });

  it('exports the server, which serves from there, page included', async () => {
    const script = `
      import { createServer } from 'node:http';
      import { createLandfall } from 'landfall/server';
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
    expect(await evaluate(script)).toMatch(/^200 text\/html.* 201$/);
  });

  it('keeps to itself what is not exported', async () => {
    await expect(evaluate("await import('landfall/dist/server/app.js')")).rejects.toThrow(/ERR_PACKAGE_PATH_NOT_EXPORTED/);
  });

  it('type-checks in a strict project that has only what it depends on', async () => {
    await symlink(join(REPOSITORY, 'node_modules/@types'), join(packed.project, 'node_modules/@types')).catch(() => undefined);
    writeFileSync(
      join(packed.project, 'use.ts'),
      `import { createServer } from 'node:http';
import { upload, UploadError, type UploadResult } from 'landfall';
import { useLandfall } from 'landfall/react';
import { createLandfall, type LandfallHooks } from 'landfall/server';
export const count = (): number => useLandfall({ endpoint: '/files' }).counts.accepted;
const hooks: LandfallHooks = { onVerdict: ({ id, state }) => console.log(id.length, state) };
const landfall = createLandfall({ maxUploadSize: '1 GiB' }, hooks);
createServer(landfall.handler).listen(0);
// @ts-expect-error: not a setting
createLandfall({ maxUploadSizes: 1 });
// @ts-expect-error: a promise is not a number
const wrong: number = landfall.start();
const result: Promise<UploadResult> = upload('film.mp4', { endpoint: 'http://127.0.0.1:1080/files' }).done;
result.catch((error: unknown) => error instanceof UploadError && error.code === 'ERR_NETWORK');
export { wrong };
`,
    );
    writeFileSync(
      join(packed.project, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: { strict: true, module: 'nodenext', target: 'es2024', noEmit: true, types: ['node'], skipLibCheck: true },
        files: ['use.ts'],
      }),
    );
    writeFileSync(join(packed.project, 'package.json'), JSON.stringify({ type: 'module' }));
    const { stdout } = await run(join(REPOSITORY, 'node_modules/.bin/tsc'), ['-p', '.'], { cwd: packed.project }).catch(
      (error: { stdout: string }) => error,
    );
    expect(stdout).toBe('');
  });
});

describe('the programs', () => {
  const program = (name: string) => {
    const manifest = JSON.parse(readFileSync(join(packed.installed, 'package.json'), 'utf8')) as { bin: Record<string, string> };
    return join(packed.installed, manifest.bin[name] ?? '');
  };

  it('start with a line that tells the system to run them with node', async () => {
    for (const name of ['landfall', 'landfall-server']) {
      expect((await readFile(program(name), 'utf8')).split('\n')[0], name).toBe('#!/usr/bin/env node');
    }
  });

  it('explain themselves', async () => {
    for (const name of ['landfall', 'landfall-server']) {
      const { stdout } = await run(process.execPath, [program(name), '--help']);
      expect(stdout, name).toContain(name);
    }
  });

  it('land a file: one serves, the other sends', async () => {
    const server = spawn(process.execPath, [program('landfall-server'), '--port', '0', '--data-dir', join(directory, 'served')], {
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
      env: { ...process.env, XDG_STATE_HOME: join(directory, 'state') },
    });
    const [landed = ''] = stdout.trim().split('\n');
    const answer = await fetch(new URL(landed, url));
    expect(answer.status).toBe(200);
    expect((await answer.arrayBuffer()).byteLength).toBe(3_000_000);
  });
});
