// What Node's server promises of its connections holds on both paths: it is counted, limited, timed and closed as ever.
// `newest-node.long.test.ts` runs this file once more.
import { once } from 'node:events';
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http';
import { type AddressInfo, BlockList, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { guardRequests } from '../../server/http/request-guard.ts';
import { collectBody } from '../../server/staging/body-source.ts';
import { bodyOf } from '../../server/staging/lifted-body.ts';
import { liftEach, PATHS } from '../support/lifted-bodies.ts';
import { head, openSocket, parseAnswer } from '../support/raw-http.ts';

const UPLOAD = ['PATCH /files/a HTTP/1.1', 'Host: localhost', 'Content-Type: application/offset+octet-stream'];
const limits = { maxBytes: 1e9, signal: new AbortController().signal, bodyTimeoutMs: 60_000 };

/** Answers how many bytes came. */
const count: RequestListener = async (request, response) => {
  const { bytes, end } = await collectBody(bodyOf(request), limits);
  if (end === 'whole') response.end(`${bytes.byteLength} bytes`);
};

describe.each(PATHS)('%s bodies', (path) => {
  async function listen(options: ServerOptions, listener: RequestListener = count, prepare?: (server: Server) => void) {
    const server = createServer(options, listener);
    prepare?.(server);
    if (path === 'lifted') liftEach(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.close();
      server.closeAllConnections();
    });
    return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  }
  const connections = (server: Server) => new Promise<number>((resolve) => server.getConnections((_, number) => resolve(number)));

  async function untilAnswered(socket: Socket): Promise<string> {
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    return parseAnswer(bytes.toString('latin1')).body;
  }

  async function untilClosed(socket: Socket): Promise<string> {
    const bytes: Buffer[] = [];
    socket.on('data', (chunk) => bytes.push(chunk));
    await once(socket, 'close');
    return Buffer.concat(bytes).toString('latin1');
  }

  it('close() returns when the last body was answered, and not before', async () => {
    const { server, url } = await listen({});
    const [idle, busy] = [await openSocket(url), await openSocket(url)];
    const asked = once(server, 'request');
    busy.write(head(...UPLOAD, 'Content-Length: 10'));
    busy.write('hello');
    await asked;
    await expect.poll(() => connections(server)).toBe(2);
    let isClosed = false;
    const closed = once(server, 'close').then(() => {
      isClosed = true;
    });
    server.close();
    const answer = untilAnswered(busy);
    expect(isClosed).toBe(false);
    busy.write('world');
    expect(await answer).toBe('10 bytes');
    idle.destroy();
    busy.destroy();
    await closed;
    expect(isClosed).toBe(true);
  });

  it('getConnections() counts, and forgets what was ended, cut or reset', async () => {
    const { server, url } = await listen({});
    const sockets = await Promise.all(Array.from({ length: 6 }, () => openSocket(url)));
    for (const socket of sockets) socket.write(head(...UPLOAD, 'Content-Length: 10'));
    await expect.poll(() => connections(server)).toBe(6);
    sockets[0]?.end();
    sockets[1]?.destroy();
    sockets[2]?.resetAndDestroy();
    sockets[3]?.write('half');
    await expect.poll(() => connections(server)).toBe(3);
    for (const socket of sockets) socket.resetAndDestroy();
    await expect.poll(() => connections(server)).toBe(0);
  });

  it('maxConnections refuses the next connection, and takes one again when another has left', async () => {
    const { server, url } = await listen({});
    server.maxConnections = 1;
    const first = await openSocket(url);
    first.write(head(...UPLOAD, 'Content-Length: 5'));
    await expect.poll(() => connections(server)).toBe(1);
    const dropped = once(server, 'drop');
    const second = await openSocket(url);
    await untilClosed(second);
    expect((await dropped)[0]).toMatchObject({ remoteAddress: '127.0.0.1' });
    first.write('hello');
    expect(await untilAnswered(first)).toBe('5 bytes');
    first.destroy();
    await expect.poll(() => connections(server)).toBe(0);
    const third = await openSocket(url);
    third.write(`${head(...UPLOAD, 'Content-Length: 5')}hello`);
    expect(await untilAnswered(third)).toBe('5 bytes');
  });

  it('a block list keeps out who is in it', async () => {
    const blockList = new BlockList();
    blockList.addAddress('127.0.0.1');
    // `createServer` of HTTP does not hand it on.
    const { server, url } = await listen({}, count, (made) => void Object.assign(made, { blockList }));
    const socket = await openSocket(url);
    socket.write(`${head(...UPLOAD, 'Content-Length: 5')}hello`);
    expect(await untilClosed(socket)).toBe('');
    expect(await connections(server)).toBe(0);
  });

  it('headersTimeout ends a connection whose head does not come', async () => {
    const { url } = await listen({ headersTimeout: 200, requestTimeout: 0, connectionsCheckingInterval: 50 });
    const [silent, slow, second] = [await openSocket(url), await openSocket(url), await openSocket(url)];
    slow.write(UPLOAD[0] ?? '');
    second.write(`${head(...UPLOAD, 'Content-Length: 5')}hello`);
    expect(await untilAnswered(second)).toBe('5 bytes');
    second.write('PAT');
    for (const text of await Promise.all([silent, slow, second].map(untilClosed))) expect(text).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('keepAliveTimeout ends an idle connection after its answer, and not one whose next body comes', async () => {
    const { url } = await listen({ keepAliveTimeout: 100, keepAliveTimeoutBuffer: 0 } as ServerOptions);
    const socket = await openSocket(url);
    socket.write(`${head(...UPLOAD, 'Content-Length: 5')}hello`);
    expect(await untilAnswered(socket)).toBe('5 bytes');
    socket.write(head(...UPLOAD, 'Content-Length: 5'));
    const timer = setTimeout(() => socket.write('hello'), 1500);
    expect(await untilAnswered(socket)).toBe('5 bytes');
    clearTimeout(timer);
    expect(await untilClosed(socket)).toBe('');
  });

  it('requestTimeout ends what is no upload, and a long body of the application’s own', async () => {
    const { url } = await listen(
      { requestTimeout: 300, connectionsCheckingInterval: 50 },
      (request) => void request.resume(),
      guardRequests,
    );
    const [form, own] = [await openSocket(url), await openSocket(url)];
    form.write(head('POST /own HTTP/1.1', 'Host: localhost', 'Content-Length: 100'));
    own.write(head(...UPLOAD, 'Content-Length: 100'));
    expect(await Promise.all([form, own].map(untilClosed))).toEqual(['', '']);
  });

  it('a server’s time limit for silence ends a body in which nothing comes', async () => {
    const { server, url } = await listen({});
    server.setTimeout(200);
    const socket = await openSocket(url);
    socket.write(`${head(...UPLOAD, 'Content-Length: 100')}hello`);
    expect(await untilClosed(socket)).toBe('');
  });
});
