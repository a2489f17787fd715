// A file that another program changes while Firefox reads it: that tells only of one that became shorter.
import type { Browser, ElementHandle } from 'puppeteer-core';
import { afterAll, beforeAll, it } from 'vitest';
import { launchFirefox } from '../support/firefox.ts';
import { CHANGES, expectNoMixture } from './changed-source.ts';

let browser: Browser;
beforeAll(async () => {
  browser = await launchFirefox();
});
afterAll(() => browser.close());

it.each(CHANGES)('a file that is $how while it is sent does not arrive as a mixture', async (change) => {
  const page = await browser.newPage();
  // Leaving while bytes move is asked about, and answered with yes.
  page.on('dialog', (dialog) => void dialog.accept());
  await expectNoMixture(
    {
      goto: (url) => page.goto(url),
      choose: async (path) => {
        const input = (await page.waitForSelector('landfall-upload >>> .zone input[type=file]')) as ElementHandle<HTMLInputElement> | null;
        await input?.uploadFile(path);
      },
      evaluate: <T>(script: () => T) => page.evaluate(script) as Promise<Awaited<T>>,
    },
    change,
  );
});
