// The server's page in a real browser, against the real server.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import express from 'express';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { sha256 } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { accessibilityFaults, button, chooser, expectState, row, storedHashes, video, visit } from './page-driver.ts';

const MIB = 1024 * 1024;

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

const figure = (page: Page) => page.locator('landfall-upload .figure').textContent();

describe('a file that is accepted', () => {
  it('is stored with the same bytes, and can be downloaded from its row', async () => {
    const server = await embedLandfall();
    const film = await video('Küste – final.mp4', 20 * MIB);
    const { page, problems } = await visit(browser, server.url);

    expect(await accessibilityFaults(page)).toEqual([]);
    await chooser(page).setInputFiles(film.path);
    await expectState(page, film.name, /Upload complete/);
    expect(await accessibilityFaults(page)).toEqual([]);

    expect(await storedHashes(server.dataDir)).toEqual({ [film.name]: film.sha256 });
    const href = await page.getByRole('link', { name: `Download: ${film.name}` }).getAttribute('href');
    const download = await fetch(new URL(href ?? '', page.url()));
    expect(sha256(Buffer.from(await download.arrayBuffer()))).toBe(film.sha256);
    expect(await figure(page)).toBe('Upload complete');
    expect(problems).toEqual([]);
  });

  it('may be one of several that were chosen together', async () => {
    const server = await embedLandfall();
    const directory = testDirectory();
    const films = await Promise.all([1, 2, 3, 4, 5].map((seed) => video(`film-${seed}.mp4`, seed * MIB, seed, directory)));
    const { page } = await visit(browser, server.url);

    await chooser(page).setInputFiles(films.map(({ path }) => path));
    for (const { name } of films) await expectState(page, name, /Upload complete/);

    expect(await storedHashes(server.dataDir)).toEqual(Object.fromEntries(films.map((film) => [film.name, film.sha256])));
    expect(await figure(page)).toBe('All 5 uploads complete');

    await page.getByRole('button', { name: 'Clear finished' }).click();
    expect(await page.getByRole('listitem').count()).toBe(0);
  });

  it('may be sent to a server that is a part of another site', async () => {
    const server = await embedLandfall({}, {}, ({ handler }) => express().use('/team/uploads', handler));
    const film = await video('film.mp4', MIB);
    // Without the final slash the page's relative addresses would be wrong.
    const { page, problems } = await visit(browser, `${server.url}/team/uploads`);
    expect(new URL(page.url()).pathname).toBe('/team/uploads/');

    await chooser(page).setInputFiles(film.path);
    await expectState(page, film.name, /Upload complete/);
    expect(await storedHashes(server.dataDir)).toEqual({ [film.name]: film.sha256 });
    expect(problems).toEqual([]);
  });
});

describe('a file that is refused', () => {
  it('by its name or size is refused before the page sends a byte', async () => {
    const server = await embedLandfall({ maxUploadSize: '1MiB' });
    const directory = testDirectory();
    const [setup, nothing] = [join(directory, 'setup.exe'), join(directory, 'nothing.txt')];
    await writeFile(setup, 'MZ');
    await writeFile(nothing, '');
    const film = await video('film.mp4', 2 * MIB, 1, directory);
    const { page } = await visit(browser, server.url, { colorScheme: 'dark' });
    let requests = 0;
    page.on('request', (request) => {
      if (request.method() !== 'GET') requests++;
    });

    await chooser(page).setInputFiles([setup, nothing, film.path]);
    await expectState(page, 'setup.exe', /Refused[\s\S]*Files of this type are not accepted\./);
    await expectState(page, 'nothing.txt', /Refused[\s\S]*The file is empty\./);
    await expectState(page, 'film.mp4', /Refused[\s\S]*larger than this server accepts[\s\S]*2 MiB[\s\S]*1 MiB/);
    expect(requests).toBe(0);
    expect(await accessibilityFaults(page)).toEqual([]);
  });

  it('by its content shows the server’s reason, and is not stored', async () => {
    const server = await embedLandfall();
    const path = join(testDirectory(), 'holiday.jpg');
    await writeFile(path, `<!doctype html><script>alert(1)</script>${'x'.repeat(10_000)}`);
    const { page } = await visit(browser, server.url);

    await chooser(page).setInputFiles(path);
    await expectState(page, 'holiday.jpg', /Refused[\s\S]*The content of the file does not match its name\./);
    expect(await storedHashes(server.dataDir)).toEqual({});
    expect(await row(page, 'holiday.jpg').getByRole('link').count()).toBe(0);

    await button(page, 'Remove from list', 'holiday.jpg').click();
    expect(await row(page, 'holiday.jpg').count()).toBe(0);
    // The focused row is gone, so the page moves the focus to the button that chooses files.
    expect(await page.getByRole('button', { name: 'Choose files' }).evaluate((element) => element.matches(':focus'))).toBe(true);
  });

  it('with a hostile name shows it as text, without reversing the text around it', async () => {
    const server = await embedLandfall();
    const name = '<img src=x onerror=alert(1)> \u202egpj.exe';
    const path = join(testDirectory(), name);
    await writeFile(path, 'x');
    const { page, problems } = await visit(browser, server.url);
    await chooser(page).setInputFiles(path);
    await expectState(page, name.replace('\u202e', '·'), /Refused/);
    expect(await page.locator('landfall-upload img').count()).toBe(0);
    expect(problems).toEqual([]);
  });
});

describe('when the server does not answer which types it accepts', () => {
  it('a chosen file is listed at once, and sent soon', async () => {
    const server = await embedLandfall();
    const film = await video('film.mp4', MIB);
    const context = await browser.newContext();
    onTestFinished(() => context.close());
    const page = await context.newPage();
    await page.route('**/config', () => {});
    // The test decides when the time for the answer ends.
    await page.clock.install();
    await page.goto(`${server.url}/`);
    await chooser(page).setInputFiles(film.path);
    await expectState(page, film.name, /Preparing/);
    await page.clock.resume();
    await expectState(page, film.name, /Upload complete/);
    expect(await page.getByRole('listitem').count()).toBe(1);
    expect(await storedHashes(server.dataDir)).toEqual({ [film.name]: film.sha256 });
  });

  it('a chosen file is checked against the answer once it comes', async () => {
    const server = await embedLandfall();
    const setup = join(testDirectory(), 'setup.exe');
    await writeFile(setup, 'MZ');
    const context = await browser.newContext();
    onTestFinished(() => context.close());
    const page = await context.newPage();
    const answer = Promise.withResolvers<void>();
    await page.route('**/config', (route) => answer.promise.then(() => route.continue()));
    await page.clock.install();
    await page.goto(`${server.url}/`);
    await chooser(page).setInputFiles(setup);
    await expectState(page, 'setup.exe', /Preparing/);
    answer.resolve();
    await expectState(page, 'setup.exe', /Refused[\s\S]*Files of this type are not accepted\./);
  });
});

describe('without script', () => {
  it('a plain form sends the files and shows the result of each', async () => {
    const server = await embedLandfall();
    const directory = testDirectory();
    const film = await video('film.mp4', MIB, 1, directory);
    const fake = join(directory, 'fake.png');
    await writeFile(fake, 'not a picture at all');
    const context = await browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(`${server.url}/`);
    await page.getByLabel('Files to send').setInputFiles([film.path, fake]);
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await page.getByRole('heading', { name: 'Some files were not accepted' }).waitFor();
    expect(await page.getByRole('link', { name: 'film.mp4' }).isVisible()).toBe(true);
    expect(await storedHashes(server.dataDir)).toEqual({ 'film.mp4': film.sha256 });
    await page.getByRole('link', { name: 'Upload more' }).click();
    await page.getByLabel('Files to send').waitFor();
    await context.close();
  });
});
