// The defects of the stock server that Landfall works around. When one of these tests fails, a release has fixed it, and our
// workaround can go. The comments name the tests that check the right outcome for Landfall.
import { createServer } from 'node:http';
import { FileStore } from '@tus/file-store';
import { Server, type ServerOptions } from '@tus/server';
import { describe, expect, it, onTestFinished } from 'vitest';
import { videoBytes } from '../support/content.ts';
import { dropFirstResponses, startFaultProxy } from '../support/fault-proxy.ts';
import { listenForTest } from '../support/listen.ts';
import { head, rawRequest } from '../support/raw-http.ts';
import { QUICK_RETRIES, uploadWithStockClient } from '../support/stock-client.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf, patchUpload, terminateUpload, tusRequest } from '../support/tus-requests.ts';

const LENGTH = 100_000;

async function startStock(options: Partial<ServerOptions> = {}) {
  const stock = new Server({ path: '/files', datastore: new FileStore({ directory: testDirectory() }), ...options });
  const server = createServer((request, response) => void stock.handle(request, response));
  const url = await listenForTest(server);
  return { url, files: `${url}/files` };
}

describe('the stock server with the stock client', () => {
  // Ours: verdict.test.ts
  it('reports success for a refused file when the answer is lost', async () => {
    const { url } = await startStock({
      onUploadFinish: async () => {
        throw { status_code: 422, body: 'refused' };
      },
    });
    const proxy = await startFaultProxy({ upstream: url, onRequest: dropFirstResponses(1, ['PATCH']) });
    onTestFinished(() => proxy.close());
    const told = await uploadWithStockClient(`${proxy.url}/files`, await videoBytes(LENGTH), 'film.mp4', { retryDelays: QUICK_RETRIES });
    expect(told.outcome).toBe('success');
  });

  it('reports success when a fault of the server made the finish fail', async () => {
    const { files } = await startStock({
      onUploadFinish: async () => {
        throw new Error('The scanner is unreachable.');
      },
    });
    const told = await uploadWithStockClient(files, await videoBytes(LENGTH), 'film.mp4', { retryDelays: QUICK_RETRIES });
    expect(told.outcome).toBe('success');
  });
});

describe('the stock server', () => {
  // Ours: verdict-replay.test.ts
  it('finishes an upload again for each empty append at its end, and lets clients delete it meanwhile', async () => {
    let finishes = 0;
    const { promise, resolve: open } = Promise.withResolvers<void>();
    onTestFinished(() => open());
    const { files } = await startStock({
      onUploadFinish: async () => {
        finishes += 1;
        await promise;
        return {};
      },
    });
    const { url } = await createUpload(files, { length: LENGTH, name: 'film.mp4' });
    const first = patchUpload(url, 0, await videoBytes(LENGTH));
    await expect.poll(() => finishes).toBe(1);
    const again = patchUpload(url, LENGTH, new Uint8Array());
    await expect.poll(() => finishes).toBe(2);
    expect((await terminateUpload(url)).status).toBe(204);
    open();
    await Promise.allSettled([first, again]);
  });

  // Ours: addresses.test.ts
  it("lets an address with a query write into another user's upload", async () => {
    const { url, files } = await startStock();
    const [mine, victim] = [await createUpload(files, { length: LENGTH }), await createUpload(files, { length: LENGTH })];
    await rawRequest(
      url,
      [
        head(
          `PATCH /files/${idOf(mine.url)}?x=/${idOf(victim.url)} HTTP/1.1`,
          'Host: localhost',
          'Connection: close',
          'Tus-Resumable: 1.0.0',
          'Upload-Offset: 0',
          'Content-Type: application/offset+octet-stream',
          'Content-Length: 4',
        ),
        'evil',
      ],
      500,
    );
    expect((await headUpload(mine.url)).offset).toBe(0);
    expect((await headUpload(victim.url)).offset).toBe(4);
  });

  // Ours: transcript.test.ts, test/server/checksums.test.ts
  it('accepts a damaged chunk, ignores the method override, and answers an unknown version with 400', async () => {
    const { files } = await startStock();
    const { url } = await createUpload(files, { length: 5 });
    const wrong = Buffer.alloc(20).toString('base64');
    expect(await patchUpload(url, 0, 'hello', { 'Upload-Checksum': `sha1 ${wrong}` })).toMatchObject({ status: 204, offset: 5 });
    expect((await tusRequest('POST', url, { 'X-HTTP-Method-Override': 'DELETE' })).status).not.toBe(204);
    expect((await tusRequest('HEAD', url, { 'Tus-Resumable': '0.2.2' })).status).toBe(400);
  });
});
