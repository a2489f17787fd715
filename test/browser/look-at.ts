// Checks a page at the widths of a phone, a tablet, a small screen and a desktop, light and dark: no overflow, no accessibility fault.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import { accessibilityFaults, PATIENCE } from './page-driver.ts';

const WIDTHS = [360, 768, 1024, 1440] as const;
const SCHEMES = ['light', 'dark'] as const;
/** The folder for screenshots; without it none are taken. */
const FOLDER = process.env.LANDFALL_SCREENSHOTS;

/** @param state the name of the checked state, which starts the name of its screenshots */
export async function lookAt(page: Page, state: string): Promise<void> {
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: width < 500 ? 780 : 900 });
    const overhang = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    await expect.poll(overhang, { ...PATIENCE, message: `the page ${state} overflows sideways at ${width} px` }).toBe(0);
    for (const colorScheme of SCHEMES) {
      // Without screenshots each scheme is checked once: all eight combinations take a minute.
      if (FOLDER === undefined && colorScheme !== (width === 360 ? 'light' : width === 1440 ? 'dark' : undefined)) continue;
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      expect(await accessibilityFaults(page), `accessibility faults: ${state}, ${width} px, ${colorScheme}`).toEqual([]);
      if (FOLDER === undefined) continue;
      await mkdir(FOLDER, { recursive: true });
      await writeFile(join(FOLDER, `${state}-${width}-${colorScheme}.png`), await page.screenshot({ fullPage: true }));
    }
  }
}
