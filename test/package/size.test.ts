// The size of the client for a page, in bytes over the network.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { expect, it } from 'vitest';
import { BROWSERS } from '../../vite.config.ts';
import { REPOSITORY } from '../support/repository.ts';
import { temporaryDirectory } from '../support/temp-dir.ts';

const { path: directory } = temporaryDirectory();

/** Gzipped size of the minified bundle of this module. */
async function bundledBytes(entry: string, name: string): Promise<number> {
  const outDir = join(directory, name);
  await build({
    configFile: false,
    logLevel: 'error',
    root: REPOSITORY,
    build: {
      outDir,
      minify: true,
      target: [...BROWSERS],
      // Vite leaves the spaces in a library, and the bundler of a page removes them.
      rolldownOptions: { output: { minify: { compress: true, mangle: true, codegen: { removeWhitespace: true } } } },
      lib: { entry: join(REPOSITORY, entry), formats: ['es'], fileName: () => `${name}.js` },
    },
  });
  const scripts = readdirSync(outDir, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.js'));
  return scripts.reduce((sum, file) => sum + gzipSync(readFileSync(join(outDir, file)), { level: 9 }).byteLength, 0);
}

/** The size in kilobytes that the README claims. */
function claimedKilobytes(text: RegExp): number {
  const readme = readFileSync(join(REPOSITORY, 'README.md'), 'utf8').replaceAll('\n', ' ');
  return Number(text.exec(readme)?.[1]);
}

it('the client, with its dependencies, is under 30 KB', async () => {
  const bytes = await bundledBytes('client/index.ts', 'client');
  console.log(`client: ${(bytes / 1000).toFixed(1)} KB gzipped`);
  expect(bytes).toBeLessThan(30_000);
  expect(Math.abs(bytes / 1000 - claimedKilobytes(/the client is (\d+) KB gzipped/))).toBeLessThan(1.5);
});

/** Gzipped size of a built script and all its imports. */
function servedBytes(script: string, seen = new Set<string>()): number {
  if (seen.has(script)) return 0;
  seen.add(script);
  const source = readFileSync(script);
  const imports = [...source.toString('utf8').matchAll(/(?:from|import)\s*["'](\.[^"']+\.js)["']/g)];
  return imports.reduce(
    (sum, [, path = '']) => sum + servedBytes(join(dirname(script), path), seen),
    gzipSync(source, { level: 9 }).byteLength,
  );
}

it('the page does not contain the table of formats: the server sends it the allowed ones', () => {
  const folder = join(REPOSITORY, 'server/dist/page/assets');
  const scripts = readdirSync(folder).filter((file) => file.endsWith('.js'));
  expect(scripts.length).toBeGreaterThan(0);
  for (const script of scripts) expect(readFileSync(join(folder, script), 'utf8')).not.toContain('image/x-canon-cr3');
});

it('the element as the server serves it, including the client, is under 48 KB', () => {
  const bytes = servedBytes(join(REPOSITORY, 'server/dist/page/landfall-upload.js'));
  console.log(`element: ${(bytes / 1000).toFixed(1)} KB gzipped`);
  expect(bytes).toBeGreaterThan(10_000);
  expect(bytes).toBeLessThan(48_000);
  expect(Math.abs(bytes / 1000 - claimedKilobytes(/the element (\d+) KB/))).toBeLessThan(1.5);
});
