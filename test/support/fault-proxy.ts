// A reverse proxy between a client and a server under test that makes faults on demand, and records what passed.
import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { listenForGood } from './free-port.ts';

/** The fault of one exchange. Byte counts are of the request's body as it passes, unless stated otherwise. */
export type Fault =
  /** The server handles the whole request; its answer is dropped, and the connection is reset. */
  | { kind: 'drop-response' }
  /** The connection ends on both sides after this many bytes; `how` is the client's view, the server reads the bytes that passed. */
  | { kind: 'cut'; afterBytes: number; how: 'rst' | 'fin' }
  /** After this many bytes nothing passes in either direction; every socket stays open. */
  | { kind: 'stall'; afterBytes: number }
  /** After this many bytes the server's side is closed; the client's side discards what it gets and stays open. */
  | { kind: 'half-open'; afterBytes: number }
  /** The answer is delayed by this time. */
  | { kind: 'delay'; ms: number }
  /** The request is delayed by this time. */
  | { kind: 'hold'; until: Promise<void> }
  /** The answer's head and this many bytes of its body arrive, then nothing, or the end of the connection. */
  | { kind: 'cut-response'; afterBytes: number; how: 'rst' | 'fin' | 'stall' }
  /** The proxy answers by itself, after this time. The server sees nothing. */
  | { kind: 'answer'; status: number; headers?: Record<string, string>; body?: string; ms?: number }
  /** One bit of the byte at this position is flipped. */
  | { kind: 'flip'; atByte: number };

export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  /** The number of this request among those with its method, from 1. */
  readonly nth: number;
  /** Bytes of the body that were passed on. */
  bytes: number;
  /** The server's answer, even if it was dropped. */
  status?: number;
  answer?: IncomingMessage['headers'];
  /** The whole answer was sent to the client. */
  isAnswered?: true;
  fault?: Fault;
}

export interface FaultProxyOptions {
  /** The server's address: `http://127.0.0.1:1080`. */
  upstream: string;
  /** Called for each request when its head has arrived. */
  onRequest?: (exchange: Exchange) => Fault | undefined;
  /** Bytes of request bodies per second, for each connection; may be changed at any time. */
  bytesPerSecond?: number;
  /** 0 or absent: a free port. */
  port?: number;
}

export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const proxy = new FaultProxy(options);
  await proxy.listen();
  return proxy;
}

/** A plan for `onRequest`: drops the answers of the first `times` requests of each of these methods. */
export function dropFirstResponses(times: number, methods: readonly string[], when: (exchange: Exchange) => boolean = () => true) {
  const left = new Map(methods.map((method) => [method, times]));
  return (exchange: Exchange): Fault | undefined => {
    const count = left.get(exchange.method) ?? 0;
    if (count === 0 || !when(exchange)) return undefined;
    left.set(exchange.method, count - 1);
    return { kind: 'drop-response' };
  };
}

export class FaultProxy {
  /** Every request, in order. */
  readonly exchanges: Exchange[] = [];
  upstream: URL;
  onRequest: (exchange: Exchange) => Fault | undefined;
  bytesPerSecond: number;
  #port: number;
  #server = this.#create();
  readonly #sockets = new Set<Socket>();
  readonly #agents = new WeakMap<Socket, Agent>();
  readonly #counts = new Map<string, number>();

  constructor(options: FaultProxyOptions) {
    this.upstream = new URL(options.upstream);
    this.onRequest = options.onRequest ?? (() => undefined);
    this.bytesPerSecond = options.bytesPerSecond ?? Number.POSITIVE_INFINITY;
    this.#port = options.port ?? 0;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Bytes of request bodies passed on so far. */
  get bytes(): number {
    return this.exchanges.reduce((sum, exchange) => sum + exchange.bytes, 0);
  }

  /** Starts on a free port if none was given, or listens again on the same port after `goDown`. */
  async listen(): Promise<void> {
    this.#port = await listenForGood(this.#server, this.#port, '127.0.0.1');
  }

  /** Resets every connection; new ones are refused until `listen`. */
  async goDown(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.cut();
    await closed;
    this.#server = this.#create();
  }

  /** Resets every open connection; new ones are accepted. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    await this.goDown();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #create() {
    const server = createServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 }, (req, res) => {
      this.#serve(req, res).catch(() => res.socket?.destroy());
    });
    server.on('connection', (socket: Socket) => {
      // One connection to the server for each of the client's, so that both ends see the same lifetime.
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      this.#agents.set(socket, agent);
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => {
        this.#sockets.delete(socket);
        agent.destroy();
      });
    });
    return server;
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { method = 'GET', url: path = '/', headers, socket } = req;
    const nth = (this.#counts.get(method) ?? 0) + 1;
    this.#counts.set(method, nth);
    const exchange: Exchange = { method, path, headers, nth, bytes: 0 };
    this.exchanges.push(exchange);
    const fault = this.onRequest(exchange);
    if (fault) exchange.fault = fault;
    if (fault?.kind === 'answer') {
      req.resume();
      if (fault.ms !== undefined) await sleep(fault.ms);
      exchange.status = fault.status;
      res.writeHead(fault.status, fault.headers).end(method === 'HEAD' ? undefined : fault.body);
      return;
    }
    if (fault?.kind === 'hold') await fault.until;
    const agent = this.#agents.get(socket) ?? new Agent();
    const { hostname: host, port } = this.upstream;
    const upstream = request({ host, port, method, path, headers: req.rawHeaders as unknown as Record<string, string>, agent });
    // The server is gone, or cut the connection: the client sees the same.
    upstream.on('error', () => {
      if (fault?.kind !== 'half-open' && fault?.kind !== 'stall') socket.destroy();
    });
    const end = () => upstream.destroy();
    socket.once('close', end);
    upstream.once('close', () => socket.off('close', end));
    upstream.once('response', (answer) => void this.#answer(exchange, answer, res).catch(() => socket.destroy()));
    await this.#forward(exchange, req, upstream);
  }

  async #forward(exchange: Exchange, req: IncomingMessage, upstream: ReturnType<typeof request>): Promise<void> {
    const { fault } = exchange;
    const limit = fault && 'afterBytes' in fault && fault.kind !== 'cut-response' ? fault.afterBytes : Number.POSITIVE_INFINITY;
    if (limit <= 0) return this.#break(exchange, req, upstream);
    for await (const piece of req.iterator({ destroyOnReturn: false })) {
      const chunk = (piece as Buffer).subarray(0, limit - exchange.bytes);
      if (fault?.kind === 'flip' && fault.atByte >= exchange.bytes && fault.atByte < exchange.bytes + chunk.length) {
        const at = fault.atByte - exchange.bytes;
        chunk[at] = (chunk[at] ?? 0) ^ 1;
      }
      exchange.bytes += chunk.length;
      if (Number.isFinite(this.bytesPerSecond)) await sleep((chunk.length / this.bytesPerSecond) * 1000);
      // Bytes count once they were sent to the server: a cut must not lose counted bytes. A server that is gone accepts none.
      if (!upstream.destroyed) await new Promise((resolve) => upstream.write(chunk, resolve));
      if (exchange.bytes >= limit) return this.#break(exchange, req, upstream);
    }
    upstream.end();
  }

  #break({ fault }: Exchange, req: IncomingMessage, upstream: ReturnType<typeof request>): void {
    if (fault?.kind === 'stall') {
      req.pause();
      upstream.socket?.pause();
    } else if (fault?.kind === 'half-open') {
      upstream.destroy();
      req.resume();
    } else {
      upstream.destroy();
      if (fault?.kind === 'cut' && fault.how === 'rst') req.socket.resetAndDestroy();
      else req.socket.destroy();
    }
  }

  async #answer(exchange: Exchange, answer: IncomingMessage, res: ServerResponse): Promise<void> {
    const { fault } = exchange;
    if (answer.statusCode !== undefined) exchange.status = answer.statusCode;
    exchange.answer = answer.headers;
    if (fault?.kind === 'drop-response') {
      answer.resume();
      await once(answer, 'end');
      res.socket?.resetAndDestroy();
      return;
    }
    if (fault?.kind === 'stall' || fault?.kind === 'half-open') return;
    if (fault?.kind === 'delay') await sleep(fault.ms);
    res.sendDate = false;
    res.writeHead(exchange.status ?? 502, answer.statusMessage ?? '', answer.rawHeaders);
    res.flushHeaders();
    if (fault?.kind === 'cut-response') await cutAnswer(answer, res, fault);
    else {
      await pipeline(answer, res);
      exchange.isAnswered = true;
    }
  }
}

async function cutAnswer(answer: IncomingMessage, res: ServerResponse, fault: Fault & { kind: 'cut-response' }): Promise<void> {
  let left = fault.afterBytes;
  for await (const piece of answer) {
    const chunk = (piece as Buffer).subarray(0, left);
    left -= chunk.length;
    // Bytes that should arrive must be sent before the cut.
    await new Promise((resolve) => res.write(chunk, resolve));
    if (left === 0) break;
  }
  if (fault.how === 'rst') res.socket?.resetAndDestroy();
  else if (fault.how === 'fin') res.socket?.destroy();
}
