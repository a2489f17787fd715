// Drives the page as a person does: finds elements by role and name, and uses them.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { expect, onTestFinished } from 'vitest';
import { filesBelow, sha256OfFile, writeVideo } from '../support/content.ts';
import { testDirectory } from '../support/temp-dir.ts';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** A timeout long enough for a busy machine; it measures nothing. */
export const PATIENCE = { timeout: 90_000, interval: 100 };

export interface Visit {
  page: Page;
  /** Script errors, and violations of the content security policy. */
  problems: string[];
}

/** Opens the page in a tab of a new browser context with these options. */
export async function visit(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => {
    if (/Content Security Policy/i.test(message.text())) problems.push(message.text());
  });
  // The page asks before the person leaves it during an upload; the test answers yes.
  page.on('dialog', (dialog) => void dialog.accept());
  await page.goto(url.endsWith('/') ? url : `${url}/`);
  await chooser(page).waitFor({ state: 'attached' });
  return { page, problems };
}

/** The hidden input behind "Choose files". */
export function chooser(page: Page): Locator {
  return page.locator('landfall-upload .zone input[type=file]').first();
}

export function row(page: Page, name: string): Locator {
  return page.getByRole('listitem').filter({ has: page.getByTitle(name, { exact: true }) });
}

export function button(page: Page, action: string, name: string): Locator {
  return page.getByRole('button', { name: `${action}: ${name}`, exact: true });
}

export async function expectState(page: Page, name: string, words: RegExp): Promise<void> {
  await expect.poll(() => shownText(row(page, name)), PATIENCE).toMatch(words);
}

/** The visible text, without hidden elements. */
export async function shownText(locator: Locator): Promise<string> {
  return (await locator.allInnerTexts()).join('\n');
}

export interface Video {
  path: string;
  name: string;
  sha256: string;
}

export async function video(name: string, bytes: number, seed = 1, directory: string = testDirectory()): Promise<Video> {
  const path = join(directory, name);
  return { path, name, sha256: await writeVideo(path, bytes, seed) };
}

/** SHA-256 of each accepted file, by file name. */
export async function storedHashes(dataDir: string): Promise<Record<string, string>> {
  const root = join(dataDir, 'files');
  const entries = await Promise.all(
    (await filesBelow(root)).map(async (path) => [path.replace(/^.*\//, ''), await sha256OfFile(join(root, path))] as const),
  );
  return Object.fromEntries(entries);
}

/** The faults that axe-core finds, one line each, including `moderate` and `minor` ones. */
export async function accessibilityFaults(page: Page): Promise<string[]> {
  await page.evaluate(await readFile(AXE, 'utf8'));
  return page.evaluate(async () => {
    const { axe } = window as unknown as { axe: { run(): Promise<{ violations: Violation[] }> } };
    interface Violation {
      id: string;
      impact: string;
      nodes: { html: string; failureSummary?: string }[];
    }
    const { violations } = await axe.run();
    return violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary ?? ''}`);
  });
}
