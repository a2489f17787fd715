// A reader may pause for longer than a connection to S3 may stay idle.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { videoBytes } from '../support/content.ts';
import { head, openSocket } from '../support/raw-http.ts';
import { embedLandfallOnS3, MIB, operationOf } from '../support/s3-landfall.ts';
import { createUpload, patchUpload } from '../support/tus-requests.ts';

it.for([
  ['', 0],
  [`Range: bytes=${MIB}-`, MIB],
] as const)('a paused download continues at its position, requested %s', async ([range, start]) => {
  const { files, proxy } = await embedLandfallOnS3(undefined, { s3Timeout: 500 });
  // More than all buffers between S3 and the reader hold.
  const bytes = await videoBytes(32 * MIB);
  const { url } = await createUpload(files, { length: bytes.length, name: 'film.mp4' });
  expect((await patchUpload(url, 0, bytes)).status).toBe(204);
  const socket = await openSocket(url);
  const pieces: Buffer[] = [];
  socket.write(head(`GET ${new URL(url).pathname} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...(range ? [range] : [])));
  for await (const piece of socket) {
    pieces.push(piece as Buffer);
    if (pieces.length === 1) await sleep(1500);
  }
  const answer = Buffer.concat(pieces);
  expect(answer.subarray(answer.indexOf('\r\n\r\n') + 4).equals(bytes.subarray(start))).toBe(true);
  const gets = proxy.exchanges.filter((exchange) => operationOf(exchange) === 'GetObject' && exchange.path.includes('/files/'));
  expect(gets.length).toBeGreaterThan(1);
});

it('a download that its reader left sends no more requests to S3', async () => {
  const { files, proxy } = await embedLandfallOnS3(undefined, { s3Timeout: 500 });
  const bytes = await videoBytes(32 * MIB);
  const { url } = await createUpload(files, { length: bytes.length, name: 'film.mp4' });
  expect((await patchUpload(url, 0, bytes)).status).toBe(204);
  const controller = new AbortController();
  const response = await fetch(url, { signal: controller.signal });
  await response.body?.getReader().read();
  controller.abort();
  await sleep(1500);
  const gets = proxy.exchanges.filter((exchange) => operationOf(exchange) === 'GetObject' && exchange.path.includes('/files/'));
  expect(gets).toHaveLength(1);
});

it('a download that pauses while its file is removed still gets the whole file', async () => {
  const { files } = await embedLandfallOnS3(undefined, { s3Timeout: 500, keepFilesFor: 3000, sweepInterval: 100 });
  const bytes = await videoBytes(32 * MIB);
  const { url } = await createUpload(files, { length: bytes.length, name: 'film.mp4' });
  expect((await patchUpload(url, 0, bytes)).status).toBe(204);
  const socket = await openSocket(url);
  const pieces: Buffer[] = [];
  socket.write(head(`GET ${new URL(url).pathname} HTTP/1.1`, 'Host: localhost', 'Connection: close'));
  for await (const piece of socket) {
    pieces.push(piece as Buffer);
    if (pieces.length > 1) continue;
    await expect.poll(async () => (await fetch(url)).status).toBe(410);
    await sleep(1500);
  }
  const answer = Buffer.concat(pieces);
  expect(answer.subarray(answer.indexOf('\r\n\r\n') + 4).equals(bytes)).toBe(true);
});
