// The page with other scripts and settings: right to left, zoomed in, on a small screen, in forced colours.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { accessibilityFaults, chooser, expectState, row, visit } from './page-driver.ts';

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

const LATIN = `${'words and more '.repeat(8)}end.exe`;
const ARABIC = `${'كلمات وأكثر '.repeat(10)}نهاية.exe`;

/** Chooses two files that the page refuses for their names, with a reason. */
async function withNames(page: Page): Promise<void> {
  const directory = testDirectory();
  const paths = [LATIN, ARABIC].map((name) => join(directory, name));
  for (const path of paths) await writeFile(path, 'MZ');
  await chooser(page).setInputFiles(paths);
  for (const name of [LATIN, ARABIC]) await expectState(page, name, /Refused/);
}

/** The positions of the parts of a name: its visible start, and its end with the extension. */
function positionsOf(page: Page, name: string) {
  return row(page, name)
    .locator('.name')
    .evaluate((element) => {
      const [stem, tail] = ['.stem', '.tail'].map((part) => element.querySelector(part)?.getBoundingClientRect());
      return { stem: stem?.left ?? Number.NaN, tail: tail?.left ?? Number.NaN };
    });
}

describe.each(['ltr', 'rtl'] as const)('on a page with direction %s', (direction) => {
  it('a name is laid out in the direction of its own script, with its extension at the end', async () => {
    const server = await embedLandfall();
    const { page } = await visit(browser, server.url, { viewport: { width: 768, height: 900 } });
    await page.evaluate((dir) => document.documentElement.setAttribute('dir', dir), direction);
    await withNames(page);
    const [latin, arabic] = [await positionsOf(page, LATIN), await positionsOf(page, ARABIC)];
    expect(latin.stem).toBeLessThan(latin.tail);
    expect(arabic.stem).toBeGreaterThan(arabic.tail);
    const reasons = page.locator('landfall-upload .reason:not([hidden])');
    expect(await reasons.evaluateAll((all) => all.map((each) => getComputedStyle(each).direction))).toEqual(['ltr', 'ltr']);
    const facts = page.locator('landfall-upload .row .fact bdi');
    expect(await facts.evaluateAll((all) => all.map((each) => getComputedStyle(each).direction))).toEqual(['ltr', 'ltr']);
    expect(await accessibilityFaults(page)).toEqual([]);
  });
});

describe('the empty page', () => {
  const overhang = (page: Page) =>
    page.evaluate(() => {
      const { scrollWidth, clientWidth, scrollHeight, clientHeight } = document.documentElement;
      return { x: scrollWidth - clientWidth, y: scrollHeight - clientHeight };
    });

  it('does not scroll on a screen of 1280 by 720', async () => {
    const server = await embedLandfall();
    const { page } = await visit(browser, server.url, { viewport: { width: 1280, height: 720 } });
    await page.getByText('Accepted:').waitFor();
    expect(await overhang(page)).toEqual({ x: 0, y: 0 });
  });

  it('scrolls down only when it is zoomed to 200 % there', async () => {
    const server = await embedLandfall();
    const { page } = await visit(browser, server.url, { viewport: { width: 640, height: 360 } });
    await page.getByText('Accepted:').waitFor();
    expect((await overhang(page)).x).toBe(0);
  });

  it.each([360, 768, 1024, 1280, 1440])('keeps its headline within the drawing at %i px', async (width) => {
    const server = await embedLandfall();
    const { page } = await visit(browser, server.url, { viewport: { width, height: 800 } });
    await page.getByText('Accepted:').waitFor();
    const crossings = await page.locator('landfall-upload').evaluate((element) => {
      const root = element.shadowRoot;
      const land = root?.querySelector<SVGGeometryElement>('.contours .land');
      const box = root?.querySelector('.zone h2')?.getBoundingClientRect();
      const toLand = land?.getScreenCTM()?.inverse();
      if (land === null || land === undefined || box === undefined || toLand === undefined) return ['nothing to look at'];
      const corners = [box.left, box.right].flatMap((x) => [box.top, box.bottom].map((y) => new DOMPoint(x, y)));
      return corners.filter((corner) => !land.isPointInFill(corner.matrixTransform(toLand))).map(({ x, y }) => `${x} ${y}`);
    });
    expect(crossings).toEqual([]);
  });
});

it('in forced colours every progress bar has a visible track', async () => {
  const server = await embedLandfall();
  const { page } = await visit(browser, server.url, { forcedColors: 'active' });
  const film = join(testDirectory(), 'film.mp4');
  await writeFile(film, 'x'.repeat(2_000_000));
  await page.route('**/files', () => {});
  await chooser(page).setInputFiles(film);
  await expectState(page, 'film.mp4', /Preparing/);
  const borders = await page.locator('landfall-upload').evaluate((element) => {
    const width = (selector: string, part?: string) => {
      const found = element.shadowRoot?.querySelector(selector);
      return found ? getComputedStyle(found, part).borderTopWidth : 'none';
    };
    return [width('.row .bar'), width('.course', '::before')];
  });
  expect(borders).toEqual(['1px', '1px']);
});
