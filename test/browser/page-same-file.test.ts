// Files with the same name, size and date, added while one of them is being uploaded.
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type {} from '../../client/element/define.ts';
import { launchChromium } from '../support/chromium.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { lookAt } from './look-at.ts';
import { expectState, PATIENCE, row, visit } from './page-driver.ts';

const MIB = 1024 * 1024;
const NAME = 'notes.txt';

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

async function slowly() {
  const checksums: (string | null)[] = [];
  const server = await embedLandfall(
    {},
    {
      onEvent: ({ type, data }) => {
        if (type === 'upload.accepted') checksums.push(data.checksum);
      },
    },
  );
  const proxy = await startFaultProxy({ upstream: server.url, bytesPerSecond: MIB });
  onTestFinished(() => proxy.close());
  const { page, problems } = await visit(browser, proxy.url);
  return { page, proxy, checksums, problems };
}

/** Adds text files of the same name, size and date. Each is full of one letter. */
async function add(page: Page, ...letters: string[]): Promise<void> {
  await page.evaluate(
    ({ letters, name, bytes }) => {
      const files = letters.map((letter) => new File([letter.repeat(bytes)], name, { lastModified: 1_700_000_000_000 }));
      document.querySelector('landfall-upload')?.add(files);
    },
    { letters, name: NAME, bytes: 4 * MIB },
  );
}

describe('a file with the name, size and date of one that is being uploaded', () => {
  it('is uploaded too when its content differs, once', async () => {
    const { page, proxy, checksums, problems } = await slowly();
    await add(page, 'a');
    await expect.poll(() => proxy.bytes, PATIENCE).toBeGreaterThan(0);
    await add(page, 'b', 'b', 'a');
    await expect.poll(() => row(page, NAME).count(), PATIENCE).toBe(2);
    await page.getByText('notes.txt is already being uploaded.').first().waitFor();
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    await expect.poll(() => checksums.length, PATIENCE).toBe(2);
    await expect.poll(() => page.getByText('Upload complete').count(), PATIENCE).toBeGreaterThanOrEqual(2);
    expect(new Set(checksums).size).toBe(2);
    expect(await row(page, NAME).count()).toBe(2);
    expect(problems).toEqual([]);
  });

  it('is not uploaded twice when its content is the same, and its row says so', async () => {
    const { page, proxy, checksums } = await slowly();
    await add(page, 'a');
    await expect.poll(() => proxy.bytes, PATIENCE).toBeGreaterThan(0);
    await add(page, 'a');
    await expectState(page, NAME, /Uploading[\s\S]*notes\.txt is already being uploaded\./);
    await lookAt(page, 'added-again');
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    await expectState(page, NAME, /Upload complete/);
    expect(await row(page, NAME).count()).toBe(1);
    expect(checksums.length).toBe(1);
  });
});
