// The client library in a page without the element: the behaviour that only a browser can show.
import { open as openFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeVideo } from '../support/content.ts';
import { dropFirstResponses } from '../support/fault-proxy.ts';
import { clientPagesForTests, ends, type Hand, open, send, snapshotOf, stateOf } from './client-driver.ts';

const MIB = 1024 * 1024;
const PATIENCE = { timeout: 60_000 };

const pages = clientPagesForTests();

describe('a file in Chromium', () => {
  it('is sent in chunks, and accepted with the same bytes', async () => {
    const { context, url, video, stored, proxy } = await pages.start();
    const { path, sha256 } = await video(40 * MIB);
    const page = await open(context, url);
    await send(page, path);
    expect(await ends(page)).toMatchObject({ result: { size: 40 * MIB, type: 'video/mp4', checksum: expect.stringMatching(/^crc32:/) } });
    expect(await stored()).toEqual([sha256]);
    const sizes = proxy.exchanges.filter(({ method, status }) => method === 'PATCH' && status === 204).map(({ bytes }) => bytes / MIB);
    // The client sends a few bytes first, which the server inspects early.
    expect(sizes.slice(0, 2)).toEqual([1 / 16, 8]);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(32);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(40);
  });

  it('resumes after cut connections and lost answers', async () => {
    const lose = dropFirstResponses(1, ['POST', 'HEAD', 'GET']);
    const { context, url, video, stored, proxy } = await pages.start((exchange) => {
      if (exchange.method === 'PATCH' && exchange.nth % 2 === 1) return { kind: 'cut', afterBytes: 3 * MIB, how: 'rst' };
      return lose(exchange);
    });
    const { path, sha256 } = await video(12 * MIB);
    const page = await open(context, url);
    await send(page, path);
    expect(await ends(page)).toMatchObject({ result: { size: 12 * MIB } });
    expect(await stored()).toEqual([sha256]);
    const offsets = proxy.exchanges.filter(({ method }) => method === 'PATCH').map(({ headers }) => Number(headers['upload-offset']));
    expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
    // The client sends no confirmed byte again. The server confirms nothing of a chunk with a checksum before it has the whole chunk.
    const cuts = proxy.exchanges.filter(({ fault }) => fault?.kind === 'cut').length;
    expect(proxy.bytes).toBeLessThanOrEqual((12 + 3 * cuts) * MIB);
  });

  it('is refused after kilobytes', async () => {
    const { context, url, proxy, directory } = await pages.start();
    const path = join(directory, 'film.mp4');
    await writeVideo(path, 64 * MIB);
    const file = await openFile(path, 'r+');
    await file.write('MZ\x90\0\x03\0\0\0\x04\0\0\0', 0, 'latin1');
    await file.close();
    const page = await open(context, url);
    await send(page, path);
    expect(await ends(page)).toEqual({ code: 'ERR_TYPE_MISMATCH' });
    expect(await stateOf(page)).toBe('rejected');
    expect(proxy.bytes).toBeLessThanOrEqual(64 * 1024);
  });

  it('waits while there is no network, and resumes by itself when the network returns', async () => {
    const { context, url, video, stored, proxy } = await pages.start();
    const { path, sha256 } = await video(12 * MIB);
    proxy.bytesPerSecond = 4 * MIB;
    const page = await open(context, url);
    await send(page, path, { chunkSize: MIB });
    await expect.poll(async () => (await snapshotOf(page)).confirmed, PATIENCE).toBeGreaterThan(2 * MIB);
    await context.setOffline(true);
    await expect.poll(async () => (await snapshotOf(page)).waiting?.reason, PATIENCE).toBe('offline');
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    await context.setOffline(false);
    expect(await ends(page)).toMatchObject({ result: { size: 12 * MIB } });
    expect(await stored()).toEqual([sha256]);
  });

  it('that was changed on disk meanwhile fails', async () => {
    const { context, url, video, proxy } = await pages.start();
    const { path } = await video(12 * MIB);
    proxy.bytesPerSecond = 2 * MIB;
    const page = await open(context, url);
    await send(page, path, { chunkSize: MIB });
    await expect.poll(async () => (await snapshotOf(page)).confirmed, PATIENCE).toBeGreaterThan(MIB);
    await writeVideo(path, 13 * MIB, 2);
    expect(await ends(page)).toEqual({ code: 'ERR_SOURCE_UNREADABLE' });
  });
});

describe('a file in two tabs', () => {
  it('is sent by one tab; the other waits and gets the same verdict', async () => {
    const { context, url, video, stored, proxy } = await pages.start();
    const { path, sha256 } = await video(12 * MIB);
    proxy.bytesPerSecond = 4 * MIB;
    const [one, two] = [await open(context, url), await open(context, url)];
    await send(one, path, { chunkSize: MIB });
    await expect.poll(async () => (await snapshotOf(one)).confirmed, PATIENCE).toBeGreaterThan(MIB);
    await send(two, path);
    await expect.poll(async () => (await snapshotOf(two)).waiting?.reason, PATIENCE).toBe('elsewhere');
    // The waiting tab shows the progress and the speed of the other.
    const following = () => two.evaluate(() => (window as unknown as Hand).told.filter(({ waiting }) => waiting?.reason === 'elsewhere'));
    await expect.poll(async () => (await following()).at(-1)?.confirmed, PATIENCE).toBeGreaterThan(4 * MIB);
    const [before, ...after] = (await following()).filter(({ sent }) => sent > 0);
    expect(after.at(-1)?.sent).toBeGreaterThan(before?.sent ?? 0);
    expect(after.at(-1)?.bytesPerSecond).toBeGreaterThan(0);
    const [first, second] = await Promise.all([ends(one), ends(two)]);
    expect(first).toMatchObject({ result: { size: 12 * MIB, resumed: false } });
    expect(second).toMatchObject({ result: { id: 'result' in first ? first.result.id : '', resumed: true } });
    expect(await stored()).toEqual([sha256]);
  });

  it('resumes in the other tab when the sending tab is closed', async () => {
    const { context, url, video, stored, proxy } = await pages.start();
    const { path, sha256 } = await video(16 * MIB);
    proxy.bytesPerSecond = 4 * MIB;
    const [one, two] = [await open(context, url), await open(context, url)];
    await send(one, path, { chunkSize: MIB });
    await expect.poll(async () => (await snapshotOf(one)).confirmed, PATIENCE).toBeGreaterThan(3 * MIB);
    await send(two, path);
    await expect.poll(async () => (await snapshotOf(two)).waiting?.reason, PATIENCE).toBe('elsewhere');
    await one.close();
    expect(await ends(two)).toMatchObject({ result: { resumed: true } });
    expect(await stored()).toEqual([sha256]);
    expect(proxy.exchanges.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });
});
