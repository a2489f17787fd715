import { type ClientRequest, type Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { type Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { type RequestBody, type Transport, TransportError, type TransportRequest, type TransportResponse } from '../ports.ts';
import { httpAgent, httpsAgent, onAddressGone } from './connect.ts';

/** Size of a piece. One piece is read while the previous one is sent, so that disk and network work at the same time. */
const PIECE_BYTES = 512 * 1024;
/** A response of a tus server has a few hundred bytes. A longer one is a proxy's page, of which the start is enough. */
const MAX_ANSWER_BYTES = 256 * 1024;

/** Error codes of connections that could not be established. */
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
/** Error codes of untrusted certificates and of servers that do not speak TLS. Broken connections have other codes. */
const PERMANENT = /^(?:CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERR_TLS_|ERR_SSL_|ERR_INVALID_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/;

/** Streams bodies from the source in constant memory. All uploads of the process share its connections. */
export function nodeTransport(): Transport {
  const agents = { 'http:': httpAgent(), 'https:': httpsAgent() };
  return {
    async send(message: TransportRequest): Promise<TransportResponse> {
      for (;;) {
        // Nobody would listen to the errors of a request that is created but not sent.
        message.signal.throwIfAborted();
        const exchange = new Exchange(message, agents);
        try {
          return await exchange.answer();
        } catch (error) {
          // The server closed a kept-alive connection just as this request reused it, and read nothing of the request.
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
    // Without this, small packets of a body wait for the acknowledgement of earlier packets.
    this.#request.setNoDelay(true);
  }

  /**
   * A reused connection broke before a response began. The request may be repeated at once if the server cannot have stored bytes of it.
   */
  get wasStale(): boolean {
    const isRepeatable = this.#message.method !== 'PATCH' || this.#sent === 0;
    return this.#request.reusedSocket && !this.#hasAnswer && isRepeatable;
  }

  /** @throws TransportError, what the body's `read` threw, or the reason of the signal */
  async answer(): Promise<TransportResponse> {
    const { signal, body } = this.#message;
    const request = this.#request;
    const { promise, resolve, reject } = Promise.withResolvers<TransportResponse>();
    const abort = () => {
      reject(signal.reason);
      request.destroy();
    };
    signal.addEventListener('abort', abort, { once: true });
    let unsubscribe = () => {};
    request.once('socket', (socket) => {
      if (!socket.connecting) this.#hasConnected = true;
      else socket.once('connect', () => (this.#hasConnected = true));
      unsubscribe = onAddressGone(socket, () => request.destroy(new Error('The address of this device changed.')));
    });
    request.once('response', (response) => {
      this.#hasAnswer = true;
      readAnswer(response).then(resolve, (error) => reject(this.#toTransportError(error)));
    });
    // The socket and a write may both emit an error.
    request.on('error', (error) => {
      if (!this.#hasAnswer) reject(this.#toTransportError(error));
    });
    try {
      if (body === undefined || body.size === 0) request.end();
      else this.#write(body).catch(reject);
      return await promise;
    } finally {
      unsubscribe();
      signal.removeEventListener('abort', abort);
      // The response came before the end of the body. The server does not want the rest, and the connection cannot be reused.
      if (!request.writableFinished) request.destroy();
    }
  }

  /** Returns silently when the response came early or the connection broke, which `answer` reports. @throws what `read` throws */
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
        // The next piece is awaited only after this one is sent. Until then its rejection must not count as unhandled.
        next.catch(() => {});
      }
      if (!(await written)) return;
      start = end;
      this.#sent = end;
      if (!this.#message.signal.aborted) this.#message.onSent(end);
    }
    request.end();
  }

  #toTransportError(error: Error & { code?: string }): TransportError {
    const code = error.code ?? '';
    const isUnreachable = UNREACHABLE.has(code) || !this.#hasConnected;
    const isPermanent = PERMANENT.test(code);
    const detail = isPermanent ? error.message : describeError(code, new URL(this.#message.url));
    const isUnknownHost = code === 'ENOTFOUND';
    return new TransportError(error.message, {
      isUnreachable,
      isPermanent,
      isUnknownHost,
      ...(detail === undefined ? {} : { detail }),
      cause: error,
    });
  }
}

/** Describes a system error for the person who typed the address. */
function describeError(code: string, { hostname, host }: URL): string | undefined {
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

/** @throws Error when the connection breaks before the response is complete */
async function readAnswer(response: IncomingMessage): Promise<TransportResponse> {
  const chunks: Buffer[] = [];
  let size = 0;
  // The iterator throws when the connection ends early, which the `end` event does not report.
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
