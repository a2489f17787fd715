// An accepted file is complete after a power cut. The stock store gets the same test, and fails it.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { FileStore } from '@tus/file-store';
import { Server } from '@tus/server';
import { describe, expect, it, onTestFinished } from 'vitest';
import { filesBelow, sha256, sha256OfFile, videoBytes } from '../support/content.ts';
import { type LandfallProcess, startLandfall } from '../support/landfall-process.ts';
import { listenForTest } from '../support/listen.ts';
import { CuttableDisk } from '../support/power-cut.ts';
import { openSocket, patchHead } from '../support/raw-http.ts';
import { forgetBoot } from '../support/sqlite-ledger.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord } from '../support/tus-requests.ts';

const LENGTH = 3_000_000;
const UPLOADS = process.env.LANDFALL_TEST_LONG === '1' ? 40 : 5;

async function startOn(disk: CuttableDisk, durability: 'chunk' | 'finish' = 'chunk', staging = 'own'): Promise<LandfallProcess> {
  const env = { LANDFALL_DURABILITY: durability, LANDFALL_STAGING: staging };
  const server = await startLandfall({ dataDir: join(disk.path, 'data'), env });
  onTestFinished(() => server.kill());
  return server;
}

/** Starts a server on the disk after the cut, as after a boot: unproved bytes do not count. */
async function startAfter(disk: CuttableDisk, durability?: 'chunk' | 'finish'): Promise<LandfallProcess> {
  forgetBoot(join(disk.path, 'data'));
  return startOn(disk, durability);
}

/** Resolves with the status. */
async function patchWithTrailer(url: string, offset: number, chunk: Uint8Array, checksum: string): Promise<number | undefined> {
  const headers = {
    'Tus-Resumable': '1.0.0',
    'Upload-Offset': String(offset),
    'Content-Type': 'application/offset+octet-stream',
    'Transfer-Encoding': 'chunked',
    Trailer: 'Upload-Checksum',
  };
  const sent = request(url, { method: 'PATCH', headers });
  sent.write(chunk);
  sent.addTrailers({ 'Upload-Checksum': checksum });
  sent.end();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  answer.resume();
  return answer.statusCode;
}

describe('a power cut', () => {
  it('right after an acceptance leaves the file complete, its record accepted, and nothing else', async () => {
    const disk = await CuttableDisk.create();
    const server = await startOn(disk);
    await disk.settle();
    const before: { id: string; hash: string }[] = [];
    for (let number = 1; number <= UPLOADS; number++) {
      const bytes = await videoBytes(LENGTH, number);
      const { url } = await createUpload(server.files, { length: LENGTH, name: `film ${number}.mp4` });
      expect(await patchUpload(url, 0, bytes)).toMatchObject({ status: 204, offset: LENGTH });
      const after = await disk.cut();
      before.push({ id: idOf(url), hash: sha256(bytes) });
      const files = join(after.path, 'data/files');
      expect(await filesBelow(files)).toHaveLength(number);
      const restarted = await startAfter(after);
      for (const { id, hash } of before) {
        expect(await readRecord(`${restarted.files}/${id}`)).toMatchObject({ state: 'accepted', offset: LENGTH });
        const [path = '', ...others] = (await filesBelow(files)).filter((file) => file.includes(id));
        expect(others).toEqual([]);
        expect(await sha256OfFile(join(files, path))).toBe(hash);
      }
      await expect.poll(() => filesBelow(join(after.path, 'data/staging'))).toEqual([]);
      await restarted.kill();
    }
  });

  it.for([
    ['chunk', 'own'],
    ['finish', 'own'],
    ['chunk', 'file-store'],
  ] as const)(
    'during an upload, with durability %s and %s staging, leaves one that resumes and ends with the right bytes',
    async ([durability, staging]) => {
      const disk = await CuttableDisk.create();
      const server = await startOn(disk, durability, staging);
      await disk.settle();
      const bytes = await videoBytes(LENGTH);
      const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
      if (durability === 'finish') await disk.settle();
      expect(await patchUpload(url, 0, bytes.subarray(0, 2_000_000))).toMatchObject({ status: 204, offset: 2_000_000 });
      const restarted = await startOn(await disk.cut(), durability, staging);
      const again = `${restarted.files}/${idOf(url)}`;
      const { status, offset = -1 } = await headUpload(again);
      expect(status).toBe(200);
      // An acknowledgement holds after the power cut with `chunk`, and only until a power cut with `finish`.
      if (durability === 'chunk') expect(offset).toBe(2_000_000);
      else expect(offset).toBeLessThanOrEqual(2_000_000);
      expect(await patchUpload(again, offset, bytes.subarray(offset))).toMatchObject({ status: 204, offset: LENGTH });
      const download = await fetch(again);
      expect(sha256(Buffer.from(await download.arrayBuffer()))).toBe(sha256(bytes));
    },
  );

  it.for(['header', 'trailer'] as const)(
    'after chunks with their checksum in the %s leaves every byte that the server had acknowledged',
    async (where) => {
      const disk = await CuttableDisk.create();
      const server = await startOn(disk);
      await disk.settle();
      const bytes = await videoBytes(LENGTH);
      const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
      for (let offset = 0; offset < 300_000; offset += 100_000) {
        const chunk = bytes.subarray(offset, offset + 100_000);
        const checksum = `sha1 ${createHash('sha1').update(chunk).digest('base64')}`;
        if (where === 'header') expect((await patchUpload(url, offset, chunk, { 'Upload-Checksum': checksum })).status).toBe(204);
        else expect(await patchWithTrailer(url, offset, chunk, checksum)).toBe(204);
      }
      const restarted = await startAfter(await disk.cut());
      const again = `${restarted.files}/${idOf(url)}`;
      expect(await headUpload(again)).toMatchObject({ status: 200, offset: 300_000 });
      expect(await patchUpload(again, 300_000, bytes.subarray(300_000))).toMatchObject({ status: 204, offset: LENGTH });
      expect(sha256(Buffer.from(await (await fetch(again)).arrayBuffer()))).toBe(sha256(bytes));
    },
  );

  it('during one long body keeps all bytes that HEAD reported, and HEAD reports only bytes that the disk has', async () => {
    const disk = await CuttableDisk.create();
    const server = await startOn(disk);
    await disk.settle();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    const socket = await openSocket(server.url);
    onTestFinished(() => void socket.destroy());
    socket.write(patchHead(url, 0, LENGTH));
    // A silent sender would lose its lock to any other request.
    let sent = 0;
    const feed = setInterval(() => {
      socket.write(bytes.subarray(sent, sent + 8000));
      sent += 8000;
    }, 50);
    onTestFinished(() => clearInterval(feed));
    let before = 0;
    for (let cut = 0; cut < 3; cut++) {
      await expect.poll(async () => (await readRecord(url)).offset, { interval: 50, timeout: 60_000 }).toBeGreaterThan(before);
      const { offset: told = -1 } = await headUpload(url);
      const after = await disk.cut();
      const restarted = await startAfter(after);
      const { offset = -1 } = await headUpload(`${restarted.files}/${idOf(url)}`);
      expect(told).toBeGreaterThan(before);
      expect(offset).toBeGreaterThanOrEqual(told);
      before = told;
      const staged = await readFile(join(after.path, 'data/staging', idOf(url).slice(0, 2), idOf(url)));
      expect(staged.length).toBeGreaterThanOrEqual(offset);
      expect(staged.subarray(0, offset).equals(bytes.subarray(0, offset))).toBe(true);
      await restarted.kill();
    }
  });

  it('right after the last byte leaves an upload that ends in one verdict', async () => {
    const disk = await CuttableDisk.create();
    const server = await startOn(disk);
    await disk.settle();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4', body: bytes.subarray(0, LENGTH - 1) });
    const answer = patchUpload(url, LENGTH - 1, bytes.subarray(LENGTH - 1));
    await expect.poll(async () => (await readRecord(url)).state, { interval: 1 }).not.toBe('receiving');
    const after = await disk.cut();
    await answer;
    const restarted = await startAfter(after);
    const again = `${restarted.files}/${idOf(url)}`;
    const { offset = -1 } = await headUpload(again);
    if (offset < LENGTH) expect(await patchUpload(again, offset, bytes.subarray(offset))).toMatchObject({ status: 204, offset: LENGTH });
    const files = await filesBelow(join(after.path, 'data/files'));
    expect(files).toHaveLength(1);
    expect(await sha256OfFile(join(after.path, 'data/files', files[0] ?? ''))).toBe(sha256(bytes));
  });

  it('loses a file that the stock store had acknowledged whole', async () => {
    const disk = await CuttableDisk.create();
    const directory = join(disk.path, 'stock');
    const stock = new Server({ path: '/files', datastore: new FileStore({ directory }) });
    const http = createServer((request, response) => void stock.handle(request, response));
    const origin = await listenForTest(http);
    await disk.settle();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(`${origin}/files`, {
      length: LENGTH,
      name: 'film.mp4',
    });
    expect(await patchUpload(url, 0, bytes)).toMatchObject({ status: 204, offset: LENGTH });
    expect(await sha256OfFile(join(directory, idOf(url)))).toBe(sha256(bytes));
    const after = join((await disk.cut()).path, 'stock', idOf(url));
    const survived = await sha256OfFile(after).catch(() => 'gone');
    expect(survived).not.toBe(sha256(bytes));
  });
});
