// The true verdict in a real browser: tus-js-client and Uppy's tus plugin, unmodified, from another origin.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { videoBytes } from '../support/content.ts';
import { dropFirstResponses, startFaultProxy } from '../support/fault-proxy.ts';
import { serveStockPage } from '../support/serve-stock-page.ts';
import { QUICK_RETRIES } from '../support/stock-client.ts';
import type { PageOutcome, PageUpload } from '../support/stock-page.ts';
import { ENDINGS, expectTrueVerdict, startVerdictServer } from '../support/verdicts.ts';

const isLong = process.env.LANDFALL_TEST_LONG === '1';
const LENGTH = 300_000;
const PATIENCE = 100;

let browser: Browser;
let address: string;

beforeAll(async () => {
  [browser, address] = await Promise.all([launchChromium(), serveStockPage()]);
});
afterAll(() => browser?.close());

type Uploader = 'uploadWithTus' | 'uploadWithUppy';

async function uploadOnPage(uploader: Uploader, upload: PageUpload): Promise<PageOutcome> {
  const context = await browser.newContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  await page.goto(address);
  await page.waitForFunction(() => typeof window.uploadWithUppy === 'function');
  return page.evaluate(([name, wanted]) => window[name](wanted), [uploader, upload] as const);
}

const UPLOADERS: { uploader: Uploader; who: string }[] = [
  { uploader: 'uploadWithTus', who: 'tus-js-client' },
  { uploader: 'uploadWithUppy', who: 'Uppy' },
];
/** Two lost answers in a row cover the case of one, and each case needs its own page. */
const LOSSES = [
  { drops: 0, method: 'PATCH' },
  { drops: 1, method: 'POST' },
  { drops: 2, method: 'POST' },
  { drops: 1, method: 'PATCH' },
  { drops: 2, method: 'PATCH' },
  { drops: 1, method: 'HEAD' },
  { drops: 2, method: 'HEAD' },
].filter(({ drops }) => isLong || drops !== 1);

describe.for(UPLOADERS)('$who in Chromium', ({ uploader }) => {
  it.for(ENDINGS.flatMap((ending) => LOSSES.map((loss) => ({ ending, ...loss }))))(
    'ends in $ending when $drops answers to $method are lost',
    async ({ ending, drops, method }) => {
      const server = await startVerdictServer(ending);
      const proxy = await startFaultProxy({
        upstream: server.url,
        onRequest: dropFirstResponses(drops, method === 'HEAD' ? ['HEAD', 'PATCH'] : [method]),
      });
      onTestFinished(() => proxy.close());
      const bytes = await videoBytes(LENGTH);
      const told = await uploadOnPage(uploader, {
        endpoint: `${proxy.url}/files`,
        name: 'film.mp4',
        bytes: bytes.toString('base64'),
        retryDelays: QUICK_RETRIES,
      });
      await expectTrueVerdict(server, ending, told, bytes);
    },
  );

  it.for(ENDINGS)('ends in %s after an inspection longer than ten patience limits, with its default retry delays', async (ending) => {
    const server = await startVerdictServer(ending, { patience: PATIENCE }, PATIENCE * (ending === 'fault' ? 8 : 15));
    const bytes = await videoBytes(LENGTH);
    const told = await uploadOnPage(uploader, { endpoint: server.files, name: 'film.mp4', bytes: bytes.toString('base64') });
    await expectTrueVerdict(server, ending, told, bytes);
  });

  it('gets the early refusal of a large file', async () => {
    const server = await startVerdictServer('accept');
    const told = await uploadOnPage(uploader, {
      endpoint: server.files,
      name: 'film.mp4',
      bytes: Buffer.from('\x7fELF\x02\x01\x01', 'latin1').toString('base64'),
      padTo: 64 * 1024 * 1024,
    });
    expect(told).toMatchObject({ outcome: 'error', status: 422 });
    expect(told.body).toMatch(/ERR_(?:TYPE_MISMATCH|ACTIVE_CONTENT)/);
    expect(server.inspections()).toBe(0);
  });
});
