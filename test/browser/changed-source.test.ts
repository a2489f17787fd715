// Another program changes a file while Chromium reads it. Chromium checks size and time with each read.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, it } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { CHANGES, expectNoMixture } from './changed-source.ts';
import { chooser } from './page-driver.ts';

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

it.each(CHANGES)('the server never stores a mixture of a file that is $how while Chromium sends it', async (change) => {
  const page = await browser.newPage();
  await expectNoMixture(
    {
      goto: (url) => page.goto(url),
      choose: (path) => chooser(page).setInputFiles(path),
      evaluate: <T>(script: () => T) => page.evaluate(script) as Promise<Awaited<T>>,
    },
    change,
  );
});
