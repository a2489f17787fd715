// The element on a foreign page: another origin, another language, a sign-in.
import { createServer } from 'node:http';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { listenForTest } from '../support/listen.ts';
import { accessibilityFaults, chooser, expectState, storedHashes, video, visit } from './page-driver.ts';

const MIB = 1024 * 1024;

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

async function site(html: string): Promise<string> {
  const server = createServer((request, response) => {
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    response.statusCode = request.url === '/' ? 200 : 404;
    response.end(html);
  });
  return await listenForTest(server);
}

describe('<landfall-upload>', () => {
  it('uploads on a page of another origin, in the language and with the sign-in of that page', async () => {
    const owners = new Set<string | undefined>();
    const server = await embedLandfall(
      { corsOrigins: '*' },
      {
        authenticate: ({ headers }) => {
          owners.add(headers.authorization);
          return headers.authorization === 'Bearer key' ? 'anna' : null;
        },
      },
    );
    const url = await site(`<!doctype html><html lang="de"><title>Filme</title><body><main><h1>Filme</h1>
      <landfall-upload endpoint="${server.files}"></landfall-upload></main>
      <script type="module">
        import '${server.url}/landfall-upload.js';
        const element = document.querySelector('landfall-upload');
        element.strings = { chooseFiles: 'Dateien wählen', accepted: 'Angekommen', limit: (size) => 'Je bis ' + size + '.' };
        element.options = { headers: { Authorization: 'Bearer key' } };
        window.results = [];
        document.addEventListener('landfall-accepted', ({ detail }) => window.results.push(detail));
      </script>`);
    const film = await video('film.mp4', 1.5 * MIB);
    const { page, problems } = await visit(browser, url);
    await page.getByRole('button', { name: 'Dateien wählen' }).waitFor();
    expect(await page.getByText('Je bis 1 TiB.').isVisible()).toBe(true);

    await chooser(page).setInputFiles(film.path);
    await expectState(page, film.name, /Angekommen[\s\S]*1,5 MiB/);
    expect(await storedHashes(server.dataDir)).toEqual({ [film.name]: film.sha256 });
    expect([...owners]).toEqual(['Bearer key']);
    expect(await page.evaluate(() => (window as unknown as { results: unknown[] }).results)).toMatchObject([
      { name: film.name, size: 1.5 * MIB, type: 'video/mp4', resumed: false },
    ]);
    expect(await accessibilityFaults(page)).toEqual([]);
    expect(problems).toEqual([]);
  });
});
