// When the server requires a key, the page asks for it, keeps it for the tab, and resumes uploads once it gets a new one.
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { lookAt } from './look-at.ts';
import { accessibilityFaults, chooser, expectState, storedHashes, video, visit } from './page-driver.ts';

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

/** Starts a server that accepts these keys; a test revokes one by removing it from the list. */
async function withKeys(...keys: string[]) {
  const valid = new Set(keys);
  const shown: (string | undefined)[] = [];
  const server = await embedLandfall(
    {},
    {
      authenticate: ({ headers: { authorization } }) => {
        shown.push(authorization);
        return valid.has(authorization?.replace('Bearer ', '') ?? '') ? 'anna' : null;
      },
    },
  );
  return { ...server, valid, shown };
}

async function enter(page: Page, key: string): Promise<void> {
  await page.getByLabel('Your key').fill(key);
  await page.getByRole('button', { name: 'Continue' }).click();
}

describe('when the server requires a key', () => {
  it('the page asks for the key before the person chooses a file, and fits any width', async () => {
    const { url } = await withKeys('right');
    const { page, problems } = await visit(browser, url);
    await page.getByLabel('Your key').waitFor();
    await expect.poll(() => page.locator('landfall-upload').isVisible()).toBe(false);
    await lookAt(page, 'key');
    await enter(page, 'two words');
    await page.getByRole('alert').getByText('This is not a key').waitFor();
    await enter(page, 'wrong');
    await page.getByRole('alert').getByText('The server did not accept this key').waitFor();
    expect(await accessibilityFaults(page)).toEqual([]);
    await enter(page, 'right');
    await page.locator('landfall-upload').waitFor();
    expect(await page.getByLabel('Your key').isVisible()).toBe(false);
    expect(problems).toEqual([]);
  });

  it('uploads carry the key; the page keeps it across a reload, but not for another tab nor in lasting storage', async () => {
    const { url, dataDir, shown } = await withKeys('right');
    const { page } = await visit(browser, url);
    await enter(page, 'right');
    const film = await video('film.mp4', 300_000);
    await chooser(page).setInputFiles(film.path);
    await expectState(page, 'film.mp4', /Upload complete/);
    expect(await storedHashes(dataDir)).toEqual({ 'film.mp4': film.sha256 });
    await page.reload();
    await page.locator('landfall-upload').waitFor();
    expect(await page.getByLabel('Your key').isVisible()).toBe(false);
    const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, document.cookie]));
    expect(stored).not.toContain('right');
    const other = await page.context().newPage();
    await other.goto(`${url}/`);
    await other.getByLabel('Your key').waitFor();
    expect(shown).toContain('Bearer right');
  });

  it('the page asks once for a new key when the key expires during uploads, and they resume', async () => {
    const { url, dataDir, valid } = await withKeys('first', 'second');
    const { page } = await visit(browser, url);
    await enter(page, 'first');
    await page.locator('landfall-upload').waitFor();
    valid.delete('first');
    const films = await Promise.all(['a.mp4', 'b.mp4', 'c.mp4'].map((name, seed) => video(name, 200_000, seed)));
    await chooser(page).setInputFiles(films.map(({ path }) => path));
    await page.getByLabel('Your key').waitFor();
    // The page still shows the files.
    expect(await page.locator('landfall-upload').isVisible()).toBe(true);
    await enter(page, 'second');
    for (const { name } of films) await expectState(page, name, /Upload complete/);
    expect(Object.keys(await storedHashes(dataDir)).sort()).toEqual(['a.mp4', 'b.mp4', 'c.mp4']);
    expect(await page.getByLabel('Your key').isVisible()).toBe(false);
  });

  it('without storage the page keeps the key until it is closed', async () => {
    const { url } = await withKeys('right');
    const context = await browser.newContext();
    try {
      const page = await context.newPage();
      await page.addInitScript(() => {
        Object.defineProperty(globalThis, 'sessionStorage', {
          get() {
            throw new DOMException('denied', 'SecurityError');
          },
        });
      });
      await page.goto(`${url}/`);
      await enter(page, 'right');
      const film = await video('film.mp4', 100_000);
      await chooser(page).setInputFiles(film.path);
      await expectState(page, 'film.mp4', /Upload complete/);
    } finally {
      await context.close();
    }
  });
});

describe('the element', () => {
  it('sends the token from its attribute or property, and a changed token from then on', async () => {
    const { url, shown, valid } = await withKeys('one', 'two');
    const { page } = await visit(browser, url);
    await page.evaluate(() => {
      const element = document.createElement('landfall-upload');
      element.setAttribute('endpoint', 'files');
      element.setAttribute('token', 'one');
      document.querySelector('main')?.replaceChildren(element);
    });
    const [a, b] = [await video('a.mp4', 100_000, 1), await video('b.mp4', 100_000, 2)];
    await chooser(page).setInputFiles(a.path);
    await expectState(page, 'a.mp4', /Upload complete/);
    valid.delete('one');
    shown.length = 0;
    await page.evaluate(() => {
      const element = document.querySelector('landfall-upload');
      if (element) element.token = 'two';
    });
    await chooser(page).setInputFiles(b.path);
    await expectState(page, 'b.mp4', /Upload complete/);
    expect(new Set(shown)).toEqual(new Set(['Bearer two']));
  });

  it('asks its function for a token when it needs one, and once more when the server refuses the token', async () => {
    const { url, valid } = await withKeys('t1', 't2');
    const { page } = await visit(browser, url);
    await page.evaluate(() => {
      const element = document.createElement('landfall-upload');
      element.setAttribute('endpoint', 'files');
      const asked: string[] = [];
      element.getToken = async ({ reason }) => {
        asked.push(reason);
        return `t${asked.length}`;
      };
      Object.assign(window, { asked });
      document.querySelector('main')?.replaceChildren(element);
    });
    const [a, b] = [await video('a.mp4', 100_000, 1), await video('b.mp4', 100_000, 2)];
    const asked = () => page.evaluate(() => (window as unknown as { asked: string[] }).asked);
    await chooser(page).setInputFiles(a.path);
    await expectState(page, 'a.mp4', /Upload complete/);
    expect(await asked()).toEqual(['request']);
    valid.delete('t1');
    await chooser(page).setInputFiles(b.path);
    await expectState(page, 'b.mp4', /Upload complete/);
    expect(await asked()).toEqual(['request', 'unauthorized']);
  });

  it('shows no link to a file that its sender may not download', async () => {
    const { url } = await embedLandfall({ downloads: 'off' });
    const { page } = await visit(browser, url);
    const film = await video('film.mp4', 100_000);
    await chooser(page).setInputFiles(film.path);
    await expectState(page, 'film.mp4', /Upload complete/);
    expect(await page.getByRole('link', { name: /Download/ }).count()).toBe(0);
    expect(await page.getByRole('button', { name: /Copy link/ }).count()).toBe(0);
    await page.reload();
    await chooser(page).waitFor({ state: 'attached' });
    expect(await page.getByText('Previous uploads').isVisible()).toBe(false);
  });

  it('links to an accepted file by the signed address in the record', async () => {
    const { url } = await embedLandfall({ downloads: 'signed' });
    const { page } = await visit(browser, url);
    const film = await video('film.mp4', 100_000);
    await chooser(page).setInputFiles(film.path);
    await expectState(page, 'film.mp4', /Upload complete/);
    const href = await page.getByRole('link', { name: /Download/ }).getAttribute('href');
    expect((await fetch(String(href))).status).toBe(200);
  });
});
