// The focus stays on the page when the button that has it goes away, and the tab's title says what the page says.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type {} from '../../client/element/define.ts';
import { launchChromium } from '../support/chromium.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { temporaryDirectory } from '../support/temp-dir.ts';
import { lookAt } from './look-at.ts';
import { button, chooser, expectState, PATIENCE, row, type Video, video, visit } from './page-driver.ts';

const MIB = 1024 * 1024;

const { path: directory } = temporaryDirectory();
let browser: Browser;
let film: Video;
beforeAll(async () => {
  browser = await launchChromium();
  film = await video('film.mp4', 4 * MIB, 1, directory);
});
afterAll(() => browser.close());

/** Sends the film through a slow line to a server that inspects it until `end` is called. */
async function sending(): Promise<{ page: Page; hurry: () => void; end: () => void }> {
  const gate = Promise.withResolvers<undefined>();
  const end = () => gate.resolve(undefined);
  const server = await embedLandfall({}, { checks: [{ name: 'slow', run: () => gate.promise }] });
  // Before the server closes, which waits for the inspection.
  onTestFinished(end);
  const proxy = await startFaultProxy({ upstream: server.url, bytesPerSecond: MIB });
  onTestFinished(() => proxy.close());
  const { page } = await visit(browser, proxy.url);
  await chooser(page).setInputFiles(film.path);
  await expectState(page, film.name, /Uploading/);
  const hurry = () => {
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
  };
  return { page, hurry, end };
}

async function focused(page: Page): Promise<string> {
  return page.evaluate(() => {
    const element = document.activeElement?.shadowRoot?.activeElement;
    return element?.getAttribute('aria-label') ?? element?.getAttribute('part') ?? 'nothing';
  });
}

async function pressTab(page: Page): Promise<string> {
  await page.keyboard.press('Tab');
  return focused(page);
}

describe('the focus stays', () => {
  it('in the row when the inspection takes its buttons away', async () => {
    const { page, hurry, end } = await sending();
    await button(page, 'Pause', film.name).focus();
    hurry();
    await expectState(page, film.name, /The server is checking the file/);
    expect(await focused(page)).toBe('row');
    await page.keyboard.press('Shift');
    await lookAt(page, 'focused-row');
    end();
    await expectState(page, film.name, /Upload complete/);
    expect(await pressTab(page)).toBe(`Download: ${film.name}`);
  });

  it('in the overview when the button for all uploads goes away', async () => {
    const { page, hurry, end } = await sending();
    const pauseAll = page.getByRole('button', { name: 'Pause all' });
    await pauseAll.focus();
    await page.keyboard.press('Enter');
    await expectState(page, film.name, /Paused/);
    expect(await page.getByRole('button', { name: 'Resume all' }).evaluate((element) => element.matches(':focus'))).toBe(true);
    await page.keyboard.press('Enter');
    await expectState(page, film.name, /Uploading/);
    expect(await pauseAll.evaluate((element) => element.matches(':focus'))).toBe(true);
    hurry();
    await expectState(page, film.name, /The server is checking the file/);
    expect(await focused(page)).toBe('All uploads');
    end();
    await expectState(page, film.name, /Upload complete/);
  });

  it('on a row of an unfinished upload when other files are added', async () => {
    const { page, hurry } = await sending();
    await page.reload();
    await button(page, 'Discard', film.name).focus();
    hurry();
    const other = join(directory, 'other.txt');
    await writeFile(other, 'Other words.\n');
    await chooser(page).setInputFiles(other);
    await row(page, 'other.txt').waitFor();
    expect(await focused(page)).toBe(`Discard: ${film.name}`);
  });
});

describe('the title of the tab', () => {
  it('shows no progress of an upload that was cancelled, also while this can be undone', async () => {
    const { page } = await sending();
    await expect.poll(() => page.title(), PATIENCE).toMatch(/^\d+% · /);
    await button(page, 'Cancel', film.name).click();
    await expectState(page, film.name, /Cancelled/);
    await expect.poll(() => page.title(), PATIENCE).not.toMatch(/%/);
    await button(page, 'Undo', film.name).click();
    await expect.poll(() => page.title(), PATIENCE).toMatch(/^\d+% · /);
  });
});

describe('the element', () => {
  it('saves a link under the endpoint that the file was sent to', async () => {
    const { page, hurry, end } = await sending();
    await page.evaluate(() => document.querySelector('landfall-upload')?.setAttribute('endpoint', 'files?project=42'));
    hurry();
    end();
    await expectState(page, film.name, /Upload complete/);
    const endpoints = await page.evaluate(() =>
      Object.entries(localStorage)
        .filter(([key]) => key.startsWith('landfall:arrived:'))
        .map(([, text]) => new URL(JSON.parse(text).endpoint).search),
    );
    expect(endpoints).toEqual(['']);
  });

  it('throws at once for options and an endpoint with which nothing could be sent', async () => {
    const server = await embedLandfall();
    const { page } = await visit(browser, server.url);
    const thrown = await page.evaluate(() => {
      const element = document.querySelector('landfall-upload');
      if (element === null) return [];
      const errorOf = (action: () => void) => {
        try {
          action();
          return 'nothing';
        } catch (error) {
          return `${error}`;
        }
      };
      const file = new File(['Words.\n'], 'words.txt');
      return [
        errorOf(() => Object.assign(element, { options: { chunkSize: 0 } })),
        errorOf(() => Object.assign(element, { options: { concurrency: 0 } })),
        errorOf(() => {
          element.setAttribute('endpoint', 'ftp://localhost/');
          element.add([file]);
        }),
        errorOf(() => {
          element.setAttribute('endpoint', 'files');
          element.add([file]);
        }),
      ];
    });
    expect(thrown).toEqual([
      expect.stringMatching(/^TypeError: `chunkSize`/),
      expect.stringMatching(/^TypeError: `concurrency`/),
      expect.stringMatching(/^TypeError: .*not an http address/),
      'nothing',
    ]);
    await expectState(page, 'words.txt', /Upload complete/);
  });
});
