// A server whose bytes in progress are in a store of @tus/* behaves like any other.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import type { ConfigInput, LandfallHooks } from '../../server/index.ts';
import { crc32Of, filesBelow, videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { uploadWithStockClient } from '../support/stock-client.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, encodeMetadata, headUpload, patchUpload, readRecord, terminateUpload, tusRequest } from '../support/tus-requests.ts';

const MIB = 1024 * 1024;

export interface StoreUnderTest {
  config?: ConfigInput;
  hooks?: LandfallHooks;
  /** The contents of the store now. */
  everything(): Promise<string[]>;
  /** The final files, if they are not in the data directory. */
  files?(): Promise<Buffer[]>;
}

/** @param open makes an empty store that goes when the running test ends */
export function testStoreServer(open: () => Promise<StoreUnderTest>): void {
  async function serve(more: ConfigInput = {}, hooks: LandfallHooks = {}) {
    const store = await open();
    const dataDir = testDirectory();
    const start = () => embedLandfall({ ...store.config, ...more, dataDir }, { ...store.hooks, ...hooks });
    const files = async () => {
      const root = join(dataDir, 'files');
      return store.files?.() ?? Promise.all((await filesBelow(root)).map((name) => readFile(join(root, name))));
    };
    return { ...(await start()), start, store, finalFiles: files };
  }

  const expectNothingIn = (store: StoreUnderTest) =>
    vi.waitFor(async () => expect(await store.everything()).toEqual([]), { timeout: 60_000, interval: 50 });

  it('takes a file in pieces, over a restart, and leaves nothing in the store', async () => {
    const first = await serve();
    const bytes = await videoBytes(19 * MIB + 7);
    const { url } = await createUpload(first.files, { length: bytes.byteLength, name: 'film.mp4' });
    expect(await patchUpload(url, 0, bytes.subarray(0, 3 * MIB))).toMatchObject({ status: 204, offset: 3 * MIB });
    expect(await patchUpload(url, 3 * MIB, bytes.subarray(3 * MIB, 12 * MIB))).toMatchObject({ status: 204, offset: 12 * MIB });
    await first.close();
    const second = await first.start();
    const again = `${second.files}/${url.split('/').at(-1)}`;
    expect((await headUpload(again)).offset).toBe(12 * MIB);
    expect(await patchUpload(again, 12 * MIB, bytes.subarray(12 * MIB))).toMatchObject({ status: 204, offset: bytes.byteLength });
    expect(await readRecord(again)).toMatchObject({ state: 'accepted', checksum: crc32Of(bytes) });
    const files = await first.finalFiles();
    expect(files.map((file) => file.equals(bytes))).toEqual([true]);
    await expectNothingIn(first.store);
  });

  it('takes a file from an unmodified client, in chunks that fill no part', async () => {
    const { files, finalFiles, store } = await serve();
    const bytes = await videoBytes(7 * MIB);
    expect(await uploadWithStockClient(files, bytes, 'film.mp4', { chunkSize: 2 * MIB })).toMatchObject({ outcome: 'success' });
    expect((await finalFiles()).map((file) => file.equals(bytes))).toEqual([true]);
    await expectNothingIn(store);
  });

  it('refuses files that are no film, by their first bytes and by their whole content', async () => {
    const { files, finalFiles, store } = await serve({ allow: 'video,text' });
    const program = Buffer.alloc(MIB);
    program.write('MZ');
    expect(await uploadWithStockClient(files, program, 'film.mp4')).toMatchObject({ outcome: 'error', status: 422 });
    const text = Buffer.concat([Buffer.alloc(9000, 'text\n'), Buffer.from([0, 1, 2, 0])]);
    expect(await uploadWithStockClient(files, text, 'notes.txt', { chunkSize: 5000 })).toMatchObject({ outcome: 'error', status: 422 });
    expect(await finalFiles()).toEqual([]);
    await expectNothingIn(store);
  });

  it('holds back the last byte until the verdict', async () => {
    const { promise: verdict, resolve: decide } = Promise.withResolvers<void>();
    const check = { name: 'slow', run: () => verdict.then(() => undefined) };
    const { files } = await serve({ patience: 300 }, { checks: [check] });
    const bytes = await videoBytes(9000);
    const { url } = await createUpload(files, { length: 9000, name: 'film.mp4' });
    expect((await patchUpload(url, 0, bytes)).status).toBe(503);
    expect((await headUpload(url)).offset).toBe(8999);
    expect(await patchUpload(url, 8999, bytes.subarray(8999))).toMatchObject({ status: 204, offset: 8999 });
    decide();
    await expect.poll(async () => (await headUpload(url)).offset).toBe(9000);
    expect(await patchUpload(url, 8999, bytes.subarray(8999))).toMatchObject({ status: 204, offset: 9000 });
  });

  it('accepts a deferred length, and an empty file', async () => {
    const { files, finalFiles, store } = await serve({ allow: 'video,text', allowEmpty: true });
    const bytes = await videoBytes(9 * MIB);
    const { url } = await createUpload(files, { name: 'film.mp4', headers: { 'Upload-Defer-Length': '1' } });
    await patchUpload(url, 0, bytes.subarray(0, 6 * MIB));
    const rest = { 'Upload-Length': String(bytes.byteLength) };
    expect(await patchUpload(url, 6 * MIB, bytes.subarray(6 * MIB), rest)).toMatchObject({ status: 204, offset: 9 * MIB });
    expect((await createUpload(files, { length: 0, name: 'empty.txt' })).status).toBe(201);
    expect((await finalFiles()).map((file) => file.byteLength).sort()).toEqual([0, 9 * MIB]);
    await expectNothingIn(store);
  });

  it('discards a chunk that does not match its checksum, and accepts it when it does', async () => {
    const { files, finalFiles } = await serve();
    const bytes = await videoBytes(8 * MIB);
    const { url } = await createUpload(files, { length: bytes.byteLength, name: 'film.mp4' });
    expect((await patchUpload(url, 0, bytes.subarray(0, MIB))).offset).toBe(MIB);
    const rest = bytes.subarray(MIB);
    const damaged = Buffer.from(rest);
    damaged[5000] = (damaged[5000] ?? 0) ^ 1;
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-1', rest));
    const checksum = { 'Upload-Checksum': `sha1 ${Buffer.from(digest).toString('base64')}` };
    expect((await patchUpload(url, MIB, damaged, checksum)).status).toBe(460);
    expect((await headUpload(url)).offset).toBe(MIB);
    expect(await patchUpload(url, MIB, rest, checksum)).toMatchObject({ status: 204, offset: bytes.byteLength });
    expect((await finalFiles()).map((file) => file.equals(bytes))).toEqual([true]);
  });

  it('refuses a body with more bytes than declared, and continues with the right ones', async () => {
    const { files, finalFiles } = await serve();
    const bytes = await videoBytes(100_000);
    const { url } = await createUpload(files, { length: 60_000, name: 'film.mp4' });
    expect((await patchUpload(url, 0, new Blob([bytes]).stream())).status).toBe(413);
    const { offset = -1 } = await headUpload(url);
    expect(offset).toBeLessThan(60_000);
    expect(await patchUpload(url, offset, bytes.subarray(offset, 60_000))).toMatchObject({ status: 204, offset: 60_000 });
    expect((await finalFiles()).map((file) => file.equals(bytes.subarray(0, 60_000)))).toEqual([true]);
  });

  it('removes the bytes of a cancelled upload', async () => {
    const { files, store } = await serve();
    const { url } = await createUpload(files, { length: 60_000, name: 'film.mp4' });
    await patchUpload(url, 0, await videoBytes(50_000));
    expect(await store.everything()).not.toEqual([]);
    expect((await terminateUpload(url)).status).toBe(204);
    await expectNothingIn(store);
  });

  it('makes one upload of a repeated creation', async () => {
    const { files, store } = await serve();
    const headers = { 'Upload-Length': '5000', 'Upload-Metadata': encodeMetadata({ filename: 'film.mp4' }), 'Idempotency-Key': 'a' };
    const first = await tusRequest('POST', files, headers);
    const second = await tusRequest('POST', files, headers);
    expect(second.headers.get('Location')).toBe(first.headers.get('Location'));
    await terminateUpload(new URL(first.headers.get('Location') ?? '', files).href);
    await expectNothingIn(store);
  });
}
