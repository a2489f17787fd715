// Runs the client library in a page without the element, and gives tests access to its upload.
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import type { UploadHandle, UploadResult, UploadSnapshot, upload } from '../../client/index.ts';
import type { LandfallHooks } from '../../server/index.ts';
import { launchChromium } from '../support/chromium.ts';
import { filesBelow, sha256OfFile, writeVideo } from '../support/content.ts';
import { type Exchange, type Fault, startFaultProxy } from '../support/fault-proxy.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { listenForTest } from '../support/listen.ts';
import { REPOSITORY } from '../support/repository.ts';
import { testDirectory } from '../support/temp-dir.ts';

/** The values that the page keeps for the test. */
export interface Hand {
  landfall: { upload: typeof upload };
  endpoint: string;
  handle: UploadHandle;
  told: UploadSnapshot[];
}

/** Bundles the client into one script, as an application would ship it. */
async function bundleClient(): Promise<string> {
  const entry = join(REPOSITORY, 'client/index.ts');
  const results = await build({
    root: REPOSITORY,
    configFile: false,
    logLevel: 'error',
    build: { write: false, minify: true, target: 'es2024', lib: { entry, formats: ['es'] } },
  });
  const [result] = Array.isArray(results) ? results : [results];
  if (result === undefined || !('output' in result)) throw new Error('Vite watches instead of building.');
  return result.output[0].code;
}

/** Serves a page with a file input, from another origin than the upload server's. */
export async function site(script: string, endpoint: string): Promise<string> {
  const html = `<!doctype html><title>Send</title><input type="file">
    <script type="module">import * as landfall from '/client.js'; Object.assign(window, { landfall, endpoint: '${endpoint}' });</script>`;
  const server = createServer(({ url }, response) => {
    const isScript = url === '/client.js';
    response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html; charset=utf-8').end(isScript ? script : html);
  });
  return `${await listenForTest(server)}/`;
}

export interface ClientPage {
  proxy: Awaited<ReturnType<typeof startFaultProxy>>;
  context: BrowserContext;
  url: string;
  directory: string;
  video(length: number): Promise<{ path: string; sha256: string }>;
  /** SHA-256 of every file that the server stored. */
  stored(): Promise<string[]>;
}

type Start = (plan?: (exchange: Exchange) => Fault | undefined, hooks?: LandfallHooks) => Promise<ClientPage>;

/** Starts one Chromium and builds the client once for all tests of the file. */
export function clientPagesForTests(): { readonly browser: Browser; readonly script: string; start: Start } {
  let browser: Browser;
  let script: string;
  beforeAll(async () => {
    [browser, script] = await Promise.all([launchChromium(), bundleClient()]);
  });
  afterAll(() => browser.close());
  return {
    get browser() {
      return browser;
    },
    get script() {
      return script;
    },
    start: (plan, hooks) => startClientPage(browser, script, plan, hooks),
  };
}

/** Starts a server, a proxy before it, and a page that sends through the proxy. */
async function startClientPage(
  browser: Browser,
  script: string,
  plan: (exchange: Exchange) => Fault | undefined = () => undefined,
  hooks: LandfallHooks = {},
): Promise<ClientPage> {
  const server = await embedLandfall({ corsOrigins: '*' }, hooks);
  const proxy = await startFaultProxy({ upstream: server.url, onRequest: plan });
  onTestFinished(() => proxy.close());
  const url = await site(script, `${proxy.url}/files`);
  const context = await browser.newContext();
  onTestFinished(() => context.close());
  const directory = testDirectory();
  return {
    proxy,
    context,
    url,
    directory,
    video: async (length: number) => {
      const path = join(directory, 'film.mp4');
      return { path, sha256: await writeVideo(path, length) };
    },
    stored: async () => {
      const folder = join(server.dataDir, 'files');
      return Promise.all((await filesBelow(folder)).map((name) => sha256OfFile(join(folder, name))));
    },
  };
}

export async function open(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(url);
  await page.waitForFunction(() => 'landfall' in window);
  return page;
}

/** Chooses the file and sends it; the page keeps the handle and all its snapshots. */
export async function send(
  page: Page,
  path: string,
  options: { chunkSize?: number; budgetMs?: number; via?: 'direct' } = {},
): Promise<void> {
  await page.locator('input').setInputFiles(path);
  await page.evaluate((more) => {
    const hand = window as unknown as Hand;
    const file = document.querySelector('input')?.files?.[0];
    if (file === undefined) throw new Error('No file was chosen.');
    hand.told = [];
    hand.handle = hand.landfall.upload(file, { endpoint: hand.endpoint, confirmLeaving: false, ...more });
    hand.handle.subscribe((snapshot) => hand.told.push(snapshot));
  }, options);
}

export const snapshotOf = (page: Page): Promise<UploadSnapshot> => page.evaluate(() => (window as unknown as Hand).handle.snapshot);
export const stateOf = async (page: Page): Promise<UploadSnapshot['state']> => (await snapshotOf(page)).state;
export const ends = (page: Page): Promise<{ result: UploadResult } | { code: string }> =>
  page.evaluate(() =>
    (window as unknown as Hand).handle.done.then(
      (result) => ({ result }),
      ({ code }) => ({ code }),
    ),
  );
