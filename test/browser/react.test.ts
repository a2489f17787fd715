// The example of the React hook, built as a reader would build it, in Chromium against a real server.
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { build } from 'vite';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import type { UploadQueue } from '../../client/index.ts';
import { useLandfall } from '../../client/react/use-landfall.ts';
import { launchChromium } from '../support/chromium.ts';
import { filesBelow, sha256OfFile, videoBytes, writeVideo } from '../support/content.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { listenForTest } from '../support/listen.ts';
import { REPOSITORY } from '../support/repository.ts';
import { temporaryDirectory, testDirectory } from '../support/temp-dir.ts';

const MIB = 1024 * 1024;
const PATIENCE = { timeout: 60_000 };
const { path: built } = temporaryDirectory();
const { path: toggle } = temporaryDirectory();

const Count = () => createElement('p', null, useLandfall({ endpoint: '/files' }).uploads.length);

let browser: Browser;
beforeAll(async () => {
  const building = build({
    root: join(REPOSITORY, 'examples/react'),
    configFile: false,
    logLevel: 'error',
    resolve: {
      alias: [
        { find: 'landfall/react', replacement: join(REPOSITORY, 'client/react/use-landfall.ts') },
        { find: 'landfall', replacement: join(REPOSITORY, 'client/index.ts') },
      ],
    },
    build: { outDir: built, emptyOutDir: false },
  });
  const toggling = build({
    root: REPOSITORY,
    configFile: false,
    logLevel: 'error',
    // What the tests run under: the build makes elements as it wants, and React must know them.
    define: { 'process.env.NODE_ENV': '"development"' },
    build: {
      outDir: toggle,
      lib: { entry: join(REPOSITORY, 'test/browser/react-toggle.tsx'), formats: ['es'], fileName: () => 'toggle.js' },
    },
  });
  [browser] = await Promise.all([launchChromium(), building, toggling]);
  await writeFile(join(toggle, 'index.html'), '<!doctype html><div id="root"></div><script type="module" src="toggle.js"></script>');
});
afterAll(() => browser.close());

/** Serves the built files on an origin of its own. */
async function serve(directory: string): Promise<string> {
  const types = { html: 'text/html; charset=utf-8', js: 'text/javascript' };
  const server = createServer(async ({ url = '/' }, response) => {
    const { pathname } = new URL(url, 'http://localhost');
    const name = pathname === '/' ? 'index.html' : pathname.slice(1);
    const content = await readFile(join(directory, name)).catch(() => undefined);
    response
      .writeHead(content ? 200 : 404, { 'Content-Type': types[name.split('.').at(-1) as 'html' | 'js'] ?? 'text/plain' })
      .end(content);
  });
  return `${await listenForTest(server)}/`;
}

it('the React example shows several uploads, pauses and resumes all, and shows each verdict', async () => {
  const server = await embedLandfall({ corsOrigins: '*' });
  const proxy = await startFaultProxy({ upstream: server.url, bytesPerSecond: 4 * MIB });
  onTestFinished(() => proxy.close());
  const directory = testDirectory();
  const names = ['one.mp4', 'two.mp4', 'three.mp4'];
  const hashes = await Promise.all(names.map((name, index) => writeVideo(join(directory, name), 6 * MIB, index)));
  const page = await browser.newPage();
  onTestFinished(() => page.close());
  const problems: unknown[] = [];
  page.on('pageerror', (error) => problems.push(error));
  await page.goto(`${await serve(built)}?endpoint=${encodeURIComponent(`${proxy.url}/files`)}`);

  await page.getByLabel('Choose files').setInputFiles(names.map((name) => join(directory, name)));
  const row = (name: string) => page.getByRole('listitem').filter({ hasText: name });
  await expect.poll(() => row('one.mp4').textContent(), PATIENCE).toContain('Uploading');
  expect(await row('three.mp4').textContent()).toContain('Waiting for its turn');
  await page.getByRole('button', { name: 'Pause all' }).click();
  for (const name of names) await expect.poll(() => row(name).textContent()).toContain('Paused');
  await page.getByLabel('Choose files').setInputFiles({ name: 'photo.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('MZ program') });
  await expect.poll(() => row('photo.jpg').textContent()).toContain('Paused');

  proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
  await page.getByRole('button', { name: 'Resume all' }).click();
  for (const name of names) await expect.poll(() => row(name).textContent(), PATIENCE).toContain('Upload complete');
  await expect.poll(() => row('photo.jpg').textContent(), PATIENCE).toMatch(/Refused[\s\S]+\w/);
  expect(await page.getByRole('progressbar', { name: 'All files' }).evaluate((bar) => (bar as HTMLProgressElement).position)).toBe(1);

  const files = join(server.dataDir, 'files');
  const stored = await Promise.all((await filesBelow(files)).map((name) => sha256OfFile(join(files, name))));
  expect(stored.sort()).toEqual(hashes.sort());
  expect(problems).toEqual([]);
});

it('the hook pauses when its component unmounts, and its file resumes when chosen again; a queue outside the component never stops', async () => {
  const server = await embedLandfall({ corsOrigins: '*' });
  const proxy = await startFaultProxy({ upstream: server.url, bytesPerSecond: 2 * MIB });
  onTestFinished(() => proxy.close());
  const path = join(testDirectory(), 'film.mp4');
  await writeVideo(path, 6 * MIB);
  const page = await browser.newPage();
  onTestFinished(() => page.close());
  await page.goto(`${await serve(toggle)}?endpoint=${encodeURIComponent(`${proxy.url}/files`)}`);
  const own = () =>
    page.evaluate(() => {
      const [upload] = (window as unknown as { own: UploadQueue<unknown> }).own.snapshot.uploads;
      return upload && { state: upload.state, confirmed: upload.confirmed, resumedFrom: upload.resumedFrom };
    });
  await page.locator('input:not([aria-label])').setInputFiles(path);
  await expect.poll(async () => (await own())?.confirmed, PATIENCE).toBeGreaterThan(MIB);
  await page.getByRole('button', { name: 'Toggle' }).click();
  await expect.poll(async () => (await own())?.state).toBe('paused');
  await page.getByLabel('Lasting').setInputFiles({ name: 'other.mp4', mimeType: 'video/mp4', buffer: await videoBytes(100_000) });
  await expect.poll(async () => (await filesBelow(join(server.dataDir, 'files'))).length, PATIENCE).toBe(1);
  expect((await own())?.state).toBe('paused');
  await page.getByRole('button', { name: 'Toggle' }).click();
  await expect.poll(() => page.locator('output').textContent()).toBe('1');
  await page.locator('input:not([aria-label])').setInputFiles(path);
  await expect.poll(async () => (await own())?.state, PATIENCE).toBe('accepted');
  expect((await own())?.resumedFrom).toBeGreaterThan(0);
});

it('the hook renders on a server, without uploading', () => {
  expect(renderToString(createElement(Count))).toBe('<p>0</p>');
});
