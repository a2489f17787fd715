// A line between a client and a server: TCP passed on at a given speed and delay, counted, and cut where a plan says.
// What speaks over it is not looked at.
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export type Cut =
  /** Both sides are reset. */
  | 'rst'
  /** Both sides are closed, as at the end of a conversation. */
  | 'fin'
  /** Nothing moves any more and no side is told; the server's side stays so also after the client has left. */
  | 'stall'
  /** The server's side is gone; the client's takes nothing more, and is not told. */
  | 'half-open';

export interface LineOptions {
  /** Port of the server on this machine. */
  upstream: number;
  /** Address and port to listen on; default: loopback, a free one. */
  host?: string;
  port?: number;
  /** Where the server is, if not on loopback. */
  upstreamHost?: string;
  /** Towards the server, all connections together. */
  bytesPerSecond?: number;
  /** Each way. A new connection waits for two more, as for its handshake. */
  delayMs?: number;
  /** What to do after so many bytes towards the server, counted from the last cut on, whatever connection brings them. */
  nextCut?: () => { afterBytes: number; how: Cut } | undefined;
}

/** Taken from a socket at once at most; a cut falls exactly where it was planned. */
const PIECE_BYTES = 64 * 1024;

export class Line {
  /** Bytes that came out on the server's side: heads and bodies of requests, those sent twice included. */
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
      // One of the two broke; after a cut that is no news, and the other is not to hear of it.
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

  /** Waits until so many bytes may go. */
  async #turn(bytes: number): Promise<void> {
    if (!Number.isFinite(this.bytesPerSecond)) return;
    const now = performance.now();
    this.#freeAt = Math.max(this.#freeAt, now) + (bytes / this.bytesPerSecond) * 1000;
    // Timers are a millisecond coarse: shorter waits add up to one that is worth it.
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
      // Destroyed with bytes unread it would be a reset.
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
