// Landfall's path for a body omits the library's streams. The body must be treated the same as on the library's own path: its limiter, its
// locks, its end when the connection breaks, its headers for pages, its hooks.
import { createServer } from 'node:http';
import { FileStore } from '@tus/file-store';
import { Server } from '@tus/server';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { UploadEvent } from '../../server/index.ts';
import { videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { listenForTest } from '../support/listen.ts';
import { openSocket, patchHead } from '../support/raw-http.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, patchUpload, tusRequest } from '../support/tus-requests.ts';

interface Path {
  /** The address at which uploads are created. */
  files: string;
  /** How often the finish hook was called. */
  finishes(): number;
}

const LENGTH = 200_000;

const PATHS: Record<string, () => Promise<Path>> = {
  async 'the stock path'() {
    let finishes = 0;
    const stock = new Server({
      path: '/files',
      relativeLocation: false,
      datastore: new FileStore({ directory: testDirectory() }),
      onUploadFinish: async () => {
        finishes += 1;
        return {};
      },
    });
    const server = createServer((request, response) => void stock.handle(request, response));
    const origin = await listenForTest(server);
    return { files: `${origin}/files`, finishes: () => finishes };
  },
  async "Landfall's path"() {
    let finishes = 0;
    const onEvent = ({ type }: UploadEvent) => {
      if (type === 'upload.accepted') finishes += 1;
    };
    const { files } = await embedLandfall({ corsOrigins: ['*'] }, { onEvent });
    return { files, finishes: () => finishes };
  },
};

/** A PATCH whose body stops coming. */
async function sendPart(url: string, body: Uint8Array, promised: number) {
  const socket = await openSocket(new URL(url).origin);
  onTestFinished(() => void socket.destroy());
  socket.write(patchHead(url, 0, promised));
  socket.write(body);
  return socket;
}

describe.each(Object.entries(PATHS))('on %s', (_name, open) => {
  it('a body is appended, and the finish hook is called once all is there', async () => {
    const { files, finishes } = await open();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(files, { length: LENGTH, name: 'film.mp4' });
    expect(await patchUpload(url, 0, bytes.subarray(0, 70_000))).toMatchObject({ status: 204, offset: 70_000 });
    expect(finishes()).toBe(0);
    expect(await patchUpload(url, 70_000, bytes.subarray(70_000))).toMatchObject({ status: 204, offset: LENGTH });
    await expect.poll(finishes).toBe(1);
  });

  it('a body that is longer than what is left is refused with 413, and nothing of it counts as the whole', async () => {
    const { files, finishes } = await open();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(files, { length: 1000, name: 'film.mp4' });
    expect((await patchUpload(url, 0, bytes)).status).toBe(413);
    expect((await headUpload(url)).offset).toBeLessThan(1000);
    expect(finishes()).toBe(0);
  });

  it('a body at another offset is refused with 409', async () => {
    const { files } = await open();
    const { url } = await createUpload(files, { length: LENGTH, name: 'film.mp4' });
    expect((await patchUpload(url, 5, Buffer.from('hello'))).status).toBe(409);
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: 0 });
  });

  it('what came before the connection broke is kept, and the upload goes on from there', async () => {
    const { files } = await open();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(files, { length: LENGTH, name: 'film.mp4' });
    const socket = await sendPart(url, bytes.subarray(0, 90_000), LENGTH);
    // The bytes are on their way; nothing tells when the other side has them.
    await new Promise((resolve) => setTimeout(resolve, 500));
    socket.destroy();
    await expect.poll(async () => (await headUpload(url)).offset, { timeout: 60_000 }).toBe(90_000);
    expect(await patchUpload(url, 90_000, bytes.subarray(90_000))).toMatchObject({ status: 204, offset: LENGTH });
  });

  it('a silent sender’s lock is released for another request', async () => {
    const { files } = await open();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(files, { length: LENGTH, name: 'film.mp4' });
    await sendPart(url, bytes.subarray(0, 50_000), LENGTH);
    await new Promise((resolve) => setTimeout(resolve, 500));
    await expect.poll(async () => (await headUpload(url)).offset, { timeout: 60_000 }).toBe(50_000);
    expect(await patchUpload(url, 50_000, bytes.subarray(50_000))).toMatchObject({ status: 204, offset: LENGTH });
  });

  it('a page of another origin may send it, and read the offset of the answer', async () => {
    const { files } = await open();
    const origin = { Origin: 'https://example.org' };
    const preflight = await tusRequest('OPTIONS', files, { ...origin, 'Access-Control-Request-Method': 'PATCH' });
    expect(preflight.status).toBeOneOf([200, 204]);
    expect(preflight.headers.get('Access-Control-Allow-Methods')).toContain('PATCH');
    const { url } = await createUpload(files, { length: LENGTH, name: 'film.mp4' });
    const answer = await patchUpload(url, 0, (await videoBytes(LENGTH)).subarray(0, 5000), origin);
    expect(answer.headers.get('Access-Control-Allow-Origin')).toMatch(/^(?:\*|https:\/\/example\.org)$/);
    expect(answer.headers.get('Access-Control-Expose-Headers')).toContain('Upload-Offset');
  });
});
