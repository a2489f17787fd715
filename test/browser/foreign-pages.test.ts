// What a page of another site, and a page of a configured origin, can do to a server on this machine, tried in a real browser.
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect, it, onTestFinished } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { startLandfall } from '../support/landfall-process.ts';
import { testDirectory } from '../support/temp-dir.ts';

/** Both names resolve to this machine, as after DNS rebinding. */
const NAMES = '--host-resolver-rules=MAP evil.test 127.0.0.1, MAP app.test 127.0.0.1';

async function servePage(): Promise<number> {
  const server = createServer((_request, response) => {
    response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>a page</title><body>');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

async function pageAt(url: string, flags: readonly string[] = []): Promise<Page> {
  const browser = await launchChromium([NAMES, ...flags]);
  onTestFinished(() => browser.close());
  const page = await browser.newPage();
  await page.goto(url);
  return page;
}

/** Attacks by script with a preflight, by script without one, and by navigation. Returns the answers as far as the page can see them. */
async function attack(page: Page, server: string) {
  const answers = await page.evaluate(async (url) => {
    const tus = { 'Tus-Resumable': '1.0.0' };
    const file = new FormData();
    file.append('file', new File(['planted'], 'planted.txt'));
    const tries: Record<string, () => Promise<Response>> = {
      create: () => fetch(`${url}/files`, { method: 'POST', headers: { ...tus, 'Upload-Length': '7' } }),
      plainForm: () => fetch(`${url}/upload`, { method: 'POST', mode: 'no-cors', body: file }),
      form: () => fetch(`${url}/upload`, { method: 'POST', body: file }),
      read: () => fetch(`${url}/config`),
      direct: () => fetch(`${url}/get-upload-url`, { method: 'POST', mode: 'no-cors', body: '{"length":7}' }),
    };
    const told: Record<string, string> = {};
    for (const [name, request] of Object.entries(tries)) {
      told[name] = await request().then(
        (answer) => (answer.type === 'opaque' ? 'opaque' : String(answer.status)),
        () => 'blocked',
      );
    }
    return told;
  }, server);
  await page.evaluate((url) => {
    document.body.innerHTML = `<form method="post" action="${url}/upload" enctype="multipart/form-data"><input type="file" name="file"></form>`;
    const files = new DataTransfer();
    files.items.add(new File(['planted'], 'planted.txt'));
    const input = document.querySelector('input');
    if (input) input.files = files.files;
    document.forms[0]?.submit();
  }, server);
  await page.waitForURL(`${server}/**`);
  return { ...answers, navigation: await page.evaluate(() => document.body.textContent) };
}

async function stored(dataDir: string): Promise<string[]> {
  const entries = await readdir(join(dataDir, 'files'), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

it('a page of another site can store and read nothing on a server with default settings', async () => {
  const server = await startLandfall({ dataDir: testDirectory() });
  onTestFinished(() => server.kill());
  const port = await servePage();
  // The second set of flags makes the browser treat the site as public, as a real foreign site is.
  for (const flags of [[], [`--ip-address-space-overrides=127.0.0.1:${port}=public`]]) {
    const page = await pageAt(`http://evil.test:${port}/`, flags);
    const told = await attack(page, server.url);
    expect(told).toMatchObject({ create: 'blocked', form: 'blocked', read: 'blocked' });
    expect(told.navigation).toContain('ERR_FOREIGN_ORIGIN');
  }
  expect(await stored(server.dataDir)).toEqual([]);
});

it('the server shows no page under a foreign name that resolves to this machine', async () => {
  const server = await startLandfall({ dataDir: testDirectory() });
  onTestFinished(() => server.kill());
  const page = await pageAt(`http://evil.test:${new URL(server.url).port}/`);
  expect(await page.evaluate(() => document.body.textContent)).toContain('ERR_UNKNOWN_HOST');
  const status = await page.evaluate(async () => {
    const file = new FormData();
    file.append('file', new File(['planted'], 'planted.txt'));
    return (await fetch('/upload', { method: 'POST', body: file })).status;
  });
  expect(status).toBe(421);
  expect(await stored(server.dataDir)).toEqual([]);
});

it('a page of a configured origin uploads with its cookies and its own headers', async () => {
  const port = await servePage();
  const origin = `http://app.test:${port}`;
  const seen: string[] = [];
  const server = await embedLandfall(
    { corsOrigins: origin },
    {
      authenticate: ({ headers }) => {
        seen.push(`${headers.cookie} ${headers['x-tenant']}`);
        return headers.cookie?.includes('session=anna') ? 'anna' : null;
      },
    },
  );
  const page = await pageAt(`${origin}/`);
  // Another port is the same site: the browser sends the cookies when the page asks for it.
  await page.context().addCookies([{ name: 'session', value: 'anna', url: `http://app.test:${port}` }]);
  const status = await page.evaluate(
    async (url) => {
      const headers = {
        'Tus-Resumable': '1.0.0',
        'Upload-Length': '7',
        'X-Tenant': 'north',
        'Upload-Metadata': `filename ${btoa('a.txt')}`,
      };
      const answer = await fetch(`${url}/files`, { method: 'POST', credentials: 'include', headers });
      return [answer.status, answer.headers.get('Location')];
    },
    `http://app.test:${new URL(server.url).port}`,
  );
  expect(status).toEqual([201, expect.stringMatching(/^\/files\/[0-9a-f]{32}$/)]);
  expect(seen).toEqual(['session=anna north']);
});
