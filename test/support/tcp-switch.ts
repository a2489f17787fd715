// A connection between two programs that a test can interrupt: new connections are refused, and open ones are reset.
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface TcpSwitch {
  port: number;
  off(): Promise<void>;
  on(): Promise<void>;
  /**
   * The next message to the upstream that contains all of these texts is passed on, and its answer is lost: the connection is reset when
   * the answer arrives. Resolves then.
   */
  loseAnswer(...said: string[]): Promise<void>;
}

/** Passes connections on until the test ends. */
export async function startTcpSwitch(upstreamHost: string, upstreamPort: number): Promise<TcpSwitch> {
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  let port = 0;
  const losses = new Map<readonly string[], () => void>();
  async function on(): Promise<void> {
    const listening = createServer((near) => {
      const far = connect(upstreamPort, upstreamHost);
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          sockets.delete(socket);
          other.destroy();
        });
        socket.pipe(other);
      }
      near.on('data', (chunk: Buffer) => {
        for (const [said, lost] of losses) {
          if (!said.every((text) => chunk.includes(text))) continue;
          losses.delete(said);
          far.unpipe(near);
          far.once('data', () => {
            near.resetAndDestroy();
            lost();
          });
          // `unpipe` paused it.
          far.resume();
        }
      });
    });
    await new Promise<void>((resolve, reject) => {
      listening.once('error', reject);
      listening.listen(port, '127.0.0.1', resolve);
    });
    ({ port } = listening.address() as AddressInfo);
    server = listening;
  }
  async function off(): Promise<void> {
    const closing = server;
    server = undefined;
    const closed = closing && new Promise((resolve) => closing.close(resolve));
    for (const socket of sockets) socket.resetAndDestroy();
    await closed;
  }
  await on();
  onTestFinished(off);
  return {
    port,
    on,
    off,
    loseAnswer: (...said) => new Promise((lost) => losses.set(said, lost)),
  };
}
