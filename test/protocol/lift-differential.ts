// Two servers that differ in one thing: whether bodies come past Node's parser. Both are sent the same bytes in the same pieces, and
// must see the same requests, store the same bodies and answer the same.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { collectBody } from '../../server/staging/body-source.ts';
import { bodyOf } from '../../server/staging/lifted-body.ts';
import { type BodyPath, liftEach, PATHS } from '../support/lifted-bodies.ts';

/** What one connection brings: pieces, each of which is one write, and how the sender ends it. */
export interface Conversation {
  pieces: readonly Buffer[];
  end: 'end' | 'reset';
}

/** What the server saw of a request. */
interface Seen {
  request: IncomingMessage;
  parts: Buffer[];
  /** What the parser gave. */
  parsed: Buffer[];
  isWhole: boolean;
}

export interface Outcome {
  /** Of each whole request its head and what its body was. */
  requests: string[];
  /** As far as the sender was told. */
  answers: string;
  /** Of all requests, those that were lifted. */
  lifted: number;
  /** What the parser did not take, by its code. */
  fault: string | undefined;
}

const LIMITS = { maxBytes: 1e9, signal: new AbortController().signal, bodyTimeoutMs: 600_000 };
const BAD_REQUEST = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n';

class Witness {
  readonly #server: Server;
  #seen: Seen[] = [];
  #fault: string | undefined;
  /** Counts all that happens: when it stands, nothing does. */
  #events = 0;

  constructor(path: BodyPath) {
    this.#server = createServer({ requestTimeout: 0, headersTimeout: 0 }, (request, response) => void this.#answer(request, response));
    this.#server.on('clientError', (error: { code?: string }, socket: Socket) => this.#refuse(error, socket));
    this.#server.on('connect', (_request, socket: Socket) => this.#refuse({ code: 'CONNECT' }, socket));
    if (path === 'lifted') liftEach(this.#server);
  }

  async listen(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async hear({ pieces, end }: Conversation, patienceMs: number): Promise<Outcome> {
    this.#seen = [];
    this.#fault = undefined;
    const socket = connect((this.#server.address() as AddressInfo).port, '127.0.0.1');
    socket.setNoDelay(true);
    socket.on('error', () => {});
    let answers = '';
    socket.setEncoding('latin1').on('data', (text: string) => {
      this.#events += 1;
      answers += text;
    });
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    await once(socket, 'connect');
    for (const piece of pieces) {
      if (socket.destroyed || socket.writableEnded) break;
      socket.write(piece);
      await turn();
      await turn();
    }
    await this.#quiet(patienceMs);
    if (end === 'end') socket.end();
    else socket.resetAndDestroy();
    await closed;
    await this.#quiet(patienceMs);
    const whole = this.#seen.filter(({ isWhole }) => isWhole);
    // Only a lifted body has a way of its own to read on.
    const lifted = this.#seen.filter(({ request }) => Object.hasOwn(request, '_read')).length;
    // On an answer that Node gives by itself.
    const undated = answers.replaceAll(/Date: .*\r\n/g, '');
    return { requests: whole.map(describe), answers: undated, lifted, fault: this.#fault };
  }

  async #quiet(patienceMs: number): Promise<void> {
    for (let last = -1; last !== this.#events; ) {
      last = this.#events;
      for (let turns = 0; turns < 6; turns += 1) await turn();
      if (patienceMs > 0) await sleep(patienceMs);
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#events += 1;
    const seen: Seen = { request, parts: [], parsed: [], isWhole: false };
    this.#seen.push(seen);
    const { push } = request;
    request.push = (part: Buffer | null) => {
      if (part !== null) seen.parsed.push(Buffer.from(part));
      return push.call(request, part);
    };
    request.on('error', () => {});
    response.on('error', () => {});
    response.sendDate = false;
    // Some read the request as a stream, as an application does.
    if (request.url?.endsWith('s')) {
      request.on('data', (part: Buffer) => {
        if (!seen.isWhole) seen.parts.push(part);
      });
      await new Promise((resolve) => request.once('end', resolve));
    } else {
      const { bytes, end } = await collectBody(bodyOf(request), LIMITS);
      if (end !== 'whole' || seen.isWhole) return;
      seen.parts.push(bytes);
    }
    if (seen.isWhole) return;
    seen.isWhole = true;
    this.#events += 1;
    response.end(describe(seen));
  }

  /** Whole bodies count also where what follows them ends the connection before their answer. */
  #refuse(error: { code?: string }, socket: Socket): void {
    this.#events += 1;
    this.#fault ??= error.code;
    for (const seen of this.#seen) {
      if (seen.isWhole || !seen.request.complete) continue;
      seen.isWhole = true;
      seen.parts = seen.parsed;
    }
    if (socket.writable) socket.write(BAD_REQUEST);
    socket.destroy();
  }
}

function describe({ request, parts }: Seen): string {
  const { method, url, httpVersion, rawHeaders, headers } = request;
  const body = Buffer.concat(parts);
  const digest = createHash('sha1').update(body).digest('hex');
  return JSON.stringify([method, url, httpVersion, rawHeaders, headers, body.byteLength, digest]);
}

/** Undefined when both servers saw and said the same. */
function difference(plain: Outcome, lifted: Outcome): string | undefined {
  const [seen, seenLifted] = [plain, lifted].map(({ requests }) => requests.join('\n')) as [string, string];
  const [said, saidLifted] = [plain, lifted].map(({ answers }) => answers.replace(BAD_REQUEST, '')) as [string, string];
  // What comes behind an answer that closes is nobody's; the parser calls it a fault where it reads it before the answer is written.
  const isClosed = /\r\nConnection: close\r\n/.test(said + saidLifted);
  const fault = isClosed && plain.fault === 'HPE_CLOSED_CONNECTION' ? undefined : plain.fault;
  if (seen !== seenLifted && !(isClosed && isBegun(seen, seenLifted))) return 'other requests';
  if (fault !== lifted.fault && !isClosed) return `${plain.fault} and ${lifted.fault}`;
  // What is wrong behind a body ends the connection before, in the middle or after its answer: Node's own two ways to read differ there.
  const isCut = plain.fault !== undefined || isClosed;
  return plain.answers === lifted.answers || (isCut && isBegun(said, saidLifted)) ? undefined : 'other answers';
}

/** Whether one is the beginning of the other. */
function isBegun(one: string, two: string): boolean {
  return one.startsWith(two) || two.startsWith(one);
}

export class Differential implements AsyncDisposable {
  readonly #servers: readonly [Witness, Witness];

  private constructor(servers: readonly [Witness, Witness]) {
    this.#servers = servers;
  }

  static async open(): Promise<Differential> {
    const [plain, lifted] = PATHS;
    return new Differential([await new Witness(plain).listen(), await new Witness(lifted).listen()]);
  }

  /** @throws Error with the bytes, when the servers disagree, also with time between the pieces */
  async compare(conversation: Conversation): Promise<Outcome> {
    for (const patienceMs of [0, 20, 200]) {
      const [plain, lifted] = [
        await this.#servers[0].hear(conversation, patienceMs),
        await this.#servers[1].hear(conversation, patienceMs),
      ];
      const wrong = difference(plain, lifted);
      if (wrong === undefined) return lifted;
      if (patienceMs === 200) {
        const pieces = conversation.pieces.map((piece) => JSON.stringify(piece.toString('latin1'))).join('\n');
        throw new Error(`${wrong} (${conversation.end})\n${pieces}\nplain: ${JSON.stringify(plain)}\nlifted: ${JSON.stringify(lifted)}`);
      }
    }
    throw new Error('There was no last time.');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) server.close();
  }
}
