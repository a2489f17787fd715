// `landfall-server adopt` takes over another server's uploads, from every source to every staging.
import { expect, it, onTestFinished } from 'vitest';
import { videoBytes } from '../support/content.ts';
import { startLandfall } from '../support/landfall-process.ts';
import { operatorCommand } from '../support/operator-command.ts';
import type { OtherServer } from '../support/other-server.ts';
import { uploadWithStockClient } from '../support/stock-client.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord, terminateUpload } from '../support/tus-requests.ts';

const MIB = 1024 * 1024;

/** The client of a sender who waits. */
const PATIENT = Array.from({ length: 200 }, () => 300);

export interface Adoptable {
  /** @param names the form of the server's upload ids: its default, or another */
  start(names?: 'short' | 'folders'): Promise<OtherServer>;
  /** The command's flags that name the source. */
  flags: readonly string[];
  /** An id in the server's own form. */
  named(url: string): string;
  /** Settings of Landfall besides the data directory. */
  env?: Record<string, string>;
  /** The contents now, sorted. */
  everything(): Promise<string[]>;
}

/** @param open makes an empty place that goes when the running test ends */
export function testAdoption(open: () => Promise<Adoptable>): void {
  async function begin(names?: 'short' | 'folders') {
    const place = await open();
    const other = await place.start(names);
    const dataDir = testDirectory();
    const env = { LANDFALL_DATA_DIR: dataDir, ...place.env };
    const adopt = (...more: string[]) => operatorCommand(['adopt', ...place.flags, ...more], env);
    const serve = async () => {
      const server = await startLandfall({ dataDir, port: other.port, ...(place.env && { env: place.env }) });
      onTestFinished(() => server.kill());
      return server;
    };
    return { ...place, other, adopt, serve };
  }

  async function contentOf(url: string): Promise<Buffer> {
    const answer = await fetch(url);
    expect(answer.status).toBe(200);
    return Buffer.from(await answer.arrayBuffer());
  }

  it('lets an unmodified client finish at the same address what it began there', async () => {
    const { other, adopt, serve } = await begin();
    const bytes = await videoBytes(14 * MIB + 3);
    let answered = 0;
    const { promise: isHalf, resolve: half } = Promise.withResolvers<void>();
    const sending = uploadWithStockClient(other.files, bytes, 'film.mp4', {
      chunkSize: 3 * MIB,
      retryDelays: PATIENT,
      onAfterResponse: (request) => {
        if (request.getMethod() === 'PATCH' && ++answered === 3) half();
      },
    });
    await isHalf;
    await other.kill();
    expect(await adopt()).toMatchObject({ code: 0, err: '' });
    const server = await serve();
    const { outcome, url } = await sending;
    expect(outcome).toBe('success');
    expect(new URL(url).origin).toBe(server.url);
    expect(await readRecord(url)).toMatchObject({ state: 'accepted', name: 'film.mp4' });
    expect((await contentOf(url)).equals(bytes)).toBe(true);
    // It was taken over in the middle, and not started again.
    await expect.poll(() => server.log.filter(({ msg }) => msg === 'accepted')).toHaveLength(1);
    expect(answered).toBeLessThan(8);
  });

  it('inspects finished files, and keeps the originals until they are accepted', async () => {
    const { other, adopt, serve, everything, named } = await begin();
    const bytes = await videoBytes(6 * MIB);
    const good = await createUpload(other.files, { length: bytes.byteLength, name: 'film.mp4' });
    await patchUpload(good.url, 0, bytes);
    const bad = await createUpload(other.files, { length: 5000, name: 'film.mp4' });
    await patchUpload(bad.url, 0, Buffer.alloc(5000, 'no film'));
    await other.kill();
    const before = await everything();
    const first = await adopt('--delete');
    expect(first).toMatchObject({ code: 0, err: '' });
    expect(first.out).toContain('2 finished and 0 unfinished uploads adopted, 0 already here, 0 skipped; originals removed: 0');
    expect(await everything()).toEqual(before);
    const server = await serve();
    await expect.poll(async () => (await readRecord(good.url)).state).toBe('accepted');
    await expect.poll(async () => (await readRecord(bad.url)).state).toBe('rejected');
    expect((await contentOf(good.url)).equals(bytes)).toBe(true);
    expect((await headUpload(good.url)).offset).toBe(bytes.byteLength);
    await server.stop();
    const second = await adopt('--delete');
    expect(second.out).toContain('0 finished and 0 unfinished uploads adopted, 2 already here, 0 skipped; originals removed: 1');
    const left = await everything();
    expect(left.some((key) => key.includes(keyOf(named(bad.url))))).toBe(true);
    expect(left.some((key) => key.includes(keyOf(named(good.url))))).toBe(false);
    const again = await serve();
    expect((await contentOf(`${again.files}/${idOf(good.url)}`)).equals(bytes)).toBe(true);
  });

  it('accepts finished files unchecked with --trust, and finds them complete', async () => {
    const { other, adopt, serve } = await begin();
    const bytes = Buffer.alloc(7000, 'anything');
    const { url } = await createUpload(other.files, { length: 7000, name: '../odd name.exe' });
    await patchUpload(url, 0, bytes);
    await other.kill();
    expect(await adopt('--trust')).toMatchObject({ code: 0, err: '' });
    await serve();
    expect(await readRecord(url)).toMatchObject({ state: 'accepted', name: 'odd name.exe' });
    expect((await contentOf(url)).equals(bytes)).toBe(true);
  });

  it('prints what it would do with --dry-run, and does nothing', async () => {
    const { other, adopt, everything, serve, named } = await begin();
    const whole = await createUpload(other.files, { length: 1000, name: 'a.mp4' });
    await patchUpload(whole.url, 0, await videoBytes(1000));
    const half = await createUpload(other.files, { length: 9 * MIB, name: 'b.mp4' });
    await patchUpload(half.url, 0, (await videoBytes(9 * MIB)).subarray(0, 6 * MIB));
    await other.kill();
    const before = await everything();
    const told = await adopt('--dry-run', '--delete');
    expect(told).toMatchObject({ code: 0, err: '' });
    expect(told.out).toContain(`${named(whole.url)}  finished  1000 of 1000 bytes`);
    expect(told.out).toContain(`${named(half.url)}  unfinished  ${6 * MIB} of ${9 * MIB} bytes`);
    expect(told.out).toContain('1 finished and 1 unfinished uploads would be adopted');
    expect(await everything()).toEqual(before);
    await serve();
    expect((await headUpload(half.url)).status).toBe(404);
    // The same uploads can still be adopted.
    expect(before).toEqual(await everything());
  });

  it('adopts unfinished uploads at their offset, once, and removes the originals with --delete', async () => {
    const { other, adopt, everything, serve } = await begin();
    const bytes = await videoBytes(9 * MIB);
    const { url } = await createUpload(other.files, { length: bytes.byteLength, name: 'b.mp4', metadata: { extra: 'ä' } });
    await patchUpload(url, 0, bytes.subarray(0, 6 * MIB));
    const { offset, headers } = await headUpload(url);
    expect(offset).toBe(6 * MIB);
    const later = await createUpload(other.files, { name: 'c.mp4', headers: { 'Upload-Defer-Length': '1' } });
    await patchUpload(later.url, 0, bytes.subarray(0, 1000));
    await other.kill();
    expect((await adopt()).out).toContain('0 finished and 2 unfinished uploads adopted, 0 already here');
    expect((await adopt('--delete')).out).toContain(
      '0 finished and 0 unfinished uploads adopted, 2 already here, 0 skipped; originals removed: 2',
    );
    expect(await everything()).toEqual([]);
    await serve();
    const now = await headUpload(url);
    expect(now.offset).toBe(6 * MIB);
    const pairs = (text: string | null) => text?.split(',').sort();
    expect(pairs(now.headers.get('Upload-Metadata'))).toEqual(pairs(headers.get('Upload-Metadata')));
    expect(await patchUpload(url, 6 * MIB, bytes.subarray(6 * MIB))).toMatchObject({ status: 204, offset: bytes.byteLength });
    expect((await contentOf(url)).equals(bytes)).toBe(true);
    const rest = { 'Upload-Length': '2000' };
    expect(await patchUpload(later.url, 1000, bytes.subarray(1000, 2000), rest)).toMatchObject({ status: 204, offset: 2000 });
  });
}

/** The part of an upload's id that occurs in the names of its files. */
function keyOf(name: string): string {
  return name.split('/').at(-1)?.split('+')[0] ?? '';
}

/** For servers whose application chooses the names. */
export function testAdoptedNames(open: () => Promise<Adoptable>): void {
  it.for(['short', 'folders'] as const)('finds uploads with %s names at the addresses that they had', async (names) => {
    const place = await open();
    const other = await place.start(names);
    const bytes = await videoBytes(90_000);
    const { url } = await createUpload(other.files, { length: bytes.byteLength, name: 'b.mp4' });
    expect(idOf(url)).not.toMatch(/^[0-9a-f]{32}$/);
    await patchUpload(url, 0, bytes.subarray(0, 50_000));
    const gone = await createUpload(other.files, { length: 5000, name: 'c.mp4' });
    await other.kill();
    const dataDir = testDirectory();
    const env = { LANDFALL_DATA_DIR: dataDir, ...place.env };
    expect(await operatorCommand(['adopt', ...place.flags], env)).toMatchObject({ code: 0, err: '' });
    const server = await startLandfall({ dataDir, port: other.port, ...(place.env && { env: place.env }) });
    onTestFinished(() => server.kill());
    expect((await headUpload(url)).offset).toBe(50_000);
    expect((await headUpload(`${url}?x=1`)).status).toBe(404);
    expect((await headUpload(`${url}/more`)).status).toBe(404);
    expect((await headUpload(`${url}x`)).status).toBe(404);
    expect(await patchUpload(url, 50_000, bytes.subarray(50_000))).toMatchObject({ status: 204, offset: 90_000 });
    expect(await readRecord(url)).toMatchObject({ state: 'accepted', id: expect.stringMatching(/^[0-9a-f]{32}$/) });
    expect((await terminateUpload(gone.url)).status).toBe(204);
  });
}
