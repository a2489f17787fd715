// A full disk is not the sender's fault: no acknowledged byte is lost, and the upload resumes once there is space.
import { mkdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { filesBelow, sha256, videoBytes } from '../support/content.ts';
import { giveKey } from '../support/credentials.ts';
import { type LandfallProcess, startLandfall } from '../support/landfall-process.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord, terminateUpload } from '../support/tus-requests.ts';

const MIB = 1024 * 1024;
const LENGTH = 4 * MIB;
/** After this time the server measures the free space again. */
const REMEMBERED_MS = 1100;

async function startWith(env: Record<string, string>, dataDir: string): Promise<LandfallProcess> {
  const server = await startLandfall({ dataDir, env: { LANDFALL_PATIENCE: '1s', ...env } });
  onTestFinished(() => server.kill());
  return server;
}

async function startOnSmallDisk(bytes = 16 * MIB): Promise<{ disk: SmallDisk; server: LandfallProcess }> {
  const disk = await SmallDisk.create({ bytes });
  return { disk, server: await startWith({}, join(disk.path, 'data')) };
}

async function expectDownload(url: string, bytes: Buffer): Promise<void> {
  const download = await fetch(url);
  expect(download.status).toBe(200);
  expect(sha256(Buffer.from(await download.arrayBuffer()))).toBe(sha256(bytes));
}

describe('a full disk', () => {
  it('makes the server refuse a creation that does not fit, and keep nothing of it', async () => {
    const { server } = await startOnSmallDisk();
    const answer = await createUpload(server.files, { length: 100 * MIB, name: 'film.mp4' });
    expect(answer).toMatchObject({ status: 507, code: 'ERR_NO_SPACE', url: '' });
    expect(answer.headers.get('Retry-After')).toMatch(/^\d+$/);
    expect(await filesBelow(join(server.dataDir, 'staging'))).toEqual([]);
  });

  it('during a body is answered 507; the stored bytes stay, and the upload resumes once there is space', async () => {
    const { disk, server } = await startOnSmallDisk();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    // Leaves space for the ledger's log and a part of the file.
    await disk.fill(2 * MIB);
    const full = await patchUpload(url, 0, bytes);
    expect(full).toMatchObject({ status: 507, code: 'ERR_NO_SPACE' });
    expect(full.text).not.toMatch(/ENOSPC|no space left|\//);
    const { status, offset = -1 } = await headUpload(url);
    expect(status).toBe(200);
    expect(offset).toBeGreaterThan(0);
    const staged = join(server.dataDir, 'staging', idOf(url).slice(0, 2), idOf(url));
    expect((await stat(staged)).size).toBe(offset);
    // Still full: the offset never goes back, and the server keeps running.
    expect(await patchUpload(url, offset, bytes.subarray(offset))).toMatchObject({ status: 507 });
    expect((await headUpload(url)).offset).toBeGreaterThanOrEqual(offset);
    await disk.clear();
    const { offset: now = -1 } = await headUpload(url);
    expect(await patchUpload(url, now, bytes.subarray(now))).toMatchObject({ status: 204, offset: LENGTH });
    await expectDownload(url, bytes);
  });

  it('to the last byte lets the server answer creations and HEAD, and receive files again once there is space', async () => {
    const { disk, server } = await startOnSmallDisk();
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    await disk.fill(0);
    const filledMs = performance.now();
    const made = [url];
    const create = async () => {
      const answer = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
      if (answer.status === 201) made.push(answer.url);
      else expect(answer.status).toBeOneOf([503, 507]);
      return answer.status;
    };
    // The server remembers the free space for a second. Until it measures again, a row may still fit into the ledger's log
    // after one that did not.
    while (performance.now() - filledMs < REMEMBERED_MS) await create();
    for (let attempt = 0; attempt < 5; attempt++) {
      expect(await create()).toBe(507);
      for (const upload of made) expect((await headUpload(upload)).status).toBeLessThan(500);
    }
    await disk.clear();
    expect(await filesBelow(join(server.dataDir, 'staging'))).toEqual([]);
    for (const upload of made) expect(await headUpload(upload)).toMatchObject({ status: 200, offset: 0 });
    const bytes = await videoBytes(LENGTH);
    for (const upload of new Set([url, made.at(-1) ?? url])) {
      expect(await patchUpload(upload, 0, bytes)).toMatchObject({ status: 204, offset: LENGTH });
      await expectDownload(upload, bytes);
    }
  });

  it('at the first use of a key loses neither the limits of the key nor those of its owner', async () => {
    const disk = await SmallDisk.create({ bytes: 16 * MIB });
    const dataDir = join(disk.path, 'data');
    mkdirSync(dataDir);
    const [other, limited, unlimited] = await Promise.all([
      giveKey({ dataDir }, { owner: 'other' }),
      giveKey({ dataDir }, { owner: 'anna', limits: { maxUploads: 1 } }),
      giveKey({ dataDir }, { owner: 'bert' }),
    ]);
    const server = await startWith(
      { LANDFALL_ACCESS: 'keys', LANDFALL_OWNER_MAX_UPLOADS: '2', LANDFALL_OWNER_MAX_RESERVED: '1KB' },
      dataDir,
    );
    const create = async ({ headers }: typeof other) => {
      const { status, code } = await createUpload(server.files, { length: 10, name: 'a.txt', headers });
      return code ?? status;
    };
    // From now on, the server remembers for a second that the disk has space.
    expect(await create(other)).toBe(201);
    await disk.fill(0);
    expect([await create(limited), await create(unlimited)]).toEqual(['ERR_NO_SPACE', 'ERR_NO_SPACE']);
    await disk.clear();
    await expect.poll(() => create(limited), { timeout: 20_000 }).toBe(201);
    expect(await create(limited)).toBe('ERR_ACCESS_USED_UP');
    expect([await create(unlimited), await create(unlimited)]).toEqual([201, 201]);
    expect(await create(unlimited)).toBe('ERR_TOO_MANY_UPLOADS');
  });

  it('in the directory of final files keeps the staged bytes, and the file is accepted once there is space', async () => {
    const disk = await SmallDisk.create({ bytes: 8 * MIB });
    const files = join(disk.path, 'files');
    mkdirSync(files);
    const dataDir = testDirectory();
    const server = await startWith({ LANDFALL_STORAGE_DIR: files }, dataDir);
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    // Programs other than the server also write to that disk.
    await disk.fill(MIB);
    expect(await patchUpload(url, 0, bytes)).toMatchObject({ status: 503 });
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: LENGTH - 1 });
    expect(await filesBelow(join(dataDir, 'staging'))).toHaveLength(1);
    await disk.clear();
    await expect.poll(async () => (await readRecord(url)).state, { timeout: 60_000 }).toBe('accepted');
    expect(await filesBelow(files)).toEqual([expect.stringMatching(/film\.mp4$/)]);
    await expectDownload(url, bytes);
  });
});

describe('space on the disk', () => {
  it('is reserved once, however many senders ask for it at the same time, by tus and by forms', async () => {
    const { server } = await startOnSmallDisk();
    const asked = await Promise.all(Array.from({ length: 20 }, () => createUpload(server.files, { length: LENGTH, name: 'film.mp4' })));
    const taken = asked.filter(({ status }) => status === 201);
    expect(taken.length).toBeGreaterThan(0);
    expect(taken.length * LENGTH).toBeLessThan(16 * MIB);
    const refused = asked.filter(({ status }) => status !== 201);
    expect(refused.every(({ status, code }) => status === 507 && code === 'ERR_NO_SPACE')).toBe(true);
    expect(refused[0]?.headers.get('Retry-After')).toMatch(/^\d+$/);
    const form = new FormData();
    form.set('file', new Blob([Uint8Array.from(await videoBytes(5 * MIB))]), 'film.mp4');
    expect((await fetch(`${server.url}/upload`, { method: 'POST', body: form })).status).toBe(507);
    // Each sender with a reservation has its space, and an accepted file gives back no other upload's space.
    const bytes = await videoBytes(LENGTH);
    for (const { url } of taken) expect(await patchUpload(url, 0, bytes)).toMatchObject({ status: 204, offset: LENGTH });
    expect((await createUpload(server.files, { length: LENGTH, name: 'film.mp4' })).status).toBe(507);
  });

  it('reserved for an idle upload is given to others, and reserved again with its next bytes', async () => {
    const disk = await SmallDisk.create({ bytes: 16 * MIB });
    const server = await startWith({ LANDFALL_RESERVE_FOR: '1s', LANDFALL_SWEEP_INTERVAL: '200ms' }, join(disk.path, 'data'));
    const length = 8 * MIB;
    const bytes = await videoBytes(length);
    const idle = await createUpload(server.files, { length, name: 'film.mp4' });
    const half = length / 2;
    expect(await patchUpload(idle.url, 0, bytes.subarray(0, half))).toMatchObject({ status: 204, offset: half });
    let other = await createUpload(server.files, { length, name: 'film.mp4' });
    await expect
      .poll(async () => {
        if (other.status !== 201) other = await createUpload(server.files, { length, name: 'film.mp4' });
        return other.status;
      })
      .toBe(201);
    // The other upload has the space now: the first one waits, and keeps its bytes.
    const late = await patchUpload(idle.url, half, bytes.subarray(half));
    expect(late).toMatchObject({ status: 507, code: 'ERR_NO_SPACE' });
    expect(await headUpload(idle.url)).toMatchObject({ status: 200, offset: half });
    await terminateUpload(other.url);
    expect(await patchUpload(idle.url, half, bytes.subarray(half))).toMatchObject({ status: 204, offset: length });
    await expectDownload(idle.url, bytes);
  });
});

describe('a disk without free inodes', () => {
  it('makes the server answer 507, and accept creations once there are some', async () => {
    const disk = await SmallDisk.create({ bytes: 16 * MIB, inodes: 290 });
    const server = await startWith({}, join(disk.path, 'data'));
    const bytes = await videoBytes(1000);
    const made: string[] = [];
    for (let n = 0; n < 40; n++) {
      const answer = await createUpload(server.files, { length: 2000, name: 'film.mp4', body: bytes });
      if (answer.status === 201) made.push(answer.url);
      else expect([503, 507]).toContain(answer.status);
    }
    expect(made.length).toBeLessThan(40);
    expect((await fetch(`${server.url}/health/live`)).status).toBe(200);
    for (const url of made) expect(await headUpload(url)).toMatchObject({ status: 200, offset: 1000 });
    for (const url of made) await fetch(url, { method: 'DELETE', headers: { 'Tus-Resumable': '1.0.0' } });
    expect((await createUpload(server.files, { length: 2000, name: 'film.mp4', body: bytes })).status).toBe(201);
  });
});

describe('a disk that became read-only', () => {
  it('makes the server answer 503, HEAD less than 500, and publish once it can write', async () => {
    const disk = await SmallDisk.create({ bytes: 16 * MIB });
    const files = join(disk.path, 'files');
    mkdirSync(files);
    const server = await startWith({ LANDFALL_STORAGE_DIR: files }, testDirectory());
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    await disk.remount('ro');
    const answer = await patchUpload(url, 0, bytes);
    expect(answer.status).toBe(503);
    expect(answer.text).not.toMatch(/EROFS|read-only|\/tmp/i);
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: LENGTH - 1 });
    await disk.remount('rw');
    await expect.poll(async () => (await readRecord(url)).state, { timeout: 60_000 }).toBe('accepted');
    await expectDownload(url, bytes);
  });
});
