// How tus-js-client 4.3.1 handles changing files and its own records, and how our client handles the same.
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

/** The package exports this class, but its types do not. */
const { FileUrlStorage } = tus as unknown as { FileUrlStorage: new (path: string) => tus.UrlStorage };

/** Runs a script of the stock client and resolves with how its process ended. */
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

/** Creates an upload of this length and sends its first bytes. */
async function createStarted({ server }: Sending, length: number, first: Uint8Array<ArrayBuffer>): Promise<string> {
  const headers = { 'Tus-Resumable': '1.0.0' };
  const created = await fetch(server.files, { method: 'POST', headers: { ...headers, 'Upload-Length': String(length) } });
  const url = new URL(created.headers.get('Location') ?? '', server.files).href;
  const patch = { ...headers, 'Upload-Offset': '0', 'Content-Type': 'application/offset+octet-stream' };
  await fetch(url, { method: 'PATCH', headers: patch, body: first });
  return url;
}

/** Sends part of a file and leaves a record as an ended process does. */
async function sendPart(sending: Sending, path: string): Promise<void> {
  sending.proxy.bytesPerSecond = 8 * MIB;
  const { handle } = sending.send(path, { chunkSize: 256 * 1024 });
  await reaches(handle, ({ confirmed }) => confirmed >= 512 * 1024);
  handle.pause();
  await reachesState(handle, 'paused');
  await expect.poll(async () => (await sending.store.list())[0]?.confirmed).toBe(handle.snapshot.confirmed);
  sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
}

describe('a source file', () => {
  test('that shrinks while it is sent hangs the stock client; ours reports it', async () => {
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

  test('that is unlinked while it is sent kills the process of the stock client; ours sends it whole', async () => {
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

  test('of another length is resumed by the stock client as a success; ours refuses it', async () => {
    const sending = await startSending();
    const bytes = await videoBytes(2 * MIB);
    const url = await createStarted(sending, 3 * MIB, bytes.subarray(0, MIB));
    expect(await sendStock(sending, bytes, { uploadUrl: url }).end).toBe('success');
    expect(await sending.stored()).toEqual([]);
    const { path } = await sending.video(2 * MIB);
    await sendPart(sending, path);
    const [record] = await sending.store.list();
    if (record === undefined) throw new Error('There is no record.');
    await sending.store.put({ ...record, url });
    expect(await failureOf(sending.send(path).handle)).toMatchObject({ state: 'failed', code: 'ERR_SOURCE_CHANGED' });
  });

  test('in a stream whose length is a multiple of the chunk size hangs the stock client; ours completes it', async () => {
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

describe('the record of an upload', () => {
  test('for an address that only has the same beginning is found by the stock client; ours tells the two apart', async () => {
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

  test('that is damaged kills the process of the stock client; ours ignores it', async () => {
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

  test('is overwritten in place by the stock client, so a crash damages it; ours writes a new file beside it', async () => {
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
  /** Starts a server that creates partial uploads and takes all their bytes, except those of the part that `failing` names. */
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

  test('continue in the stock client after one has failed', async () => {
    const sending = await concatenating((nth) => nth === 1);
    const { end } = sendStock(sending, await videoBytes(2 * MIB), { parallelUploads: 2, chunkSize: 64 * 1024 });
    expect(statusOf(await end)).toBe(403);
    const sent = () => requestsOf(sending, 'PATCH').length;
    const before = sent();
    await expect.poll(sent).toBeGreaterThan(before + 3);
  });

  test('lose their errors in the stock client after a pause; ours has no parts, and reports the error', async () => {
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
