import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/** A port of the loopback address that was free a moment ago, for programs that cannot choose one themselves. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenForGood(server, 0, '127.0.0.1');
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * Listens on this port. 0: on a free one that the system gives to nobody who asks for any port, so that it can be given up for a while
 * and taken again (Linux gives ports from 32768 on, macOS from 49152 on). Resolves to the port.
 */
export async function listenForGood(server: Server, port: number, host: string): Promise<number> {
  for (;;) {
    const chosen = port === 0 ? randomInt(20_000, 32_768) : port;
    try {
      server.listen(chosen, host);
      await once(server, 'listening');
      return chosen;
    } catch (error) {
      if (port !== 0 || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
}
