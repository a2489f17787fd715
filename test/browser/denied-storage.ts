// Pages with the server's element, from another origin than the server's, to which a browser may deny storage and other features.
import { createServer } from 'node:http';
import { expect } from 'vitest';
import { type EmbeddedLandfall, embedLandfall } from '../support/landfall-embedded.ts';
import { listenForTest } from '../support/listen.ts';
import { storedHashes, type Video, video } from './page-driver.ts';

/** The frame with the element, in either browser. */
export interface ElementFrame {
  evaluate<T>(script: () => T): Promise<Awaited<T>>;
  choose(path: string): Promise<void>;
}

export const PATHS = { itself: '/element', sandboxed: '/sandboxed', thirdParty: '/third-party' } as const;

/** Runs in the page and returns the features useful to an upload that the browser denies, that is, that throw or reject. */
async function denied(): Promise<string[]> {
  const uses: Record<string, () => unknown> = {
    storage: () => localStorage.length,
    locks: () => navigator.locks.request('any', () => {}),
    channels: () => new BroadcastChannel('any').close(),
    databases: () =>
      new Promise((resolve, reject) => {
        const request = indexedDB.open('any');
        request.onsuccess = resolve;
        request.onerror = reject;
      }),
  };
  const missing: string[] = [];
  for (const [name, use] of Object.entries(uses)) {
    try {
      await use();
    } catch {
      missing.push(name);
    }
  }
  return missing;
}

const isReady = () => document.querySelector('landfall-upload')?.shadowRoot?.querySelector('.zone input[type=file]') != null;

const shown = () => document.querySelector('landfall-upload')?.shadowRoot?.querySelector('.list')?.textContent ?? '';

/** Starts a server, and a site with pages that show its element: directly, in a sandboxed frame, and in a third-party frame. */
export async function startSites(): Promise<{ server: EmbeddedLandfall; url: string }> {
  const server = await embedLandfall({ corsOrigins: '*' });
  const element = `<!doctype html><script type="module" src="${server.url}/landfall-upload.js"></script>
    <landfall-upload endpoint="${server.files}"></landfall-upload>`;
  const frame = (attributes: string) => `<!doctype html><iframe ${attributes} width="1000" height="700"></iframe>`;
  const site = createServer(({ url, headers }, response) => {
    const port = headers.host?.split(':')[1];
    const pages: Record<string, string> = {
      [PATHS.itself]: element,
      [PATHS.sandboxed]: frame(`sandbox="allow-scripts" src="${PATHS.itself}"`),
      [PATHS.thirdParty]: frame(`src="http://localhost:${port}${PATHS.itself}"`),
    };
    response.setHeader('Content-Type', 'text/html; charset=utf-8').end(pages[url ?? ''] ?? '');
  });
  const url = await listenForTest(site);
  return { server, url };
}

/** Checks that the browser denies the expected features, then sends a file. */
export async function expectToSend(
  { server }: Awaited<ReturnType<typeof startSites>>,
  frame: ElementFrame,
  missing: readonly string[],
): Promise<Video> {
  const film = await video('film.mp4', 9_000_000);
  await expect.poll(() => frame.evaluate(isReady)).toBe(true);
  expect(await frame.evaluate(denied)).toEqual(expect.arrayContaining([...missing]));
  await frame.choose(film.path);
  await expect.poll(() => frame.evaluate(shown), { timeout: 90_000 }).toMatch(/Upload complete|Failed|Refused/);
  expect(await frame.evaluate(shown)).toMatch(/Upload complete/);
  expect(await storedHashes(server.dataDir)).toEqual({ [film.name]: film.sha256 });
  return film;
}

/** The selector of the hidden input behind "Choose files". */
export const CHOOSER = 'landfall-upload .zone input[type=file]';
