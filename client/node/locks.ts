import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Locks } from '../ports.ts';
import { pause } from '../transfer/pause.ts';

/** Longest pause before the next attempt to acquire a free lock. */
const RETRY_MS = 200;

/**
 * A lock is a local socket address. Only one process can listen on it, and the operating system frees it when that process ends in
 * any way. A waiting process connects to the address and learns from the closed connection that the lock is free. When listening
 * fails for another reason, the upload runs without a lock; the server still keeps two senders of one file apart.
 */
export const nodeLocks: Locks = {
  async acquire(name: string, signal: AbortSignal, onWaiting: () => void): Promise<() => void> {
    const address = addressOf(name);
    for (let isWaiting = false; ; isWaiting = true) {
      signal.throwIfAborted();
      const release = await listen(address);
      if (release === 'failed') return () => {};
      if (release !== 'taken') return release;
      if (!isWaiting) onWaiting();
      signal.throwIfAborted();
      if (!(await awaitHolder(address, signal))) rmSync(address, { force: true });
      await pause(Math.random() * RETRY_MS, signal);
    }
  },
};

function addressOf(name: string): string {
  const user = process.getuid?.() ?? userInfo().username;
  const id = `landfall-${user}-${createHash('sha256').update(name).digest('hex').slice(0, 24)}`;
  switch (process.platform) {
    case 'linux':
      // The abstract namespace leaves no file behind.
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
    // `accept` may fail later, for example with EMFILE; the lock is held all the same.
    server.on('error', (error: Error & { code?: string }) => resolve(error.code === 'EADDRINUSE' ? 'taken' : 'failed'));
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

/** Resolves to true when the holder released the lock or died, and to false when no process listens and only a file is left. */
function awaitHolder(address: string, signal: AbortSignal): Promise<boolean> {
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
