// The three first pages, followed to the letter with the packages as npm would publish them. Only ports differ, and the place where npm
// finds these two packages.
import { mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { writeVideo } from '../support/content.ts';
import { freePort } from '../support/free-port.ts';
import { chromiumPath } from '../support/needs.ts';
import { ReadPage } from '../support/page-steps.ts';
import { temporaryDirectory } from '../support/temp-dir.ts';
import { packAll } from './packed.ts';

const { path: directory } = temporaryDirectory();
let tarballs: Record<string, string> = {};

beforeAll(async () => {
  tarballs = await packAll(directory);
}, 600_000);

/** Follows the page in an empty folder. The programs that it starts run until the test ends. */
async function follow(page: string, port: string): Promise<{ steps: number; folder: string; ports: Record<string, string> }> {
  const folder = join(directory, page.replaceAll(/\W/g, '-'));
  const globals = `${folder}-globals`;
  mkdirSync(folder);
  const ports = { [port]: String(await freePort()), '5173': String(await freePort()) };
  // A reader has the settings that npm needs to find its registry, and none of Landfall.
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:LANDFALL_|npm_|VITEST|NODE_ENV$)/.test(name)));
  const reading = new ReadPage({
    directory: folder,
    env: {
      ...own,
      PATH: [join(globals, 'bin'), dirname(process.execPath), own.PATH].join(delimiter),
      XDG_STATE_HOME: join(directory, 'state'),
      npm_config_prefix: globals,
      npm_config_audit: 'false',
      npm_config_fund: 'false',
      LANDFALL_PORT: ports[port] ?? '',
    },
    here: Object.fromEntries([
      ...Object.entries(ports).map(([documented, here]) => [`:${documented}`, `:${here}`]),
      ['--port 5173', `--port ${ports['5173']}`],
      ['listen(3000', `listen(${ports[port]}`],
    ]),
    tarballs,
  });
  onTestFinished(() => reading[Symbol.asyncDispose]());
  return { steps: await reading.follow(page), folder, ports };
}

it('an operator who follows the page gets a server, an accepted file and a refusal', async () => {
  const { steps, ports } = await follow('docs/start-operator.md', '1080');
  expect(steps).toBe(9);
  const page = await fetch(`http://127.0.0.1:${ports['1080']}/`);
  expect(await page.text()).toContain('<landfall-upload');
});

it('a back-end developer who follows the page gets uploads in an application', async () => {
  const { steps } = await follow('docs/start-back-end.md', '3000');
  expect(steps).toBe(10);
});

describe.skipIf(chromiumPath() === undefined)('a front-end developer who follows the page', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser.close());

  const said = (page: Page) => page.locator('#state').textContent();

  it('gets a page that sends a file and says why one is refused, and the element', async () => {
    const { steps, folder, ports } = await follow('docs/start-front-end.md', '1080');
    expect(steps).toBe(6);
    const film = join(folder, 'film.mp4');
    await writeVideo(film, 3_000_000);
    const markup = join(folder, 'page.html');
    writeFileSync(markup, '<!doctype html><script>alert(1)</script>');
    const page = await browser.newPage();
    const faults: Error[] = [];
    page.on('pageerror', (error) => faults.push(error));
    const origin = `http://localhost:${ports['5173']}`;

    await page.goto(`${origin}/`);
    await page.locator('#file').setInputFiles(film);
    await expect.poll(() => said(page)).toBe('Upload complete: film.mp4');
    expect((await fetch((await page.locator('#state a').getAttribute('href')) ?? '')).status).toBe(200);

    await page.locator('#file').setInputFiles(markup);
    await expect.poll(() => said(page)).toMatch(/not accepted/);

    await page.goto(`${origin}/element.html`);
    await page.locator('landfall-upload .zone input[type=file]').first().setInputFiles(film);
    await page.getByText('Upload complete').first().waitFor();
    expect(faults).toEqual([]);
  });
});
