// Long bodies past Node's parser, on a real server with `landfall.attach`: what is stored, what a sender is told, and what is left alone.
// `newest-node.long.test.ts` runs this file once more.
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import express from 'express';
import { expect, it, onTestFinished } from 'vitest';
import { type ConfigInput, createLandfall } from '../../server/index.ts';
import { liftBodies } from '../../server/lift/lift.ts';
import { videoBytes } from '../support/content.ts';
import { liftEach } from '../support/lifted-bodies.ts';
import { head, openSocket, parseAnswer, patchHead, rawRequest } from '../support/raw-http.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, patchUpload, readRecord } from '../support/tus-requests.ts';

const MIB = 1024 * 1024;
const UPLOAD = ['PATCH /files/a HTTP/1.1', 'Host: localhost', 'Content-Type: application/offset+octet-stream'];

async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** An application with Landfall in it, and what it saw of its requests: whether each was lifted. */
async function serve(settings: ConfigInput = {}) {
  const landfall = createLandfall({ dataDir: testDirectory(), logLevel: 'silent', ...settings });
  await landfall.start();
  onTestFinished(() => landfall.close());
  const lifted: boolean[] = [];
  const app = express().use('/uploads', landfall.handler);
  const server = createServer((request, response) => {
    if (request.method === 'PATCH') lifted.push(Object.hasOwn(request, '_read'));
    app(request, response);
  });
  landfall.attach(server);
  const url = await listen(server);
  return { server, url, lifted, files: `${url}/uploads/files` };
}

it('a file in one request and in chunks is stored as it was sent, with its checksum', async () => {
  const { files, lifted } = await serve();
  const bytes = await videoBytes(9 * MIB + 17);
  const one = await createUpload(files, { length: bytes.byteLength, name: 'one.mp4' });
  expect((await patchUpload(one.url, 0, bytes)).status).toBe(204);
  const many = await createUpload(files, { length: bytes.byteLength, name: 'many.mp4' });
  for (let at = 0; at < bytes.byteLength; at += MIB) {
    expect((await patchUpload(many.url, at, bytes.subarray(at, at + MIB))).status).toBe(204);
  }
  const sum = `crc32:${crc32(bytes).toString(16).padStart(8, '0')}`;
  for (const { url } of [one, many]) expect(await readRecord(url)).toMatchObject({ state: 'accepted', checksum: sum });
  // What is left at the end is short.
  expect(lifted).toEqual([...Array(10).fill(true), false]);
});

it('many senders at once, fast and slow, share the buffers and never a byte', async () => {
  const { files } = await serve();
  const bytes = await videoBytes(2 * MIB);
  await Promise.all(
    Array.from({ length: 40 }, async (_, index) => {
      const own = Buffer.from(bytes);
      own.fill(index, MIB);
      const { url } = await createUpload(files, { length: own.byteLength, name: 'a.mp4' });
      const socket = await openSocket(url);
      socket.write(patchHead(url, 0, own.byteLength));
      const step = [1000, 20_000, 300_000, 2_000_000][index % 4] ?? 1000;
      for (let at = 0; at < own.byteLength; at += step) {
        // The last eighth comes at once, however slow it began.
        const end = index % 4 === 0 && at > 100_000 ? own.byteLength : at + step;
        if (!socket.write(own.subarray(at, end))) await once(socket, 'drain');
        if (end >= own.byteLength) break;
        if (index % 8 < 4) await new Promise((resolve) => setTimeout(resolve, 2));
      }
      await once(socket, 'data');
      socket.destroy();
      expect(await readRecord(url)).toMatchObject({
        state: 'accepted',
        checksum: `crc32:${crc32(own).toString(16).padStart(8, '0')}`,
      });
    }),
  );
});

it.each(['reset', 'end'] as const)('a body that is cut by %s keeps what came, and goes on from there', async (way) => {
  const { files } = await serve();
  const bytes = await videoBytes(3 * MIB);
  const { url } = await createUpload(files, { length: bytes.byteLength, name: 'a.mp4' });
  const socket = await openSocket(url);
  socket.write(patchHead(url, 0, bytes.byteLength));
  socket.write(bytes.subarray(0, 2 * MIB + 5));
  if (way === 'end') socket.end();
  await expect.poll(async () => (await headUpload(url)).offset).toBe(2 * MIB + 5);
  if (way === 'reset') socket.resetAndDestroy();
  expect((await patchUpload(url, 2 * MIB + 5, bytes.subarray(2 * MIB + 5))).status).toBe(204);
});

it('a refusal by the first bytes reaches a sender that goes on sending', async () => {
  const { files, lifted } = await serve({ allow: 'video' });
  const program = Buffer.alloc(64 * MIB);
  program.write('MZ');
  const { url } = await createUpload(files, { length: program.byteLength, name: 'a.mp4' });
  const answer = await rawRequest(url, [patchHead(url, 0, program.byteLength), program], 3000);
  expect(answer.status).toBe(422);
  expect(answer.headers.get('connection')).toBe('close');
  expect(lifted).toEqual([true]);
});

it('a request behind a body is answered after it, on the same connection', async () => {
  const { files, url: root } = await serve();
  const bytes = await videoBytes(MIB);
  const { url } = await createUpload(files, { length: bytes.byteLength, name: 'a.mp4' });
  const next = head('GET /uploads/health/live HTTP/1.1', 'Host: localhost', 'Connection: close');
  const { text } = await rawRequest(root, [patchHead(url, 0, bytes.byteLength), bytes, next], 3000);
  expect(text).toMatch(/^HTTP\/1\.1 204 [\s\S]*\r\n\r\nHTTP\/1\.1 200 /);
});

it('an application reads a long body as a stream, with its true length, and back-pressure reaches the sender', async () => {
  const sizes: number[] = [];
  const app: RequestListener = async (request, response) => {
    let bytes = 0;
    await pipeline(request, async (parts) => {
      for await (const part of parts) {
        bytes += (part as Buffer).byteLength;
        sizes.push(request.readableLength);
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    response.end(`${request.headers['content-length']} ${request.rawHeaders.join()} ${bytes} ${request.complete}`);
  };
  const server = createServer(app);
  liftEach(server);
  const url = await listen(server);
  const answer = await rawRequest(url, [head(...UPLOAD, `Content-Length: ${32 * MIB}`), Buffer.alloc(32 * MIB)], 5000);
  expect(answer.body).toBe(
    `${32 * MIB} Host,localhost,Content-Type,application/offset+octet-stream,Content-Length,${32 * MIB} ${32 * MIB} true`,
  );
  expect(Math.max(...sizes)).toBeLessThan(MIB);
});

it('nothing is read of a body before somebody asks for it', async () => {
  const asked = Promise.withResolvers<void>();
  const server = createServer(async (request, response) => {
    await asked.promise;
    request.resume().once('end', () => response.end('read'));
  });
  liftEach(server);
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const socket = await openSocket(await listen(server));
  socket.write(head(...UPLOAD, `Content-Length: ${64 * MIB}`));
  socket.write(Buffer.alloc(64 * MIB));
  const [connection] = await accepted;
  await expect.poll(() => connection.bytesRead).toBeGreaterThan(0);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(connection.bytesRead).toBeLessThan(MIB);
  asked.resolve();
  expect(parseAnswer(String((await once(socket, 'data'))[0])).body).toBe('read');
  socket.destroy();
});

/** A PATCH whose bytes come so slowly that the server has freed the connection's parser. */
async function slowPatch() {
  const { server, files } = await serve();
  const bytes = await videoBytes(MIB);
  const { url } = await createUpload(files, { length: bytes.byteLength, name: 'slow.mp4' });
  const accepted = once(server, 'connection') as Promise<[Socket & { parser?: unknown }]>;
  const socket = await openSocket(url);
  const answered = readToEnd(socket);
  const [connection] = await accepted;
  expect(connection.parser).toBeTruthy();
  socket.write(patchHead(url, 0, bytes.byteLength));
  let sent = 0;
  while (connection.parser) {
    socket.write(bytes.subarray(sent, sent + 1024));
    sent += 1024;
    await sleep(100);
  }
  return { server, url, bytes, sent, socket, answered };
}

async function readToEnd(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => {
    text += String(chunk);
  });
  await once(socket, 'close');
  return text;
}

it('a body that takes long needs no parser: it is stored and answered, and then its connection ends', async () => {
  const { url, bytes, sent, socket, answered } = await slowPatch();
  socket.write(bytes.subarray(sent));
  // Nothing behind the body is taken for a request.
  socket.write(head('GET /uploads/health/live HTTP/1.1', 'Host: localhost'));
  const answer = parseAnswer(await answered);
  expect(answer.status).toBe(204);
  expect(answer.headers.get('connection')).toBe('close');
  expect(answer.text.match(/HTTP\/1\.1/g)).toHaveLength(1);
  const checksum = `crc32:${crc32(bytes).toString(16).padStart(8, '0')}`;
  expect(await readRecord(url)).toMatchObject({ state: 'accepted', checksum });
});

it.each(['half-closed', 'reset'] as const)('a body without a parser that is %s keeps what came, and its connection ends', async (end) => {
  const { url, bytes, sent, socket, answered } = await slowPatch();
  if (end === 'half-closed') socket.end();
  else socket.resetAndDestroy();
  await answered;
  await expect.poll(async () => (await headUpload(url)).headers.get('Upload-Offset')).toBe(String(sent));
  expect((await patchUpload(url, sent, bytes.subarray(sent))).status).toBe(204);
  expect(await readRecord(url)).toMatchObject({ state: 'accepted' });
});

it('closeAllConnections() ends a body without a parser, too', async () => {
  const { server, socket, answered } = await slowPatch();
  server.closeAllConnections();
  expect(await answered).toBe('');
  expect(socket.destroyed).toBe(true);
});

it('a throw while a lifted request is read ends its connection and no other', async () => {
  const faults: unknown[] = [];
  const server = createServer((request, response) => {
    if (request.url?.endsWith('b')) throw new Error('thrown by a handler');
    response.end('still there');
    request.resume();
  });
  liftEach(server, (error) => faults.push(error));
  const url = await listen(server);
  const other = await openSocket(url);
  const thrown = await rawRequest(url, [head('PATCH /files/b HTTP/1.1', ...UPLOAD.slice(1), 'Content-Length: 5'), 'hello']);
  expect(thrown.text).toBe('');
  expect(faults).toMatchObject([{ message: 'thrown by a handler' }]);
  other.write(`${head(...UPLOAD, 'Content-Length: 5')}hello`);
  expect(parseAnswer(String((await once(other, 'data'))[0])).body).toBe('still there');
  other.destroy();
});

it('a server of TLS, one on a pipe, and one that has not what the lift needs stay as they are', async () => {
  const missing: string[] = [];
  const lift = (server: Server, name: string) =>
    liftBodies(server, { onMissing: () => missing.push(name), onFault: () => {}, fromBytes: 1 });
  const tls = createTlsServer();
  lift(tls, 'tls');
  expect(tls.listenerCount('listening')).toBe(createTlsServer().listenerCount('listening'));
  const seen: boolean[] = [];
  const listener: RequestListener = (request, response) => {
    seen.push(Object.hasOwn(request, '_read'));
    response.end('ok');
  };
  const other = createServer(listener);
  Object.assign(other, { _connections: undefined });
  other.prependListener('listening', () => Object.assign(other, { _connections: undefined }));
  lift(other, 'other');
  other.on('listening', () => Object.assign(other, { _connections: 0 }));
  const answer = await rawRequest(await listen(other), [head(...UPLOAD, 'Content-Length: 5'), 'hello']);
  expect(answer.status).toBe(200);
  expect(missing).toEqual(['other']);
  const pipe = createServer(listener);
  lift(pipe, 'pipe');
  pipe.listen(`${testDirectory()}/socket`);
  await once(pipe, 'listening');
  onTestFinished(() => void pipe.close());
  const response = await fetchPipe(pipe);
  expect(response).toContain('200 OK');
  expect(seen).toEqual([false, false]);
});

async function fetchPipe(server: Server): Promise<string> {
  const { connect } = await import('node:net');
  const socket = connect(String(server.address()));
  socket.write(`${head(...UPLOAD, 'Connection: close', 'Content-Length: 5')}hello`);
  let text = '';
  for await (const part of socket) text += String(part);
  return text;
}

it('LANDFALL_FAST_BODIES=false leaves every body to the parser', async () => {
  const { files, lifted } = await serve({ fastBodies: false });
  const bytes = await videoBytes(MIB);
  const { url } = await createUpload(files, { length: bytes.byteLength, name: 'a.mp4' });
  expect((await patchUpload(url, 0, bytes)).status).toBe(204);
  expect(lifted).toEqual([false]);
});
