// Chromium denies a page storage, databases and locks; the element sends files all the same.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium, type Frame, type Page } from 'playwright-core';
import { expect, it, onTestFinished } from 'vitest';
import { CHROMIUM_FLAGS } from '../support/chromium.ts';
import { chromiumPath } from '../support/needs.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { CHOOSER, type ElementFrame, expectToSend, PATHS, startSites } from './denied-storage.ts';

const MISSING = ['storage', 'locks', 'databases'];

/** Opens a page in a profile with these content settings, which a person can choose. */
async function openPage(profile: object): Promise<{ page: Page; problems: string[] }> {
  const directory = testDirectory();
  mkdirSync(join(directory, 'Default'));
  writeFileSync(join(directory, 'Default', 'Preferences'), JSON.stringify({ profile }));
  const executablePath = chromiumPath() ?? 'chromium';
  const context = await chromium.launchPersistentContext(directory, { executablePath, args: CHROMIUM_FLAGS, headless: true });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  return { page, problems };
}

function elementIn(frame: Frame): ElementFrame {
  return {
    evaluate: <T>(script: () => T) => frame.evaluate(script) as Promise<Awaited<T>>,
    choose: (path) => frame.locator(CHOOSER).first().setInputFiles(path),
  };
}

it.each([
  ['with all cookies blocked', { default_content_setting_values: { cookies: 2 } }, PATHS.itself],
  ['in a third-party frame, with third-party cookies blocked', { cookie_controls_mode: 1 }, PATHS.thirdParty],
  ['in a sandboxed frame', {}, PATHS.sandboxed],
])('the element sends a file in Chromium %s', async (_, settings, path) => {
  const sites = await startSites();
  const { page, problems } = await openPage(settings);
  await page.goto(sites.url + path);
  const frame = path === PATHS.itself ? page.mainFrame() : page.mainFrame().childFrames()[0];
  if (frame === undefined) throw new Error('The page has no frame with the element.');
  await expectToSend(sites, elementIn(frame), MISSING);
  expect(problems).toEqual([]);
});
