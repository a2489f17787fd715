import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Locks } from '../ports.ts';
import { pause } from '../transfer/pause.ts';

/** For the moment between a holder's end and the next one's beginning. */
const RETRY_MS = 200;

/**
 * A lock is an address a process listens on: nobody else can, and it is free the moment the process is gone, however it
 * went. Who waits is connected to it and so hears of the end. A lock that can't be had for another reason is none: two
 * processes on one file are kept apart by the server too, only less kindly.
 */
export const nodeLocks: Locks = {
  async acquire(name: string, signal: AbortSignal, onWaiting: () => void): Promise<() => void> {
    const address = addressOf(name);
    for (let hasWaited = false; ; hasWaited = true) {
      signal.throwIfAborted();
      const release = await listen(address);
      if (release === 'failed') return () => {};
      if (release !== 'taken') return release;
      if (!hasWaited) onWaiting();
      if (!(await holderEnded(address, signal))) rmSync(address, { force: true });
      await pause(Math.random() * RETRY_MS, signal);
    }
  },
};

function addressOf(name: string): string {
  const user = process.getuid?.() ?? userInfo().username;
  const id = `landfall-${user}-${createHash('sha256').update(name).digest('hex').slice(0, 24)}`;
  switch (process.platform) {
    case 'linux':
      // The abstract namespace: no file is left behind.
      return `\0${id}`;
    case 'win32':
      return `\\\\.\\pipe\\${id}`;
    default:
      return join(tmpdir(), id);
  }
}

function listen(address: string): Promise<(() => void) | 'taken' | 'failed'> {
  return new Promise((resolve) => {
    const waiting = new Set<Socket>();
    const server = createServer((socket) => {
      waiting.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => waiting.delete(socket));
      socket.unref();
    });
    server.once('error', (error: Error & { code?: string }) => resolve(error.code === 'EADDRINUSE' ? 'taken' : 'failed'));
    server.listen({ path: address, exclusive: true }, () => {
      resolve(() => {
        server.close();
        for (const socket of waiting) socket.destroy();
      });
    });
    // A lock does not keep a process running.
    server.unref();
  });
}

/** True when the holder let go or died; false when nobody listens there, and only a file is left. */
function holderEnded(address: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(address);
    const abort = () => {
      socket.destroy();
      reject(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    let hasConnected = false;
    socket.once('connect', () => {
      hasConnected = true;
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      signal.removeEventListener('abort', abort);
      resolve(hasConnected || address.startsWith('\0') || address.startsWith('\\'));
    });
    socket.resume();
  });
}
