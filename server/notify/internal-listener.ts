// A listener of its own for the application behind Landfall, which senders cannot reach. By default it is on loopback.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type ErrorCode, toProblem, UploadError } from '../../shared/errors.ts';
import { PROBLEM_CONTENT_TYPE } from '../../shared/protocol.ts';
import type { Inspectable } from '../inspection/check.ts';
import { StartError } from '../runtime/start-error.ts';
import { rangeOf } from '../storage/preconditions.ts';

/** Bytes in memory for each reader. */
const BLOCK_BYTES = 1024 * 1024;
/** In origin-form, or in absolute-form: RFC 9112, 3.2.2. */
const ADDRESS = /^(?:https?:\/\/[^/?#]+)?\/content\/([\w-]{43})$/;

/** The address for the application is in use, or this machine does not have it. */
export class InternalAddressUnusable extends StartError {
  override readonly name = 'InternalAddressUnusable';
  override readonly code = 'ERR_INTERNAL_ADDRESS_UNUSABLE';
}

/** The staged bytes of one attempt, offered to the application while its check runs. */
export interface OfferedContent {
  /** Unguessable, and valid until the check has ended. */
  readonly url: string;
  /** Ends the validity of the address. */
  withdraw(): void;
}

export interface InternalListenerOptions {
  host: string;
  /** 0: any free port. */
  port: number;
  /** The address at which the application reaches the listener, without a slash at its end; empty: host and port. */
  url: string;
}

export class InternalListener {
  readonly #options: InternalListenerOptions;
  readonly #server: Server;
  readonly #offered = new Map<string, { upload: Inspectable; onRead: () => void }>();

  constructor(options: InternalListenerOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  /** @throws InternalAddressUnusable */
  async start(): Promise<void> {
    const { host, port } = this.#options;
    this.#server.listen(port, host);
    await once(this.#server, 'listening').catch((cause: unknown) => {
      const reason = cause instanceof Error && 'code' in cause ? cause.code : cause;
      throw new InternalAddressUnusable(`LANDFALL_INTERNAL_HOST, LANDFALL_INTERNAL_PORT: cannot listen at ${host}:${port} (${reason}).`, {
        cause,
      });
    });
    // Later connections are accepted as before.
    this.#server.on('error', () => undefined);
  }

  /** @param onRead called after each read of the application */
  offer(upload: Inspectable, onRead: () => void): OfferedContent {
    const token = randomBytes(32).toString('base64url');
    this.#offered.set(token, { upload, onRead });
    return { url: `${this.#url()}/content/${token}`, withdraw: () => void this.#offered.delete(token) };
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #url(): string {
    const { host, url } = this.#options;
    if (url !== '') return url;
    const { port } = this.#server.address() as AddressInfo;
    return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('Cache-Control', 'no-store');
    response.setHeader('X-Content-Type-Options', 'nosniff');
    const offered = this.#offered.get(ADDRESS.exec(request.url ?? '')?.[1] ?? '');
    if (offered === undefined) return refuse(response, 'ERR_NOT_FOUND');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      return refuse(response, 'ERR_METHOD_NOT_ALLOWED');
    }
    const { upload, onRead } = offered;
    const file = { size: upload.length, etag: `"${upload.id}-${upload.record.attempts}"`, lastModified: undefined };
    const range = request.method === 'GET' ? rangeOf(request.headers, file) : undefined;
    response.setHeader('Accept-Ranges', 'bytes');
    response.setHeader('ETag', file.etag);
    if (range === 'none') {
      response.setHeader('Content-Range', `bytes */${file.size}`);
      return refuse(response, 'ERR_RANGE_NOT_SATISFIABLE');
    }
    const { start, end } = range ?? { start: 0, end: file.size };
    response.writeHead(range ? 206 : 200, {
      'Content-Type': 'application/octet-stream',
      'Content-Disposition': 'attachment',
      'Content-Length': end - start,
      ...(range && { 'Content-Range': `bytes ${start}-${end - 1}/${file.size}` }),
    });
    if (request.method === 'HEAD') response.end();
    else await pipeline(Readable.from(blocks(upload, start, end, onRead), { objectMode: false }), response);
  }
}

/** Reading ends with the check: `read` rejects after it. */
async function* blocks(upload: Inspectable, start: number, end: number, onRead: () => void): AsyncGenerator<Uint8Array, void, void> {
  for (let at = start; at < end; at += BLOCK_BYTES) {
    const block = await upload.read(at, Math.min(at + BLOCK_BYTES, end));
    onRead();
    yield block;
  }
}

function refuse(response: ServerResponse, code: ErrorCode): void {
  const error = new UploadError(code);
  const body = Buffer.from(JSON.stringify(toProblem(error)));
  response.writeHead(error.status, { 'Content-Type': PROBLEM_CONTENT_TYPE, 'Content-Length': body.byteLength }).end(body);
}
