import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Cut, Line } from './line.ts';

/** A server that counts received bytes, behind a line; and a client of it. */
async function conversation(how?: Cut, afterBytes = 100_000) {
  const received = { bytes: 0, events: [] as string[] };
  const server = createServer((socket) => {
    socket.on('data', (chunk) => {
      received.bytes += chunk.length;
    });
    listen(socket, received.events);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The listening server has no port.');
  const line = await Line.open({ upstream: address.port, nextCut: () => how && { how, afterBytes } });
  const client = connect(line.port, '127.0.0.1');
  const told: string[] = [];
  listen(client, told);
  client.resume();
  onTestFinished(async () => {
    client.destroy();
    await line.close();
    server.close();
  });
  await once(client, 'connect');
  return { client, line, told, received };
}

function listen(socket: Socket, events: string[]): void {
  socket.on('error', (error: NodeJS.ErrnoException) => events.push(error.code ?? error.message));
  socket.on('end', () => events.push('end'));
}

describe('a line', () => {
  test('passes everything on, and counts it', async () => {
    const { client, line, received } = await conversation();
    client.end(Buffer.alloc(1_000_000));
    await expect.poll(() => received.bytes).toBe(1_000_000);
    expect(line.passed).toBe(1_000_000);
    await expect.poll(() => received.events).toEqual(['end']);
  });

  test.each([
    ['rst', ['ECONNRESET'], ['ECONNRESET']],
    ['fin', ['end'], ['end']],
    ['stall', [], []],
    ['half-open', [], ['end']],
  ] as const)('cut by %s tells the client %j and the server %j, after exactly so many bytes', async (how, toClient, toServer) => {
    const { client, line, told, received } = await conversation(how);
    client.write(Buffer.alloc(1_000_000));
    await expect.poll(() => line.cuts[how]).toBe(1);
    await expect.poll(() => received.events).toEqual(toServer);
    await expect.poll(() => received.bytes).toBe(100_000);
    await sleep(50);
    expect(told.filter((event) => event !== 'EPIPE').slice(0, 1)).toEqual(toClient);
    expect(line.passed).toBe(100_000);
  });
});
