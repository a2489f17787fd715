// A line between a client and a server: passes TCP on at a given speed and delay, counts it, and cuts it by plan, without reading the
// protocol.
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export type Cut =
  /** Both sides are reset. */
  | 'rst'
  /** Both sides are closed, as at a normal end. */
  | 'fin'
  /** Nothing passes and no side is told; the server's side stays open even after the client has left. */
  | 'stall'
  /** The server's side is gone; the client's side accepts nothing more, and is not told. */
  | 'half-open';

export interface LineOptions {
  /** Port of the server on this machine. */
  upstream: number;
  /** Address and port to listen on; default: loopback, a free port. */
  host?: string;
  port?: number;
  /** The server's address, if it is not loopback. */
  upstreamHost?: string;
  /** Bytes per second towards the server, of all connections together. */
  bytesPerSecond?: number;
  /** In each direction. A new connection waits twice as long in addition, as for its handshake. */
  delayMs?: number;
  /** What to do after this many bytes towards the server, counted from the last cut on, over all connections. */
  nextCut?: () => { afterBytes: number; how: Cut } | undefined;
}

/** The most that is read from a socket at once; a cut is exactly where it was planned. */
const PIECE_BYTES = 64 * 1024;

export class Line {
  /** Bytes that were passed to the server: heads and bodies of requests, with those sent twice. */
  passed = 0;
  readonly cuts: Record<Cut, number> = { rst: 0, fin: 0, stall: 0, 'half-open': 0 };
  bytesPerSecond: number;
  delayMs: number;
  readonly #options: LineOptions;
  readonly #sockets = new Set<Socket>();
  #server: Server;
  #port: number;
  #plan: { left: number; how: Cut } | undefined;
  #freeAt = 0;
  #lastMove = performance.now();

  private constructor(options: LineOptions) {
    this.#options = options;
    this.#port = options.port ?? 0;
    this.bytesPerSecond = options.bytesPerSecond ?? Number.POSITIVE_INFINITY;
    this.delayMs = options.delayMs ?? 0;
    this.#server = this.#create();
    this.#planNext();
  }

  static async open(options: LineOptions): Promise<Line> {
    const line = new Line(options);
    await line.listen();
    return line;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://${this.#options.host ?? '127.0.0.1'}:${this.#port}`;
  }

  /** Milliseconds since a byte last went towards the server. */
  get idleMs(): number {
    return performance.now() - this.#lastMove;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, this.#options.host ?? '127.0.0.1', resolve);
    });
    const address = this.#server.address();
    if (address !== null && typeof address === 'object') this.#port = address.port;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #create(): Server {
    return createServer({ pauseOnConnect: true, allowHalfOpen: true }, (client) => {
      const { upstream, upstreamHost = '127.0.0.1' } = this.#options;
      const server = connect({ port: upstream, host: upstreamHost, allowHalfOpen: true });
      for (const socket of [client, server]) {
        socket.setNoDelay(true);
        this.#sockets.add(socket);
        socket.on('error', () => {});
        socket.once('close', () => this.#sockets.delete(socket));
      }
      void this.#serve(client, server);
    });
  }

  async #serve(client: Socket, server: Socket): Promise<void> {
    await sleep(2 * this.delayMs);
    const state = { isCut: false };
    const end = (one: Socket, other: Socket) => one.once('close', () => (state.isCut ? undefined : other.destroy()));
    end(client, server);
    end(server, client);
    try {
      await Promise.all([this.#forward(client, server, state), this.#back(server, client, state)]);
    } catch {
      // One side broke. After a cut that is expected, and the other side must not be told.
      if (state.isCut) return;
      client.destroy();
      server.destroy();
    }
  }

  async #forward(client: Socket, server: Socket, state: { isCut: boolean }): Promise<void> {
    for await (const chunk of client.iterator({ destroyOnReturn: false })) {
      for (let rest = chunk as Buffer; rest.length > 0; ) {
        const piece = rest.subarray(0, Math.min(PIECE_BYTES, this.#plan?.left ?? PIECE_BYTES));
        rest = rest.subarray(piece.length);
        await this.#turn(piece.length);
        if (server.destroyed) return;
        const written = this.#later(() => new Promise<void>((resolve) => server.write(piece, () => resolve())));
        if (this.delayMs === 0) await written;
        this.passed += piece.length;
        this.#lastMove = performance.now();
        if (this.#plan === undefined) continue;
        this.#plan.left -= piece.length;
        if (this.#plan.left > 0) continue;
        await written;
        const { how } = this.#plan;
        this.#planNext();
        this.cuts[how] += 1;
        state.isCut = true;
        cut(how, client, server);
        return;
      }
    }
    await this.#later(async () => void server.end());
  }

  async #back(server: Socket, client: Socket, state: { isCut: boolean }): Promise<void> {
    for await (const chunk of server.iterator({ destroyOnReturn: false })) {
      if (state.isCut) return;
      const written = this.#later(() => new Promise<void>((resolve) => client.write(chunk as Buffer, () => resolve())));
      if (this.delayMs === 0) await written;
    }
    if (!state.isCut) await this.#later(async () => void client.end());
  }

  /** Waits until this many bytes may pass. */
  async #turn(bytes: number): Promise<void> {
    if (!Number.isFinite(this.bytesPerSecond)) return;
    const now = performance.now();
    this.#freeAt = Math.max(this.#freeAt, now) + (bytes / this.bytesPerSecond) * 1000;
    // Timers have a resolution of a millisecond: shorter waits are added up first.
    if (this.#freeAt - now > 2) await sleep(this.#freeAt - now);
  }

  async #later(act: () => Promise<void>): Promise<void> {
    if (this.delayMs > 0) await sleep(this.delayMs);
    await act();
  }

  #planNext(): void {
    const next = this.#options.nextCut?.();
    this.#plan = next && { left: next.afterBytes, how: next.how };
  }
}

function cut(how: Cut, client: Socket, server: Socket): void {
  switch (how) {
    case 'rst':
      client.resetAndDestroy();
      server.resetAndDestroy();
      break;
    case 'fin':
      // Destroying it with unread bytes would reset the connection.
      client.end();
      server.end();
      client.resume().once('end', () => client.destroy());
      server.resume().once('end', () => server.destroy());
      break;
    case 'half-open':
      server.destroy();
      client.pause();
      break;
    case 'stall':
      client.pause();
      server.pause();
  }
}
