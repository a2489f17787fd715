// The page of an upload link, as a guest with the address sees it.
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { giveLink } from '../support/links.ts';
import { lookAt } from './look-at.ts';
import { accessibilityFaults, chooser, expectState, PATIENCE, shownText, storedHashes, video } from './page-driver.ts';

const DAY_MS = 86_400_000;
const GIB = 1024 ** 3;

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

async function open(address: string, options: Parameters<Browser['newContext']>[0] = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const problems: string[] = [];
  const asked: string[] = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => {
    if (/Content Security Policy/i.test(message.text())) problems.push(message.text());
  });
  page.on('request', (request) => asked.push(`${request.method()} ${request.url()}`));
  page.on('dialog', (dialog) => void dialog.accept());
  await page.goto(address);
  return { page, problems, asked };
}

const heading = (page: Page) => page.getByRole('heading', { level: 1 });

describe('an upload link', () => {
  it('shows its title, the accepted files and its deadline, and fits any width', async () => {
    const { url, dataDir } = await embedLandfall();
    const limits = { maxUploads: 12, maxUploadBytes: 200 * GIB, maxBytes: 1024 * GIB, allow: 'video,images' };
    const { token } = await giveLink(dataDir, { endsAt: new Date(2027, 0, 15, 18).getTime() + DAY_MS, limits });
    const { page, problems, asked } = await open(`${url}/link#${token}`);
    await page.getByText('Accepted:').waitFor();
    expect(await heading(page).textContent()).toBe('Footage for Anna');
    expect(await page.title()).toBe('Footage for Anna');
    const shown = await shownText(page.locator('body'));
    expect(shown).toMatch(/Open until January 16, 2027/);
    expect(shown).toContain('You can upload 12 more files. You have 1\u00a0TiB of space left.');
    expect(await shownText(page.locator('landfall-upload .rules'))).toMatch(/^Up to 200 GiB per file\. Accepted: .*video/);
    await lookAt(page, 'link');
    // The page sends the token in headers only.
    expect(asked.filter((line) => line.includes(token))).toEqual([]);
    expect(problems).toEqual([]);
  });

  it('takes files with the name and message of their sender, and shows no links to them', async () => {
    const { url, dataDir, landfall } = await embedLandfall({ access: ['links'] });
    const { token } = await giveLink(dataDir, { limits: { maxUploads: 5 } });
    const { page } = await open(`${url}/link#${token}`);
    await page.getByLabel('Your name (optional)').fill('Ben');
    await page.getByLabel('Message (optional)').fill('Two takes.\nThe second is better.');
    const films = await Promise.all(['take one.mp4', 'take two.mp4'].map((name, seed) => video(name, 300_000, seed)));
    const creations: string[] = [];
    page.on('request', (request) => {
      const metadata = request.headers()['upload-metadata'];
      if (metadata !== undefined) creations.push(metadata);
    });
    await chooser(page).setInputFiles(films.map(({ path }) => path));
    for (const { name } of films) await expectState(page, name, /Upload complete/);
    expect(Object.values(await storedHashes(dataDir)).sort()).toEqual(films.map(({ sha256 }) => sha256).sort());
    await page.getByText('You can upload 3 more files.').waitFor();
    expect(await page.getByRole('link', { name: /Download/ }).count()).toBe(0);
    expect(await page.getByRole('button', { name: /Copy/ }).count()).toBe(0);
    await lookAt(page, 'link-sent');
    const pairs = creations.map((line) => Object.fromEntries(line.split(',').map((pair) => pair.split(' ') as [string, string])));
    const texts = pairs.map(({ senderName = '', senderMessage = '' }) =>
      [senderName, senderMessage].map((text) => Buffer.from(text, 'base64').toString()),
    );
    expect(texts).toEqual(films.map(() => ['Ben', 'Two takes. The second is better.']));
    expect(landfall.config.access).toEqual(['links']);
  });

  it("does not show this browser's other uploads, and resumes an upload started on this link", async () => {
    const { url, dataDir } = await embedLandfall();
    const [one, other] = [await giveLink(dataDir), await giveLink(dataDir, { title: 'Another' })];
    const { page } = await open(`${url}/link#${one.token}`);
    await page.getByText('Accepted:').waitFor();
    const film = await video('film.mp4', 3_000_000);
    // The upload is cut off in the middle.
    await page.route('**/files/*', (route) => (route.request().method() === 'PATCH' ? route.abort() : route.continue()));
    await chooser(page).setInputFiles(film.path);
    await expectState(page, 'film.mp4', /Waiting/);
    await page.goto(`${url}/`);
    await page.getByText('Accepted:').waitFor();
    expect(await page.getByText('film.mp4').count()).toBe(0);
    await page.goto(`${url}/link#${other.token}`);
    await page.getByText('Accepted:').waitFor();
    expect(await heading(page).textContent()).toBe('Another');
    expect(await page.getByText('film.mp4').count()).toBe(0);
    await page.goto('about:blank');
    await page.goto(`${url}/link#${one.token}`);
    await page.getByRole('heading', { name: 'Unfinished uploads' }).waitFor();
    await page.unroute('**/files/*');
    await chooser(page).setInputFiles(film.path);
    await expectState(page, 'film.mp4', /Upload complete/);
  });
});

describe('a link that takes no more files says so', () => {
  const expectHeading = async (page: Page, title: string) => {
    await page.getByRole('heading', { name: title, level: 1 }).waitFor();
    expect(await page.locator('landfall-upload').count()).toBe(0);
    expect(await accessibilityFaults(page)).toEqual([]);
  };

  it('when it is used up, also while its page is open', async () => {
    const { url, dataDir } = await embedLandfall();
    const { token } = await giveLink(dataDir, { limits: { maxUploads: 1 } });
    const { page } = await open(`${url}/link#${token}`);
    await page.getByText('You can upload one more file.').waitFor();
    const film = await video('film.mp4', 100_000);
    await chooser(page).setInputFiles(film.path);
    await expectState(page, 'film.mp4', /Upload complete/);
    await page.getByText('All files that it allows have been uploaded.').waitFor();
    const more = await video('more.mp4', 100_000, 2);
    await chooser(page).setInputFiles(more.path);
    await expectState(page, 'more.mp4', /Your permission allows no more uploads/);
    await page.reload();
    await expectHeading(page, 'This link is used up');
    await lookAt(page, 'link-used-up');
  });

  it('when it has expired, was withdrawn, or is not valid', async () => {
    const { url, dataDir } = await embedLandfall();
    const over = await giveLink(dataDir, { endsAt: Date.now() - 1000 });
    await expectHeading((await open(`${url}/link#${over.token}`)).page, 'This link has expired');
    const withdrawn = await giveLink(dataDir);
    await withdrawn.withdraw();
    const { page } = await open(`${url}/link#${withdrawn.token}`);
    await expectHeading(page, 'This link was withdrawn');
    for (const nothing of ['', `#${over.token}0`, '#'])
      await expectHeading((await open(`${url}/link${nothing}`)).page, 'This link is not valid');
    // The guest pastes another link over the address.
    const { token } = await giveLink(dataDir);
    await page.evaluate((hash) => {
      location.hash = hash;
    }, token);
    await page.getByText('Accepted:').waitFor();
  });

  it('and resumes an upload that started in time', async () => {
    const { url, dataDir } = await embedLandfall();
    const { token } = await giveLink(dataDir, { limits: { maxUploads: 1 } });
    const { page } = await open(`${url}/link#${token}`);
    await page.getByText('Accepted:').waitFor();
    const film = await video('film.mp4', 3_000_000);
    await page.route('**/files/*', (route) => (route.request().method() === 'PATCH' ? route.abort() : route.continue()));
    await chooser(page).setInputFiles(film.path);
    await expectState(page, 'film.mp4', /Waiting/);
    await page.reload();
    await page.getByRole('heading', { name: 'This link is used up', level: 1 }).waitFor();
    await page.getByRole('heading', { name: 'Unfinished uploads' }).waitFor();
    await page.unroute('**/files/*');
    await chooser(page).setInputFiles(film.path);
    await expectState(page, 'film.mp4', /Upload complete/);
  });
});

describe('without script', () => {
  it('the guest pastes the address into a form, which fits any width', async () => {
    const { url, dataDir } = await embedLandfall({ access: ['links'] });
    const { token } = await giveLink(dataDir);
    const address = `${url}/link#${token}`;
    const { page } = await open(address, { javaScriptEnabled: false });
    const film = await video('film.mp4', 300_000);
    await page.getByLabel('Your upload link').fill(address);
    await page.getByLabel('Your name (optional)').fill('Ben');
    await page.getByLabel('Files to send').setInputFiles(film.path);
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await page.getByRole('heading', { name: 'Upload complete' }).waitFor();
    expect(await page.getByRole('link').allTextContents()).toEqual(['Upload more']);
    expect(await storedHashes(dataDir)).toEqual({ 'film.mp4': film.sha256 });
    await page.getByRole('link', { name: 'Upload more' }).click();
    await expect.poll(() => new URL(page.url()).pathname, PATIENCE).toBe('/link');
  });

  it('the form has no accessibility fault', async () => {
    const { url } = await embedLandfall();
    // Scripts of the page do not run, but axe-core, itself a script, must.
    const { page } = await open('about:blank');
    await page.route('**/assets/*.js', (route) => route.abort());
    await page.goto(`${url}/link`);
    await page.getByLabel('Your upload link').waitFor();
    await lookAt(page, 'link-form');
  });
});
