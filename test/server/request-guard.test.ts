// The guard limits how long a request may hold a connection: an upload as long as it progresses, others briefly.
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import express from 'express';
import { expect, it, onTestFinished } from 'vitest';
import { createLandfall } from '../../server/index.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { head, openSocket, patchHead } from '../support/raw-http.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload } from '../support/tus-requests.ts';

/** Sends a byte now and then until the other side ends the connection. */
async function untilClosed(socket: Socket, everyMs = 500): Promise<void> {
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const timer = setInterval(() => socket.write('a'), everyMs);
  await closed.finally(() => clearInterval(timer));
}

it('an answered request can not hold its connection by a byte now and then', async () => {
  const { url, files } = await embedLandfall({ patience: 0 });
  const upload = await createUpload(files, { length: 1_000_000, name: 'a.txt' });
  const path = new URL(upload.url).pathname;
  const heads = ['GET /health/live', `GET ${path}/status`, 'OPTIONS /files', 'GET /config', 'GET /', 'GET /nothing', `HEAD ${path}`];
  await Promise.all(
    heads.map(async (line) => {
      const socket = await openSocket(url);
      socket.write(head(`${line} HTTP/1.1`, 'Host: localhost', 'Tus-Resumable: 1.0.0', 'Content-Length: 1000000'));
      await untilClosed(socket);
    }),
  );
}, 60_000);

it('an embedded server keeps the host server’s request timeout for the application’s routes', async () => {
  const landfall = createLandfall({ dataDir: testDirectory(), logLevel: 'silent' });
  await landfall.start();
  onTestFinished(() => landfall.close());
  const app = express()
    .use('/uploads', landfall.handler)
    .post('/own', (request) => void request.resume());
  const server = createServer({ requestTimeout: 1500, connectionsCheckingInterval: 100 }, app);
  landfall.attach(server);
  expect(server.requestTimeout).toBe(0);
  expect(server.keepAliveTimeout).toBe(65_000);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const own = await openSocket(url);
  own.write(head('POST /own HTTP/1.1', 'Host: localhost', 'Content-Length: 1000000'));
  const upload = await createUpload(`${url}/uploads/files`, { length: 10, name: 'a.txt' });
  const patch = await openSocket(url);
  patch.write(patchHead(upload.url, 0, 10));
  await untilClosed(own, 300);
  // Longer than the limit of the application's requests, and the upload still succeeds.
  for (const byte of '0123456789') {
    patch.write(byte);
    await sleep(200);
  }
  await expect.poll(async () => (await headUpload(upload.url)).offset, { timeout: 20_000 }).toBe(10);
  patch.destroy();
}, 60_000);
