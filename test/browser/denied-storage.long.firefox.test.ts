// Firefox denies a page storage, databases, locks and channels; the element sends files all the same.
import type { ElementHandle, Frame } from 'puppeteer-core';
import { expect, it, onTestFinished } from 'vitest';
import { launchFirefox } from '../support/firefox.ts';
import { CHOOSER, type ElementFrame, expectToSend, PATHS, startSites } from './denied-storage.ts';

/** Values of `network.cookie.cookieBehavior`. */
const BLOCKED = { ofOtherSites: 1, all: 2 };

function elementIn(frame: Frame): ElementFrame {
  return {
    evaluate: <T>(script: () => T) => frame.evaluate(script) as Promise<Awaited<T>>,
    choose: async (path) => {
      const input = (await frame.$(CHOOSER.replace(' ', ' >>> '))) as ElementHandle<HTMLInputElement> | null;
      await input?.uploadFile(path);
    },
  };
}

it.each([
  ['with all cookies blocked', BLOCKED.all, PATHS.itself, ['storage', 'locks', 'channels', 'databases']],
  ['in a third-party frame, with third-party cookies blocked', BLOCKED.ofOtherSites, PATHS.thirdParty, ['storage', 'channels']],
  ['in a sandboxed frame', BLOCKED.ofOtherSites, PATHS.sandboxed, ['storage', 'locks', 'databases']],
])('the element sends a file in Firefox %s', async (_, cookieBehavior, path, missing) => {
  const sites = await startSites();
  const browser = await launchFirefox({ 'network.cookie.cookieBehavior': cookieBehavior });
  onTestFinished(() => browser.close());
  const page = await browser.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  await page.goto(sites.url + path);
  const frame = path === PATHS.itself ? page.mainFrame() : page.mainFrame().childFrames()[0];
  if (frame === undefined) throw new Error('The page has no frame with the element.');
  await expectToSend(sites, elementIn(frame), missing);
  expect(problems).toEqual([]);
});
