import { type ClientRequest, type Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { type Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { type RequestBody, type Transport, TransportError, type TransportRequest, type TransportResponse } from '../ports.ts';
import { httpAgent, httpsAgent, onAddressGone } from './connect.ts';

/** Read ahead of what is being written, so that disk and network work at the same time. */
const PIECE_BYTES = 512 * 1024;
/** An answer of a tus server is a few hundred bytes; what is longer is a proxy's page, of which the start will do. */
const MAX_ANSWER_BYTES = 256 * 1024;

/** The system never got as far as a connection. */
const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'ERR_SOCKET_CONNECTION_TIMEOUT',
]);
/** Certificates nobody vouches for, and what is no TLS at all. A broken connection is not among them. */
const HOPELESS = /^(?:CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERR_TLS_|ERR_SSL_|ERR_INVALID_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/;

/** Bodies are streamed from the source in constant memory; connections are kept and shared by uploads of one process. */
export function nodeTransport(): Transport {
  const agents = { 'http:': httpAgent(), 'https:': httpsAgent() };
  return {
    async send(message: TransportRequest): Promise<TransportResponse> {
      for (;;) {
        const exchange = new Exchange(message, agents);
        try {
          return await exchange.answer();
        } catch (error) {
          // The server closed a kept connection just as it was used again. Nothing was read of this request.
          if (!exchange.wasStale || message.signal.aborted) throw error;
        }
      }
    },
  };
}

interface Agents {
  'http:': HttpAgent;
  'https:': HttpsAgent;
}

class Exchange {
  readonly #message: TransportRequest;
  readonly #request: ClientRequest;
  #hasConnected = false;
  #sent = 0;
  #hasAnswer = false;

  constructor(message: TransportRequest, agents: Agents) {
    this.#message = message;
    const url = new URL(message.url);
    const { method, body } = message;
    const headers = {
      ...message.headers,
      ...(body === undefined && method !== 'POST' ? {} : { 'Content-Length': String(body?.size ?? 0) }),
    };
    this.#request =
      url.protocol === 'https:'
        ? httpsRequest(url, { method, headers, agent: agents['https:'] })
        : httpRequest(url, { method, headers, agent: agents['http:'] });
    // Without this a body goes out in small packets that wait for each other's acknowledgement.
    this.#request.setNoDelay(true);
  }

  /** A kept connection that broke before anything came of it: worth a new one at once, and safe, as no answer had begun. */
  get wasStale(): boolean {
    const isRepeatable = this.#message.method !== 'PATCH' || this.#sent === 0;
    return this.#request.reusedSocket && !this.#hasAnswer && isRepeatable;
  }

  /** @throws TransportError, what the body's `read` threw, or the reason of the signal */
  async answer(): Promise<TransportResponse> {
    const { signal, body } = this.#message;
    const request = this.#request;
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<TransportResponse>();
    const abort = () => {
      reject(signal.reason);
      request.destroy();
    };
    signal.addEventListener('abort', abort, { once: true });
    let forget = () => {};
    request.once('socket', (socket) => {
      if (!socket.connecting) this.#hasConnected = true;
      else socket.once('connect', () => (this.#hasConnected = true));
      forget = onAddressGone(socket, () => request.destroy(new Error('The address of this device changed.')));
    });
    request.once('response', (response) => {
      this.#hasAnswer = true;
      readAnswer(response).then(resolve, (error) => reject(this.#broken(error)));
    });
    // More than one can come, of the socket and of a write.
    request.on('error', (error) => {
      if (!this.#hasAnswer) reject(this.#broken(error));
    });
    try {
      if (body === undefined || body.size === 0) request.end();
      else this.#write(body).catch(reject);
      return await promise;
    } finally {
      forget();
      signal.removeEventListener('abort', abort);
      // Answered in the middle of the body: the rest is not wanted, and the connection can't be used again.
      if (!request.writableFinished) request.destroy();
    }
  }

  /** Stops quietly when the answer came early or the connection broke: that is told elsewhere. @throws what `read` throws */
  async #write(body: RequestBody): Promise<void> {
    const request = this.#request;
    const piece = (start: number) => body.read(start, Math.min(start + PIECE_BYTES, body.size));
    let onEnd: (() => void) | undefined;
    request.once('close', () => onEnd?.());
    let next = piece(0);
    for (let start = 0; start < body.size; ) {
      const bytes = await next;
      const end = start + bytes.length;
      if (this.#hasAnswer || request.destroyed) return;
      const written = new Promise<boolean>((resolve) => {
        onEnd = () => resolve(false);
        request.write(bytes, (error) => resolve(!error));
      });
      if (end < body.size) {
        next = piece(end);
        // It is looked at only once the piece before it is out; by then the request may be over.
        next.catch(() => {});
      }
      if (!(await written)) return;
      start = end;
      this.#sent = end;
      if (!this.#message.signal.aborted) this.#message.onSent(end);
    }
    request.end();
  }

  #broken(error: Error & { code?: string }): TransportError {
    const code = error.code ?? '';
    const isUnreachable = UNREACHABLE.has(code) || !this.#hasConnected;
    const isHopeless = HOPELESS.test(code);
    const detail = isHopeless ? error.message : explained(code, new URL(this.#message.url));
    const isUnknownHost = code === 'ENOTFOUND';
    return new TransportError(error.message, {
      isUnreachable,
      isHopeless,
      isUnknownHost,
      ...(detail === undefined ? {} : { detail }),
      cause: error,
    });
  }
}

/** What the system says, in words for whoever typed the address. */
function explained(code: string, { hostname, host }: URL): string | undefined {
  switch (code) {
    case 'ENOTFOUND':
      return `There is no host “${hostname}”.`;
    case 'EAI_AGAIN':
    case 'EAI_FAIL':
      return `The address of the host “${hostname}” could not be looked up.`;
    case 'ECONNREFUSED':
      return `${host} refuses connections.`;
    case 'EHOSTUNREACH':
    case 'EHOSTDOWN':
    case 'ENETUNREACH':
    case 'ENETDOWN':
      return `There is no way to ${host}.`;
    case 'ECONNRESET':
    case 'EPIPE':
      return `${host} broke the connection.`;
  }
  return undefined;
}

/** @throws Error when the connection breaks before the answer is whole */
async function readAnswer(response: IncomingMessage): Promise<TransportResponse> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Throws when the connection ends early, which the bare `end` event would never tell.
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= MAX_ANSWER_BYTES) chunks.push(chunk);
  }
  return {
    status: response.statusCode ?? 0,
    header: (name) => {
      const value = response.headers[name.toLowerCase()];
      return Array.isArray(value) ? value.join(', ') : (value ?? null);
    },
    text: Buffer.concat(chunks).toString('utf8'),
  };
}
