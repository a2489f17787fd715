// Ordinary trouble for an upload in a browser: a proxy that limits bodies, an expired sign-in, a laptop that sleeps.
import type { Browser } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import type { Exchange } from '../support/fault-proxy.ts';
import { type ClientPage, clientPagesForTests, ends, type Hand, open, send, snapshotOf } from './client-driver.ts';

const MIB = 1024 * 1024;
const PATIENCE = { timeout: 60_000 };

const pages = clientPagesForTests();

describe('a proxy that takes no more than 1 MiB in a body', () => {
  const page413 = '<html><h1>413 Request Entity Too Large</h1></html>';
  const limit = (headers: Record<string, string>) => (exchange: Exchange) =>
    exchange.method === 'PATCH' && Number(exchange.headers['content-length']) > MIB
      ? ({ kind: 'answer', status: 413, headers, body: page413 } as const)
      : undefined;
  const sizes = (proxy: ClientPage['proxy'], matches: (status: number | undefined) => boolean) =>
    proxy.exchanges
      .filter(({ method, status }) => method === 'PATCH' && matches(status))
      .map(({ headers }) => Number(headers['content-length']));

  it('makes the client reduce its chunks once, and the server stores the file', async () => {
    const { context, url, video, stored, proxy } = await pages.start(limit({ 'Access-Control-Allow-Origin': '*' }));
    const { path, sha256 } = await video(6 * MIB);
    const page = await open(context, url);
    await send(page, path);
    expect(await ends(page)).toMatchObject({ result: { size: 6 * MIB } });
    expect(await stored()).toEqual([sha256]);
    // After the few first bytes the client tries all the rest, then a half and a quarter of it.
    const rest = 6 * MIB - 64 * 1024;
    expect(sizes(proxy, (status) => status === 413)).toEqual([rest, rest / 2, rest / 4]);
  });

  it('and hides its answer from pages of other origins makes the client reduce its chunks as well', async () => {
    const { context, url, video, stored, proxy } = await pages.start(limit({}));
    const { path, sha256 } = await video(12 * MIB);
    const page = await open(context, url);
    await send(page, path);
    expect(await ends(page)).toMatchObject({ result: { size: 12 * MIB } });
    expect(await stored()).toEqual([sha256]);
    // The client tries 8, 4 and 2 MiB, then 2 MiB again after one, four and sixteen chunks that got through.
    expect(sizes(proxy, (status) => status !== 204).length).toBeLessThanOrEqual(5);
  });
});

describe('a sign-in that expires during an upload', () => {
  it('is renewed after the 401 of the server, and the upload resumes', async () => {
    let valid = 'token-1';
    const refused: string[] = [];
    const { context, url, video, stored, proxy } = await pages.start(undefined, {
      authenticate: ({ headers, method }) => {
        const token = headers.authorization?.replace('Bearer ', '');
        if (token === valid) return 'anna';
        refused.push(method ?? '');
        return null;
      },
    });
    const { path, sha256 } = await video(8 * MIB);
    const page = await open(context, url);
    const asked: string[] = [];
    await page.exposeFunction('tokenFor', (reason: string) => {
      asked.push(reason);
      return reason === 'unauthorized' ? valid : 'token-1';
    });
    proxy.bytesPerSecond = 4 * MIB;
    await page.locator('input').setInputFiles(path);
    await page.evaluate(() => {
      const hand = window as unknown as Hand & { tokenFor(reason: string): Promise<string> };
      const [file] = document.querySelector('input')?.files ?? [];
      if (file === undefined) throw new Error('No file was chosen.');
      let token: string | undefined;
      hand.handle = hand.landfall.upload(file, {
        endpoint: hand.endpoint,
        chunkSize: 1024 * 1024,
        headers: async ({ reason }) => {
          if (token === undefined || reason === 'unauthorized') token = await hand.tokenFor(reason);
          return { Authorization: `Bearer ${token}` };
        },
      });
    });
    await expect.poll(async () => (await snapshotOf(page)).confirmed, PATIENCE).toBeGreaterThan(2 * MIB);
    valid = 'token-2';
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    expect(await ends(page)).toMatchObject({ result: { size: 8 * MIB } });
    expect(await stored()).toEqual([sha256]);
    expect(asked).toEqual(['request', 'unauthorized']);
    expect(refused).toHaveLength(1);
    expect(proxy.exchanges.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });
});

describe('a laptop that sleeps', () => {
  it('has no connections when it wakes, and its upload resumes', async () => {
    const { context, url, video, stored, proxy } = await pages.start();
    const { path, sha256 } = await video(12 * MIB);
    proxy.bytesPerSecond = 3 * MIB;
    const page = await open(context, url);
    await send(page, path, { chunkSize: MIB });
    await expect.poll(async () => (await snapshotOf(page)).confirmed, PATIENCE).toBeGreaterThan(2 * MIB);

    await asleep(pages.browser, async () => {
      await proxy.goDown();
      await new Promise((resolve) => setTimeout(resolve, 3000));
      await proxy.listen();
      proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    });
    expect(await ends(page)).toMatchObject({ result: { size: 12 * MIB } });
    expect(await stored()).toEqual([sha256]);
    expect(proxy.exchanges.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });
});

/** Stops the browser's page and network processes: no timer fires and no packet is read, as while the lid is closed. */
async function asleep(browser: Browser, meanwhile: () => Promise<void>): Promise<void> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  const sleepers = processInfo.filter(({ type }) => /renderer|network/i.test(type)).map(({ id }) => id);
  expect(sleepers.length).toBeGreaterThanOrEqual(2);
  for (const id of sleepers) process.kill(id, 'SIGSTOP');
  try {
    await meanwhile();
  } finally {
    for (const id of sleepers) process.kill(id, 'SIGCONT');
  }
}
