// Our client against a tus server that is not Landfall: no held byte, no records, no Idempotency-Key.
import { mkdir, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { FileStore } from '@tus/file-store';
import { Server } from '@tus/server';
import { expect, onTestFinished, test } from 'vitest';
import { nodeStore } from '../../client/node/store.ts';
import { upload } from '../../client/node.ts';
import { sha256OfFile, writeVideo } from '../support/content.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { listenForTest } from '../support/listen.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { failureOf, reaches, watch } from './sending.ts';

const MIB = 1024 * 1024;

async function startStock(refuse = false) {
  const directory = testDirectory();
  const tus = new Server({
    path: '/files',
    datastore: new FileStore({ directory: join(directory, 'stored') }),
    onUploadFinish: async () => {
      if (refuse) throw { status_code: 422, body: 'This is no film.' };
      return {};
    },
  });
  const server = createServer((request, response) => void tus.handle(request, response));
  const origin = await listenForTest(server);
  const path = join(directory, 'film.mp4');
  const store = nodeStore(join(directory, 'state'));
  return { directory, path, store, url: origin };
}

test('the client uploads a file to the stock server in spite of a broken connection', async () => {
  const { directory, path, store, url } = await startStock();
  const proxy = await startFaultProxy({
    upstream: url,
    onRequest: ({ method, nth }) => (method === 'PATCH' && nth === 1 ? { kind: 'cut', afterBytes: MIB, how: 'rst' } : undefined),
  });
  onTestFinished(() => proxy.close());
  const sum = await writeVideo(path, 4 * MIB);
  const result = await upload(path, { endpoint: `${proxy.url}/files`, store }).done;
  expect(result).toMatchObject({ name: 'film.mp4', size: 4 * MIB, type: null, checksum: expect.stringMatching(/^crc32:/) });
  expect(await sha256OfFile(join(directory, 'stored', result.id))).toBe(sum);
  // The server has not announced the checksum extension.
  expect(proxy.exchanges.filter(({ headers }) => headers['upload-checksum'] !== undefined)).toEqual([]);
});

test('an upload that the stock server lost is sent again from the first byte', async () => {
  const { directory, path, store, url } = await startStock();
  const proxy = await startFaultProxy({ upstream: url, bytesPerSecond: 8 * MIB });
  onTestFinished(() => proxy.close());
  const sum = await writeVideo(path, 4 * MIB);
  const { handle, told } = watch(upload(path, { endpoint: `${proxy.url}/files`, store, chunkSize: MIB }));
  await reaches(handle, ({ confirmed }) => confirmed >= MIB);
  handle.pause();
  await rm(join(directory, 'stored'), { recursive: true });
  await mkdir(join(directory, 'stored'));
  handle.resume();
  const result = await handle.done;
  expect(told.some(({ waiting }) => waiting?.reason === 'restarted')).toBe(true);
  expect(await sha256OfFile(join(directory, 'stored', result.id))).toBe(sum);
});

test("a refusal in the stock server's own words is final", async () => {
  const { path, store, url } = await startStock(true);
  await writeVideo(path, MIB);
  const { handle } = watch(upload(path, { endpoint: `${url}/files`, store }));
  expect(await failureOf(handle)).toMatchObject({ state: 'failed', code: 'ERR_CHECK_REFUSED' });
});
