// Another program changes a file while Firefox reads it. Firefox itself detects only a file that became shorter.
import type { Browser, ElementHandle } from 'puppeteer-core';
import { afterAll, beforeAll, it } from 'vitest';
import { launchFirefox } from '../support/firefox.ts';
import { CHANGES, expectNoMixture } from './changed-source.ts';

let browser: Browser;
beforeAll(async () => {
  browser = await launchFirefox();
});
afterAll(() => browser.close());

it.each(CHANGES)('the server never stores a mixture of a file that is $how while Firefox sends it', async (change) => {
  const page = await browser.newPage();
  // The page asks before the person leaves it during an upload; the test answers yes.
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
