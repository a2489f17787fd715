// A server that has every byte deletes nothing: whatever the person does on the page, it shows what became of the file.
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type {} from '../../client/element/define.ts';
import { launchChromium } from '../support/chromium.ts';
import { type EmbeddedLandfall, embedLandfall } from '../support/landfall-embedded.ts';
import { temporaryDirectory } from '../support/temp-dir.ts';
import { lookAt } from './look-at.ts';
import { button, chooser, expectState, PATIENCE, row, shownText, storedHashes, type Video, video, visit } from './page-driver.ts';

const MIB = 1024 * 1024;
const UNDO_WITHIN_MS = 10_000;

const { path: directory } = temporaryDirectory();
let browser: Browser;
let film: Video;
beforeAll(async () => {
  browser = await launchChromium();
  film = await video('film.mp4', 2 * MIB, 1, directory);
});
afterAll(() => browser.close());

interface Inspection {
  server: EmbeddedLandfall;
  /** Resolves when the server has every byte. */
  begun: Promise<void>;
  /** Ends the inspection. With a reason the file is refused. */
  end(reason?: string): void;
  /** Resolves at the verdict. */
  ended: Promise<void>;
}

/** A server whose inspection lasts until the test ends it. */
async function slowInspection(): Promise<Inspection> {
  const [begun, gate, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<string | undefined>(), Promise.withResolvers<void>()];
  const server = await embedLandfall(
    {},
    {
      checks: [
        {
          name: 'slow',
          async run() {
            begun.resolve();
            const reason = await gate.promise;
            return reason === undefined ? undefined : { code: 'ERR_CHECK_REFUSED', detail: reason };
          },
        },
      ],
      onEvent: ({ type }) => {
        if (type === 'upload.accepted' || type === 'upload.rejected') ended.resolve();
      },
    },
  );
  // Before the server closes, which waits for the inspection.
  onTestFinished(() => gate.resolve(undefined));
  return { server, begun: begun.promise, end: (reason) => gate.resolve(reason), ended: ended.promise };
}

/** The page cannot ask for records until the returned function is called, so it does not know that the server has every byte. */
async function withoutRecords(context: BrowserContext): Promise<() => void> {
  const held = Promise.withResolvers<void>();
  await context.route('**/status*', (route) => held.promise.then(() => route.continue()));
  onTestFinished(() => held.resolve());
  return () => held.resolve();
}

/** Sends the film until the server inspects it, while the page still waits for the server. */
async function sendUnnoticed({ server, begun }: Inspection): Promise<{ page: Page; release: () => void }> {
  const { page } = await visit(browser, server.url);
  const release = await withoutRecords(page.context());
  await page.clock.install();
  await page.clock.resume();
  await chooser(page).setInputFiles(film.path);
  await begun;
  await expectState(page, film.name, /Sent, waiting for the server/);
  return { page, release };
}

/** The names of the files that the page was told are accepted. */
async function acceptedNames(page: Page): Promise<() => Promise<string[]>> {
  await page.evaluate(() => {
    const names: string[] = [];
    document.addEventListener('landfall-accepted', (event) => names.push((event as CustomEvent).detail.name));
    Object.assign(window, { names });
  });
  return () => page.evaluate(() => (window as unknown as { names: string[] }).names);
}

/** The file behind the download link of a row. */
async function linked(page: Page, name: string): Promise<number> {
  const href = await row(page, name)
    .getByRole('link', { name: `Download: ${name}` })
    .getAttribute('href');
  return (await (await fetch(href ?? '')).arrayBuffer()).byteLength;
}

describe('an upload that is cancelled when the server has every byte', () => {
  it('is shown as complete with its link once the server has accepted it', async () => {
    const inspection = await slowInspection();
    const { page, release } = await sendUnnoticed(inspection);
    const names = await acceptedNames(page);
    await button(page, 'Cancel', film.name).click();
    await expectState(page, film.name, /Cancelled/);
    expect(await page.getByText('Nothing was uploaded').isVisible()).toBe(false);
    inspection.end();
    await inspection.ended;
    release();

    await page.clock.fastForward(UNDO_WITHIN_MS);
    await expectState(page, film.name, /Upload complete[\s\S]*Not cancelled: the server already had the whole file/);
    expect(await linked(page, film.name)).toBe(2 * MIB);
    expect(await names()).toEqual([film.name]);
    expect(await page.evaluate(() => document.querySelector('landfall-upload')?.snapshot.counts)).toMatchObject({
      accepted: 1,
      cancelled: 0,
    });
    await lookAt(page, 'cancelled-too-late');

    await page.reload();
    await page.getByRole('heading', { name: 'Previous uploads' }).waitFor();
    expect(await linked(page, film.name)).toBe(2 * MIB);
  });

  it('is listed with the previous uploads when the person has removed its row', async () => {
    const inspection = await slowInspection();
    const { page, release } = await sendUnnoticed(inspection);
    await button(page, 'Cancel', film.name).click();
    await page.getByRole('button', { name: 'Clear finished' }).click();
    expect(await row(page, film.name).count()).toBe(0);
    inspection.end();
    release();
    await page.getByRole('heading', { name: 'Previous uploads' }).waitFor(PATIENCE);
    expect(await linked(page, film.name)).toBe(2 * MIB);
  });

  it('is shown as refused when the server refuses it', async () => {
    const inspection = await slowInspection();
    const { page, release } = await sendUnnoticed(inspection);
    const cancelled = page.evaluate(() => document.querySelector('landfall-upload')?.cancel());
    await expectState(page, film.name, /Cancelled/);
    expect(await button(page, 'Upload again', film.name).count()).toBe(0);
    release();
    inspection.end('This film is not for us.');
    await cancelled;
    await expectState(page, film.name, /Refused[\s\S]*This film is not for us\./);
  });

  it('is said to be uncertain while the server cannot be reached', async () => {
    const inspection = await slowInspection();
    const { page, release } = await sendUnnoticed(inspection);
    let attempts = 0;
    await page.context().route('**/files/*', (route) => {
      if (route.request().method() === 'DELETE') attempts++;
      return route.abort();
    });
    void page.evaluate(() => document.querySelector('landfall-upload')?.cancel());
    // The client waits between its attempts to delete the upload.
    for (let attempt = 1; attempt <= 5; attempt++) {
      await expect.poll(() => attempts, PATIENCE).toBe(attempt);
      await page.clock.fastForward(UNDO_WITHIN_MS);
    }
    await expectState(page, film.name, /Cancelled[\s\S]*cannot be reached\. It may already have the whole file and accept it/);
    expect(await page.getByText('Nothing was uploaded').isVisible()).toBe(false);
    await lookAt(page, 'cancelled-uncertain');
    await page.context().unroute('**/files/*');
    release();
    inspection.end();
    await expectState(page, film.name, /Upload complete/);
  });
});

describe('an upload whose page was closed when the server had every byte', () => {
  async function closeAndReturn(inspection: Inspection, prepare: (context: BrowserContext) => Promise<unknown> = async () => {}) {
    const { page, release } = await sendUnnoticed(inspection);
    const context = page.context();
    await page.close();
    release();
    await context.unrouteAll({ behavior: 'ignoreErrors' });
    await prepare(context);
    const next = await context.newPage();
    await next.goto(`${inspection.server.url}/`);
    await next.getByRole('heading', { name: 'Unfinished uploads' }).waitFor();
    return next;
  }

  it('is shown as inspected on the next visit, and then with its link', async () => {
    const inspection = await slowInspection();
    const page = await closeAndReturn(inspection);
    const names = await acceptedNames(page);
    await expectState(page, film.name, /All data received\. The server is checking the file\./);
    expect(await button(page, 'Discard', film.name).count()).toBe(0);
    await lookAt(page, 'unfinished-inspected');

    inspection.end();
    await page.getByRole('heading', { name: 'Previous uploads' }).waitFor(PATIENCE);
    expect(await page.getByText('Unfinished uploads').isVisible()).toBe(false);
    expect(await linked(page, film.name)).toBe(2 * MIB);
    expect(await names()).toEqual([film.name]);
    await page.reload();
    await page.getByRole('heading', { name: 'Previous uploads' }).waitFor();
    expect(await page.getByText('Unfinished uploads').isVisible()).toBe(false);
  });

  it('is shown with the reason when the server refuses it', async () => {
    const inspection = await slowInspection();
    const page = await closeAndReturn(inspection);
    inspection.end('This film is not for us.');
    await expectState(page, film.name, /Refused[\s\S]*This film is not for us\./);
    await lookAt(page, 'unfinished-refused');
    expect(await page.getByText('Unfinished uploads').isVisible()).toBe(false);
    await button(page, 'Remove from list', film.name).click();
    expect(await row(page, film.name).count()).toBe(0);
    expect(await page.getByRole('button', { name: 'Choose files' }).evaluate((element) => element.matches(':focus'))).toBe(true);
  });

  it('is listed with its link when it is discarded before the page knew of the verdict', async () => {
    const inspection = await slowInspection();
    let release = () => {};
    const page = await closeAndReturn(inspection, async (context) => {
      release = await withoutRecords(context);
    });
    await page.clock.install();
    await page.clock.resume();
    await button(page, 'Discard', film.name).click();
    inspection.end();
    await inspection.ended;
    await page.clock.fastForward(UNDO_WITHIN_MS);
    await expect.poll(() => row(page, film.name).count(), PATIENCE).toBe(0);
    release();
    await page.getByRole('heading', { name: 'Previous uploads' }).waitFor(PATIENCE);
    expect(await linked(page, film.name)).toBe(2 * MIB);
    expect(await storedHashes(inspection.server.dataDir)).toEqual({ [film.name]: film.sha256 });
    expect(await shownText(page.getByRole('status'))).toMatch(/film\.mp4: upload complete/);
  });
});
