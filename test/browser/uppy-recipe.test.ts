// The set-up of Uppy that docs/client.md shows, run unchanged with Uppy's own dashboard.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { ERRORS } from '../../shared/errors.ts';
import { launchChromium } from '../support/chromium.ts';
import { filesBelow } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { listenForTest } from '../support/listen.ts';
import { REPOSITORY } from '../support/repository.ts';
import { testDirectory } from '../support/temp-dir.ts';

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

const DOCUMENTED = 'https://uploads.example/files';

/** Bundles the script of a page with this set-up. */
async function recipe(endpoint: string): Promise<string> {
  const blocks = readFileSync(join(REPOSITORY, 'docs/client.md'), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm);
  const found = Array.from(blocks, ([, block = '']) => block).filter((block) => block.includes("from '@uppy/tus'"));
  expect(found).toHaveLength(1);
  expect(found[0]).toContain(DOCUMENTED);
  // The script must be inside the repository to find its packages.
  const cache = join(REPOSITORY, 'node_modules', '.cache');
  mkdirSync(cache, { recursive: true });
  const entry = join(cache, `uppy-recipe-${process.pid}.ts`);
  const dashboard = "import Dashboard from '@uppy/dashboard';\nuppy.use(Dashboard, { inline: true, target: '#dashboard' });\n";
  writeFileSync(entry, found[0]?.replace(DOCUMENTED, endpoint) + dashboard);
  onTestFinished(() => rmSync(entry, { force: true }));
  const results = await build({
    root: REPOSITORY,
    configFile: false,
    logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"' },
    build: { write: false, minify: false, target: 'es2024', lib: { entry, formats: ['es'] } },
  });
  const [result] = Array.isArray(results) ? results : [results];
  if (result === undefined || !('output' in result)) throw new Error('Vite watches instead of building.');
  return result.output[0].code;
}

it("Uppy shows the server's reason for a refused file, and uploads an accepted one", async () => {
  const landfall = await embedLandfall({ corsOrigins: '*' });
  const script = await recipe(landfall.files);
  const style = readFileSync(join(REPOSITORY, 'node_modules/@uppy/dashboard/dist/style.min.css'));
  const html =
    '<!doctype html><link rel="stylesheet" href="/page.css"><div id="dashboard"></div><script type="module" src="/page.js"></script>';
  const site = await listenForTest(
    createServer(({ url }, response) => {
      if (url === '/page.js') response.setHeader('Content-Type', 'text/javascript').end(script);
      else if (url === '/page.css') response.setHeader('Content-Type', 'text/css').end(style);
      else response.setHeader('Content-Type', 'text/html; charset=utf-8').end(html);
    }),
  );
  const context = await browser.newContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  await page.goto(site);
  const directory = testDirectory();
  const paths = ['words.png', 'words.txt'].map((name) => join(directory, name));
  for (const path of paths) writeFileSync(path, 'These are words.\n');
  await page.locator('#dashboard input[type=file]').first().setInputFiles(paths);
  await page.getByRole('button', { name: /^Upload 2 files$/ }).click();
  const { title } = ERRORS.ERR_TYPE_MISMATCH;

  await page
    .getByRole('alert')
    .filter({ hasText: `words.png: ${title}` })
    .first()
    .waitFor({ timeout: 60_000 });
  await expect.poll(() => filesBelow(join(landfall.dataDir, 'files')), { timeout: 60_000 }).toEqual([expect.stringMatching(/words\.txt$/)]);
});
