// A file that another program changes while Chromium reads it: it looks at size and time with each read.
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

it.each(CHANGES)('a file that is $how while it is sent does not arrive as a mixture', async (change) => {
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
