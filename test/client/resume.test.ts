// A client resumes after its process ended: it sends no acknowledged byte again, and resumes only the same file.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readdir, readFile, stat, truncate, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { UploadSnapshot } from '../../client/node.ts';
import { forget, interrupted, upload } from '../../client/node.ts';
import { sha256, sha256OfFile, videoBytes, writeVideo } from '../support/content.ts';
import { REPOSITORY } from '../support/repository.ts';
import { failureOf, reaches, reachesState, type Sending, startSending } from './sending.ts';

const MIB = 1024 * 1024;

function spawnSender(source: string, sending: Sending, ...more: string[]): ChildProcess {
  const script = join(REPOSITORY, 'test/client/sender-process.ts');
  const child = spawn(process.execPath, [script, source, `${sending.proxy.url}/files`, join(sending.directory, 'state'), ...more], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

async function untilSnapshot(child: ChildProcess, matches: (snapshot: UploadSnapshot) => boolean): Promise<UploadSnapshot> {
  if (child.stdout === null) throw new Error('The output of the child process is not a pipe.');
  for await (const line of createInterface(child.stdout)) {
    const { snapshot } = JSON.parse(line) as { snapshot?: UploadSnapshot };
    if (snapshot !== undefined && matches(snapshot)) return snapshot;
  }
  throw new Error('The child process ended before a snapshot matched.');
}

/** Sends part of a file and stops as an ended process does: only the record stays. */
async function sendPart(sending: Sending, path: string, bytes: number): Promise<UploadSnapshot> {
  sending.proxy.bytesPerSecond = 8 * MIB;
  const { handle } = sending.send(path, { chunkSize: 256 * 1024 });
  await reaches(handle, ({ confirmed }) => confirmed >= bytes);
  handle.pause();
  await reachesState(handle, 'paused');
  await expect.poll(async () => (await sending.store.list())[0]?.confirmed).toBe(handle.snapshot.confirmed);
  sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
  return handle.snapshot;
}

describe('after a killed process', () => {
  test("the next process resumes at the server's offset", async () => {
    const sending = await startSending();
    const { path, sha256: sum } = await sending.video(16 * MIB);
    sending.proxy.bytesPerSecond = 8 * MIB;
    const child = spawnSender(path, sending);
    await expect.poll(() => sending.proxy.bytes, { timeout: 60_000 }).toBeGreaterThan(6 * MIB);
    child.kill('SIGKILL');
    await once(child, 'exit');
    sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;

    const [record] = await interrupted(sending.store);
    expect(record).toMatchObject({ name: 'film.mp4', size: 16 * MIB, path });
    const { handle } = sending.send(path);
    const result = await handle.done;
    expect(result.resumed).toBe(true);
    expect(handle.snapshot.resumedFrom).toBeGreaterThan(MIB);
    expect(handle.snapshot.url).toBe(record?.url);
    expect(result.checksum).toMatch(/^crc32:/);
    expect(await sending.stored()).toEqual([sum]);
    expect(await interrupted(sending.store)).toEqual([]);
  });

  test('that had sent the creation and got no answer, the server has one upload', async () => {
    const sending = await startSending(({ method, nth }) => (method === 'POST' && nth === 1 ? { kind: 'delay', ms: 60_000 } : undefined));
    const { path } = await sending.video(100_000);
    const child = spawnSender(path, sending);
    await expect.poll(() => sending.proxy.exchanges[0]?.status, { timeout: 60_000 }).toBe(201);
    child.kill('SIGKILL');
    await once(child, 'exit');
    // The client repeats the first creation, even when the application now names the file differently.
    await sending.send(path, { metadata: { project: 'later' } }).handle.done;
    const locations = sending.proxy.exchanges.filter(({ method }) => method === 'POST').map(({ answer }) => answer?.location);
    expect(locations).toHaveLength(2);
    expect(locations[0]).toBe(locations[1]);
    expect(await sending.stored()).toHaveLength(1);
  });

  test('that was waiting for the verdict, the next process gets the verdict', async () => {
    const release = Promise.withResolvers<void>();
    const check = { name: 'slow', run: () => release.promise.then(() => undefined) };
    const sending = await startSending(undefined, {}, { checks: [check] });
    const { path } = await sending.video(100_000);
    const child = spawnSender(path, sending);
    await untilSnapshot(child, ({ state }) => state === 'inspecting');
    child.kill('SIGKILL');
    await once(child, 'exit');
    release.resolve();
    await expect.poll(async () => (await sending.stored()).length, { timeout: 60_000 }).toBe(1);
    expect(await sending.send(path).handle.done).toMatchObject({ resumed: true, type: 'video/mp4' });
    expect(sending.proxy.exchanges.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });
});

test('a refused upload whose `done` nobody awaits does not end the process', async () => {
  const sending = await startSending();
  const path = join(sending.directory, 'photo.jpg');
  await writeFile(path, 'MZ this is a program');
  const child = spawnSender(path, sending);
  await untilSnapshot(child, ({ state }) => state === 'rejected');
  const [code] = await once(child, 'exit');
  expect(code).toBe(0);
});

describe('a source file or buffer', () => {
  test('with other content under the same name, size and time is refused, and is a new upload after that', async () => {
    const sending = await startSending();
    const { path } = await sending.video(2 * MIB);
    await sendPart(sending, path, MIB);
    const { atime, mtime } = await stat(path);
    const other = await writeVideo(path, 2 * MIB, 2);
    await utimes(path, atime, mtime);
    expect(await failureOf(sending.send(path).handle)).toMatchObject({ state: 'failed', code: 'ERR_SOURCE_CHANGED' });
    const { handle } = sending.send(path);
    await handle.done;
    expect(handle.snapshot.resumedFrom).toBe(0);
    expect(await sending.stored()).toEqual([other]);
  });

  test('that was changed meanwhile is a new upload', async () => {
    const sending = await startSending();
    const { path } = await sending.video(2 * MIB);
    await sendPart(sending, path, MIB);
    const other = await writeVideo(path, 2 * MIB, 2);
    const { handle } = sending.send(path);
    await handle.done;
    expect(handle.snapshot.resumedFrom).toBe(0);
    expect(await sending.stored()).toEqual([other]);
  });

  test('that shrinks while it is sent ends the upload', async () => {
    const { send, video, proxy } = await startSending();
    const { path } = await video(64 * MIB);
    proxy.bytesPerSecond = 8 * MIB;
    const { handle } = send(path);
    await reaches(handle, ({ sent }) => sent > MIB);
    await truncate(path, 20 * MIB);
    expect(await failureOf(handle)).toMatchObject({ state: 'failed', code: 'ERR_SOURCE_CHANGED' });
  });

  test('that is written to while it is sent ends the upload', async () => {
    const { send, video, stored } = await startSending();
    const { path } = await video(2 * MIB);
    const { handle } = send(path, { chunkSize: 64 * 1024 });
    await reaches(handle, ({ state }) => state === 'uploading');
    await utimes(path, new Date(), new Date(Date.now() + 5000));
    expect(await failureOf(handle)).toMatchObject({ state: 'failed', code: 'ERR_SOURCE_CHANGED' });
    expect(await stored()).toEqual([]);
  });

  /** Whole seconds, which utimes can restore exactly. */
  const MODIFIED = 1_700_000_000;
  /** Overwrites bytes and restores the time, so that neither size nor time shows the change. */
  const overwrite = async (path: string, from: number, bytes: Buffer) => {
    const file = await open(path, 'r+');
    await file.write(bytes, 0, bytes.length, from);
    await file.utimes(MODIFIED, MODIFIED);
    await file.close();
  };

  test.each([
    ['anywhere', 8, MIB, {}],
    ['in its head, where only samples are compared,', 8, 1000, { verifySource: false }],
    ['in its head, where no checksum is wanted,', 8, 1000, { checksum: false }],
    ['anywhere, with checksums disabled and source verification enabled,', 8, MIB, { checksum: false, verifySource: true }],
    ['while it is read for one body', 40, MIB, { chunkSize: 'adaptive' }],
  ] as const)('that was overwritten %s is never stored as a mixture', async (_, length, from, options) => {
    const { send, video, stored, proxy } = await startSending();
    const { path } = await video(length * MIB);
    await utimes(path, MODIFIED, MODIFIED);
    proxy.bytesPerSecond = (length / 2) * MIB;
    const { handle } = send(path, { chunkSize: MIB, ...options });
    await reaches(handle, ({ sent }) => sent > 4 * MIB);
    await overwrite(path, from, Buffer.alloc(MIB, 'x'));
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    expect(await failureOf(handle)).toMatchObject({ state: 'failed', code: 'ERR_SOURCE_CHANGED' });
    expect(await stored()).toEqual([]);
    // The file that is there now is another one.
    await send(path).handle.done;
    expect(await stored()).toEqual([await sha256OfFile(path)]);
  });

  test('that was overwritten while the upload waited is never stored as a mixture', async () => {
    const { send, video, stored, proxy } = await startSending();
    const { path } = await video(8 * MIB);
    await utimes(path, MODIFIED, MODIFIED);
    proxy.bytesPerSecond = 4 * MIB;
    const { handle } = send(path, { chunkSize: MIB });
    await reaches(handle, ({ confirmed }) => confirmed > 4 * MIB);
    handle.pause();
    await reachesState(handle, 'paused');
    await overwrite(path, MIB, Buffer.alloc(MIB, 'x'));
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    handle.resume();
    expect(await failureOf(handle)).toMatchObject({ state: 'failed', code: 'ERR_SOURCE_CHANGED' });
    expect(await stored()).toEqual([]);
  });

  test('that is a buffer, overwritten while it is sent, is stored as it was, because the upload has a copy', async () => {
    const { send, stored, proxy } = await startSending();
    const bytes = await videoBytes(8 * MIB);
    const sum = sha256(bytes);
    proxy.bytesPerSecond = 4 * MIB;
    const { handle } = send(bytes, { name: 'film.mp4', chunkSize: MIB });
    await reaches(handle, ({ sent }) => sent > 4 * MIB);
    bytes.fill('x', MIB, 2 * MIB);
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    await handle.done;
    expect(await stored()).toEqual([sum]);
  });

  test('that is unlinked while it is sent is still stored whole', async () => {
    const { send, video, stored, proxy } = await startSending();
    const { path, sha256: sum } = await video(8 * MIB);
    proxy.bytesPerSecond = 8 * MIB;
    const { handle } = send(path);
    await reaches(handle, ({ sent }) => sent > MIB);
    await unlink(path);
    await handle.done;
    expect(await stored()).toEqual([sum]);
  });
});

describe('the record of an upload', () => {
  test('with the address of an upload of another length is refused', async () => {
    const sending = await startSending();
    const { path } = await sending.video(2 * MIB);
    await sendPart(sending, path, MIB);
    const [record] = await sending.store.list();
    if (record === undefined) throw new Error('There is no record.');
    const created = await fetch(sending.server.files, {
      method: 'POST',
      headers: { 'Tus-Resumable': '1.0.0', 'Upload-Length': '12345' },
    });
    await sending.store.put({ ...record, url: new URL(created.headers.get('Location') ?? '', sending.server.files).href });
    expect(await failureOf(sending.send(path).handle)).toMatchObject({ state: 'failed', code: 'ERR_SOURCE_CHANGED' });
  });

  test('that is damaged is ignored', async () => {
    const sending = await startSending();
    const { path, sha256: sum } = await sending.video(2 * MIB);
    await sendPart(sending, path, MIB);
    const folder = join(sending.directory, 'state', 'uploads');
    for (const name of await readdir(folder)) {
      const text = await readFile(join(folder, name), 'utf8');
      await writeFile(join(folder, name), text.slice(0, text.length / 2));
    }
    expect(await interrupted(sending.store)).toEqual([]);
    const { handle } = sending.send(path);
    await handle.done;
    expect(handle.snapshot.resumedFrom).toBe(0);
    expect(await sending.stored()).toEqual([sum]);
  });

  test('is readable by its user alone, in a file that is replaced atomically', async () => {
    const sending = await startSending();
    const { path } = await sending.video(2 * MIB);
    await sendPart(sending, path, MIB);
    const folder = join(sending.directory, 'state', 'uploads');
    const names = await readdir(folder);
    expect(names).toEqual([expect.stringMatching(/^[0-9a-f]{32}\.json$/)]);
    expect((await stat(join(folder, names[0] ?? ''))).mode & 0o777).toBe(0o600);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
  });

  test('is found only by the same endpoint, name, size and path', async () => {
    const sending = await startSending();
    const { path, sha256: sum } = await sending.video(2 * MIB);
    await sendPart(sending, path, MIB);
    const { handle } = sending.send(path, { name: 'other.mp4' });
    await handle.done;
    expect(handle.snapshot.resumedFrom).toBe(0);
    const elsewhere = join(sending.directory, 'copy.mp4');
    await writeVideo(elsewhere, 2 * MIB);
    const copy = sending.send(elsewhere, { name: 'film.mp4' });
    await copy.handle.done;
    expect(copy.handle.snapshot.resumedFrom).toBe(0);
    expect(await sending.stored()).toEqual([sum, sum]);
  });

  test('does not stop an upload when the store fails', async () => {
    const { send, video, stored } = await startSending();
    const { path, sha256: sum } = await video(2 * MIB);
    const fail = async () => {
      throw new Error('The disk is full.');
    };
    await send(path, { store: { list: fail, get: fail, put: fail, remove: fail }, chunkSize: MIB }).handle.done;
    expect(await stored()).toEqual([sum]);
  });

  test('can be forgotten, with or without deleting the upload on the server', async () => {
    const sending = await startSending();
    const { path } = await sending.video(2 * MIB);
    for (const deleteRemote of [false, true]) {
      await sendPart(sending, path, MIB);
      const [record] = await interrupted(sending.store);
      if (record?.url == null) throw new Error('There is no record.');
      await forget(record, { store: sending.store, deleteRemote });
      expect(await interrupted(sending.store)).toEqual([]);
      const head = await fetch(record.url, { method: 'HEAD', headers: { 'Tus-Resumable': '1.0.0' } });
      expect(head.status).toBe(deleteRemote ? 410 : 200);
    }
    expect(sending.log().filter((line) => line === 'POST 201')).toHaveLength(2);
  });

  test('of an unanswered creation can be forgotten, together with the upload on the server', async () => {
    const { store, send, video, proxy, log } = await startSending(({ method, nth }) =>
      method === 'POST' && nth === 1 ? { kind: 'delay', ms: 60_000 } : undefined,
    );
    const { path } = await video(100_000);
    const { handle } = send(path, { metadata: { project: 'Zoë 🎬' } });
    await expect.poll(() => proxy.exchanges[0]?.status, { timeout: 20_000 }).toBe(201);
    handle.pause();
    const [record] = await interrupted(store);
    if (record === undefined) throw new Error('There is no record.');
    expect(record).toMatchObject({ url: null, metadata: { project: 'Zoë 🎬' } });
    await forget(record, { store, deleteRemote: true });
    expect(log()).toEqual(['POST 201', 'POST 201', 'DELETE 204']);
    expect(proxy.exchanges[1]?.answer?.location).toBe(proxy.exchanges[0]?.answer?.location);
  });

  test('is forgotten even when the server does not delete the upload, and the client reports that', async () => {
    const sending = await startSending(({ method }) => (method === 'DELETE' ? { kind: 'answer', status: 403 } : undefined));
    const { path } = await sending.video(2 * MIB);
    await sendPart(sending, path, MIB);
    const [record] = await interrupted(sending.store);
    if (record === undefined) throw new Error('There is no record.');
    await expect(forget(record, { store: sending.store, deleteRemote: true })).rejects.toMatchObject({ code: 'ERR_FORBIDDEN' });
    expect(await interrupted(sending.store)).toEqual([]);
  });

  test('is removed after a month without use', async () => {
    const sending = await startSending();
    const { path } = await sending.video(2 * MIB);
    await sendPart(sending, path, MIB);
    const [record] = await sending.store.list();
    if (record === undefined) throw new Error('There is no record.');
    await sending.store.put({ ...record, updatedAt: new Date(Date.now() - 31 * 24 * 60 * 60_000).toISOString() });
    expect(await interrupted(sending.store)).toEqual([]);
    expect(await sending.store.list()).toEqual([]);
  });
});

describe('one file sent twice at once', () => {
  test('by two handles is one upload, and both get its verdict', async () => {
    const sending = await startSending();
    const { path, sha256: sum } = await sending.video(8 * MIB);
    sending.proxy.bytesPerSecond = 8 * MIB;
    const one = sending.send(path);
    await reachesState(one.handle, 'uploading');
    const two = sending.send(path);
    const { waiting } = await reachesState(two.handle, 'waiting');
    expect(waiting?.reason).toBe('elsewhere');
    await reaches(two.handle, ({ state, sent }) => state === 'waiting' && sent > 2 * MIB);
    const results = await Promise.all([one.handle.done, two.handle.done]);
    expect(results[0].id).toBe(results[1].id);
    expect(await sending.stored()).toEqual([sum]);
  });

  test('and refused gives both handles the same error', async () => {
    const release = Promise.withResolvers<void>();
    const refusal = { code: 'ERR_CHECK_REFUSED' as const, detail: 'For the test.' };
    const check = { name: 'slow', run: () => release.promise.then(() => refusal) };
    const sending = await startSending(undefined, {}, { checks: [check] });
    const { path } = await sending.video(100_000);
    const one = sending.send(path);
    await reachesState(one.handle, 'inspecting');
    const two = sending.send(path);
    await reachesState(two.handle, 'waiting');
    release.resolve();
    const ends = await Promise.all([failureOf(one.handle), failureOf(two.handle)]);
    expect(ends).toEqual([
      { state: 'rejected', ...refusal },
      { state: 'rejected', ...refusal },
    ]);
  });

  test('by two processes is one upload, and when the first is killed the second resumes', async () => {
    const sending = await startSending();
    const { path, sha256: sum } = await sending.video(12 * MIB);
    sending.proxy.bytesPerSecond = 6 * MIB;
    const child = spawnSender(path, sending);
    await expect.poll(() => sending.proxy.bytes, { timeout: 60_000 }).toBeGreaterThan(4 * MIB);
    const { handle } = sending.send(path);
    await reachesState(handle, 'waiting');
    child.kill('SIGKILL');
    sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    expect(await handle.done).toMatchObject({ resumed: true });
    expect(await sending.stored()).toEqual([sum]);
    expect(sending.proxy.exchanges.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });

  test('can be paused and cancelled while it waits for the other handle', async () => {
    const sending = await startSending();
    const { path } = await sending.video(8 * MIB);
    sending.proxy.bytesPerSecond = 8 * MIB;
    const one = sending.send(path);
    await reachesState(one.handle, 'uploading');
    const two = sending.send(path);
    await reachesState(two.handle, 'waiting');
    two.handle.pause();
    two.handle.resume();
    await reachesState(two.handle, 'waiting');
    await two.handle.cancel();
    await one.handle.done;
  });
});

test('the checksum of a resumed file covers the whole file', async () => {
  const sending = await startSending();
  const { path } = await sending.video(4 * MIB);
  await sendPart(sending, path, 2 * MIB);
  const whole = upload(path, { endpoint: sending.server.files, resume: false });
  const resumed = sending.send(path);
  expect((await resumed.handle.done).checksum).toBe((await whole.done).checksum);
  expect(resumed.handle.snapshot.resumedFrom).toBeGreaterThan(0);
  const sent = sending.proxy.exchanges.findLast(({ headers }) => headers['landfall-checksum'] !== undefined);
  expect(sent?.headers['landfall-checksum']).toMatch(/^crc32 [A-Za-z0-9+/]{6}==$/);
  expect(await sha256OfFile(path)).toBe((await sending.stored())[0]);
});
