// An HTTP/1.1 client that needs very little processor time, because it shares the processor with the measured server.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface Answer {
  status: number;
  /** Header names are in lower case; of repeated headers the last counts. */
  headers: ReadonlyMap<string, string>;
  body: string;
}

export interface Body {
  bytes: number;
  pieces: Iterable<Buffer>;
}

const HEAD_END = '\r\n\r\n';

/** One request at a time on one connection that is kept open. */
export class Connection {
  readonly #socket: Socket;
  /** Sent with every request. */
  readonly #always: string;
  #received = '';
  #waiting: PromiseWithResolvers<Answer> | undefined;
  #method = '';
  #error: Error | undefined;

  private constructor(socket: Socket, headers: Readonly<Record<string, string>>) {
    this.#socket = socket;
    this.#always = Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('');
    // Answers are headers and short texts; latin1 keeps a character a byte.
    socket.setEncoding('latin1');
    socket.setNoDelay(true);
    socket.on('data', (text: string) => {
      this.#received += text;
      this.#look();
    });
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('The server closed the connection.')));
  }

  /** @param headers sent with every request */
  static async open(port: number, headers: Readonly<Record<string, string>> = {}): Promise<Connection> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new Connection(socket, headers);
  }

  /**
   * Sends a request and resolves with its answer, which may come before the body's end.
   * @throws Error when the connection breaks
   */
  async request(method: string, path: string, headers: Readonly<Record<string, string>>, body?: Body): Promise<Answer> {
    const answer = this.begin(method, path, headers, body?.bytes ?? 0);
    if (body !== undefined) for (const piece of body.pieces) await this.write(piece);
    return answer;
  }

  /** Sends only the head; the caller sends the body with `write`. */
  begin(method: string, path: string, headers: Readonly<Record<string, string>>, bodyBytes: number): Promise<Answer> {
    if (this.#error) return Promise.reject(this.#error);
    const waiting = Promise.withResolvers<Answer>();
    this.#waiting = waiting;
    this.#method = method;
    let head = `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${this.#socket.remotePort}\r\n${this.#always}`;
    for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`;
    if (bodyBytes > 0 || method === 'POST') head += `Content-Length: ${bodyBytes}\r\n`;
    // The head and the start of the body go in one segment.
    this.#socket.cork();
    this.#socket.write(`${head}\r\n`);
    process.nextTick(() => this.#socket.uncork());
    // The writer of the body gets the error first.
    waiting.promise.catch(() => undefined);
    return waiting.promise;
  }

  /** Resolves when the socket can buffer more. */
  async write(piece: Buffer): Promise<void> {
    if (this.#error || this.#socket.write(piece)) return;
    await Promise.race([once(this.#socket, 'drain'), this.#waiting?.promise]).catch(() => undefined);
  }

  close(): void {
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.#waiting?.reject(this.#error);
    this.#waiting = undefined;
  }

  #look(): void {
    const end = this.#received.indexOf(HEAD_END);
    if (end === -1 || this.#waiting === undefined) return;
    const [statusLine = '', ...lines] = this.#received.slice(0, end).split('\r\n');
    const headers = new Map<string, string>();
    for (const line of lines) {
      const colon = line.indexOf(':');
      headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
    }
    const status = Number(statusLine.split(' ')[1]);
    const rest = this.#received.slice(end + HEAD_END.length);
    const length = bodyLength(this.#method, status, headers, rest);
    if (length === undefined || rest.length < length) return;
    this.#received = rest.slice(length);
    const { resolve } = this.#waiting;
    this.#waiting = undefined;
    resolve({ status, headers, body: rest.slice(0, length) });
  }
}

/** The length of a body by RFC 9112, 6.3, for the cases that the rivals use. Undefined: not known yet. */
function bodyLength(method: string, status: number, headers: ReadonlyMap<string, string>, rest: string): number | undefined {
  if (method === 'HEAD' || status === 204 || status === 304) return 0;
  if (headers.get('transfer-encoding') !== 'chunked') return Number(headers.get('content-length') ?? 0);
  const last = rest.indexOf('0\r\n\r\n');
  return last === -1 ? undefined : last + 5;
}
