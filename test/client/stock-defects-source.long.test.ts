// What tus-js-client 4.3.1 makes of files that change and of its own records, and what ours does with the same.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { readdir, stat, truncate, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import * as tus from 'tus-js-client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { interrupted } from '../../client/node.ts';
import { videoBytes } from '../support/content.ts';
import { REPOSITORY } from '../support/repository.ts';
import { failureOf, reaches, reachesState, type Sending, startSending } from './sending.ts';
import { isPending, requestsOf, sendStock, statusOf, stockUpload } from './stock-defects.ts';

const MIB = 1024 * 1024;

/** Exported, but not in its types. */
const { FileUrlStorage } = tus as unknown as { FileUrlStorage: new (path: string) => tus.UrlStorage };

/** Ends as the stock client's process does. */
async function runStock(script: string, ...parameters: string[]): Promise<{ code: number | null; stderr: string }> {
  const flags = ['--input-type=module', '-e', `import { createReadStream, unlinkSync } from 'node:fs';\n${script}`, '--'];
  const child = spawn(process.execPath, [...flags, ...parameters], { cwd: REPOSITORY, stdio: ['ignore', 'ignore', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const [code] = await once(child, 'close');
  return { code, stderr };
}

/** An upload of this length with its first bytes on the server. */
async function begun({ server }: Sending, length: number, first: Uint8Array<ArrayBuffer>): Promise<string> {
  const headers = { 'Tus-Resumable': '1.0.0' };
  const created = await fetch(server.files, { method: 'POST', headers: { ...headers, 'Upload-Length': String(length) } });
  const url = new URL(created.headers.get('Location') ?? '', server.files).href;
  const patch = { ...headers, 'Upload-Offset': '0', 'Content-Type': 'application/offset+octet-stream' };
  await fetch(url, { method: 'PATCH', headers: patch, body: first });
  return url;
}

/** Leaves a record as an ended process does. */
async function sendPart(sending: Sending, path: string): Promise<void> {
  sending.proxy.bytesPerSecond = 8 * MIB;
  const { handle } = sending.send(path, { chunkSize: 256 * 1024 });
  await reaches(handle, ({ confirmed }) => confirmed >= 512 * 1024);
  handle.pause();
  await reachesState(handle, 'paused');
  await expect.poll(async () => (await sending.store.list())[0]?.confirmed).toBe(handle.snapshot.confirmed);
  sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
}

describe('a file', () => {
  test('that shrinks while it is sent holds the stock client; ours says so', async () => {
    const sending = await startSending();
    const [{ path: first }, { path: second }] = await Promise.all([sending.video(4 * MIB, 'a.mp4'), sending.video(4 * MIB, 'b.mp4')]);
    sending.proxy.bytesPerSecond = 8 * MIB;
    const { end } = sendStock(sending, createReadStream(first), { chunkSize: MIB });
    await expect.poll(() => requestsOf(sending, 'PATCH').length, { timeout: 60_000 }).toBe(1);
    await truncate(first, 2.5 * MIB);
    const { handle } = sending.send(second, { chunkSize: MIB });
    await reaches(handle, ({ state }) => state === 'uploading');
    await truncate(second, 2.5 * MIB);
    expect(await failureOf(handle)).toMatchObject({ state: 'failed', code: 'ERR_SOURCE_CHANGED' });
    expect(await isPending(end)).toBe(true);
  });

  test('that loses its name while it is sent kills the process of the stock client; of ours it arrives', async () => {
    const sending = await startSending();
    const [{ path: first }, { path: second, sha256: sum }] = await Promise.all([
      sending.video(4 * MIB, 'a.mp4'),
      sending.video(4 * MIB, 'b.mp4'),
    ]);
    const { code, stderr } = await runStock(
      `import { Upload } from 'tus-js-client';
      const [endpoint, path] = process.argv.slice(1);
      new Upload(createReadStream(path), {
        endpoint, chunkSize: ${MIB}, metadata: { filename: 'film.mp4' },
        onChunkComplete: () => { try { unlinkSync(path); } catch {} },
        onError: () => process.exit(0), onSuccess: () => process.exit(0),
      }).start();`,
      sending.server.files,
      first,
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/Unhandled 'error' event[\s\S]*ENOENT/);
    sending.proxy.bytesPerSecond = 8 * MIB;
    const { handle } = sending.send(second, { chunkSize: MIB });
    await reaches(handle, ({ confirmed }) => confirmed >= MIB);
    await unlink(second);
    await handle.done;
    expect(await sending.stored()).toEqual([sum]);
  });

  test('of another length is resumed by the stock client with success; ours refuses', async () => {
    const sending = await startSending();
    const bytes = await videoBytes(2 * MIB);
    const url = await begun(sending, 3 * MIB, bytes.subarray(0, MIB));
    expect(await sendStock(sending, bytes, { uploadUrl: url }).end).toBe('success');
    expect(await sending.stored()).toEqual([]);
    const { path } = await sending.video(2 * MIB);
    await sendPart(sending, path);
    const [record] = await sending.store.list();
    if (record === undefined) throw new Error('There is no record.');
    await sending.store.put({ ...record, url });
    expect(await failureOf(sending.send(path).handle)).toMatchObject({ state: 'failed', code: 'ERR_SOURCE_CHANGED' });
  });

  test('in a stream as long as a multiple of the chunks holds the stock client; ours ends', async () => {
    const sending = await startSending();
    const { path } = await sending.video(2 * MIB);
    const { end } = sendStock(sending, Readable.from(createReadStream(path), { objectMode: false }), {
      uploadLengthDeferred: true,
      chunkSize: MIB,
    });
    await expect.poll(() => requestsOf(sending, 'PATCH').map(({ status }) => status), { timeout: 60_000 }).toEqual([204, 204]);
    const { handle } = sending.send({ stream: createReadStream(path), name: 'film.mp4' }, { chunkSize: MIB });
    expect(await handle.done).toMatchObject({ size: 2 * MIB });
    expect(await isPending(end)).toBe(true);
  });
});

describe('a record', () => {
  test('of an address that only begins alike is found by the stock client; ours tells them apart', async () => {
    const sending = await startSending();
    const { path } = await sending.video(2 * MIB);
    const urlStorage = new FileUrlStorage(join(sending.directory, 'stock.json'));
    const { files } = sending.server;
    const elsewhere = stockUpload(createReadStream(path), { endpoint: `${files}-archive`, urlStorage });
    const fingerprint = await elsewhere.upload.options.fingerprint?.(elsewhere.upload.file as File, elsewhere.upload.options);
    await urlStorage.addUpload(fingerprint ?? '', {
      size: 1,
      metadata: {},
      creationTime: '',
      urlStorageKey: '',
      uploadUrl: 'x',
      parallelUploadUrls: null,
    });
    const here = stockUpload(createReadStream(path), { endpoint: files, urlStorage });
    expect(await here.upload.findPreviousUploads()).toEqual([expect.objectContaining({ uploadUrl: 'x' })]);

    await sendPart(sending, path);
    const [record] = await interrupted(sending.store);
    if (record === undefined) throw new Error('There is no record.');
    const { endpoint, key } = record;
    await sending.store.remove(key);
    await sending.store.put({ ...record, endpoint: `${endpoint}-archive`, key: key.replace(endpoint, `${endpoint}-archive`) });
    const { handle } = sending.send(path);
    await handle.done;
    expect(handle.snapshot.resumedFrom).toBe(0);
    expect(await interrupted(sending.store)).toHaveLength(1);
  });

  test('that is no longer whole kills the process of the stock client; for ours it is none', async () => {
    const sending = await startSending();
    const { path } = await sending.video(2 * MIB);
    const stockStore = join(sending.directory, 'stock.json');
    await writeFile(stockStore, '{"tus::x": {"up');
    const { code, stderr } = await runStock(
      `import { FileUrlStorage, Upload } from 'tus-js-client';
      const [endpoint, path, store] = process.argv.slice(1);
      const end = () => process.exit(0);
      new Upload(createReadStream(path), { endpoint, urlStorage: new FileUrlStorage(store), onError: end, onSuccess: end }).start();`,
      sending.server.files,
      path,
      stockStore,
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/SyntaxError/);
    await sendPart(sending, path);
    const [record] = await sending.store.list();
    const own = join(sending.directory, 'state', 'uploads');
    const [name = ''] = await readdir(own);
    await writeFile(join(own, name), JSON.stringify(record).slice(0, 50));
    const { handle } = sending.send(path);
    await handle.done;
    expect(handle.snapshot.resumedFrom).toBe(0);
  });

  test('is written by the stock client over the old one, which a crash leaves half done; by ours beside it', async () => {
    const sending = await startSending();
    const { path } = await sending.video(2 * MIB);
    const stockStore = join(sending.directory, 'stock.json');
    const urlStorage = new FileUrlStorage(stockStore);
    const nothing = { size: 1, metadata: {}, creationTime: '', urlStorageKey: '', uploadUrl: 'x', parallelUploadUrls: null };
    await urlStorage.addUpload('one', nothing);
    const before = await stat(stockStore);
    await urlStorage.addUpload('two', nothing);
    expect((await stat(stockStore)).ino).toBe(before.ino);

    await sendPart(sending, path);
    const [record] = await sending.store.list();
    if (record === undefined) throw new Error('There is no record.');
    const own = join(sending.directory, 'state', 'uploads');
    const [name = ''] = await readdir(own);
    const old = await stat(join(own, name));
    await sending.store.put(record);
    expect((await stat(join(own, name))).ino).not.toBe(old.ino);
    expect(await readdir(own)).toEqual([name]);
  });
});

describe('parts sent at the same time', () => {
  /** A server that makes partial uploads and takes all their bytes, but for the part that is to fail. */
  const concatenating = (failing: (nth: number) => boolean) => {
    let uploads = 0;
    return startSending(({ method, path, headers }) => {
      if (method === 'POST') return { kind: 'answer', status: 201, headers: { Location: `/files/part-${++uploads}` } };
      if (failing(Number(path.split('-').at(-1)))) return { kind: 'answer', status: 403 };
      const offset = Number(headers['upload-offset'] ?? 0) + Number(headers['content-length'] ?? 0);
      return {
        kind: 'answer',
        status: method === 'HEAD' ? 200 : 204,
        headers: { 'Upload-Offset': String(offset), 'Upload-Length': String(MIB) },
      };
    });
  };

  test('go on in the stock client after one has failed', async () => {
    const sending = await concatenating((nth) => nth === 1);
    const { end } = sendStock(sending, await videoBytes(2 * MIB), { parallelUploads: 2, chunkSize: 64 * 1024 });
    expect(statusOf(await end)).toBe(403);
    const sent = () => requestsOf(sending, 'PATCH').length;
    const before = sent();
    await expect.poll(sent).toBeGreaterThan(before + 3);
  });

  test('lose their errors in the stock client after a pause; ours has no parts, and tells', async () => {
    const sending = await concatenating(() => true);
    const bytes = await videoBytes(2 * MIB);
    const { upload, end } = stockUpload(bytes, { endpoint: `${sending.proxy.url}/files`, parallelUploads: 2 });
    upload.start();
    void upload.abort();
    upload.start();
    await expect.poll(() => requestsOf(sending, 'PATCH').length).toBeGreaterThan(1);
    const { handle } = sending.send(bytes, { name: 'film.mp4', ...{ parallelUploads: 2 } });
    handle.pause();
    handle.resume();
    expect(await failureOf(handle)).toMatchObject({ state: 'failed', code: 'ERR_FORBIDDEN' });
    expect(requestsOf(sending, 'POST').at(-1)?.headers['upload-concat']).toBeUndefined();
    expect(await isPending(end)).toBe(true);
  });
});
