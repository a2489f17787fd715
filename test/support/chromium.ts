// The machine's own Chromium, driven by playwright-core.
import { type Browser, chromium } from 'playwright-core';
import { chromiumPath } from './needs.ts';

export const CHROMIUM_FLAGS: string[] = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  // Without these, it contacts hosts of its vendor at every start.
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
];

/** @param flags besides the usual ones @throws when there is no Chromium */
export function launchChromium(flags: readonly string[] = []): Promise<Browser> {
  const executablePath = chromiumPath();
  if (executablePath === undefined) throw new Error('There is no Chromium: install the package chromium, or set CHROMIUM_BIN.');
  // Without a locale, Chromium cannot open a file whose name is not ASCII.
  return chromium.launch({
    executablePath,
    args: [...CHROMIUM_FLAGS, ...flags],
    headless: true,
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  });
}
