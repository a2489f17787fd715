// The machine's own Firefox, driven over WebDriver BiDi: playwright-core only drives builds of its own.
import puppeteer, { type Browser } from 'puppeteer-core';
import { firefoxPath } from './needs.ts';

/** @param preferences as in `about:config`; @throws when there is no Firefox */
export function launchFirefox(preferences: Readonly<Record<string, string | number | boolean>> = {}): Promise<Browser> {
  const executablePath = firefoxPath();
  if (executablePath === undefined) throw new Error('There is no Firefox: install the package firefox-esr, or set FIREFOX_BIN.');
  return puppeteer.launch({
    browser: 'firefox',
    executablePath,
    headless: true,
    // Its start is slow on a busy machine.
    timeout: 120_000,
    protocolTimeout: 120_000,
    extraPrefsFirefox: preferences,
  });
}
