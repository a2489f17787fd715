// The adapter of @tus/server, and the only file that depends on its internals.
//
// Its handlers implement the protocol. Around them it converts each request into a web stream and back, which takes most of its CPU
// time and hides a cut connection. So this file builds the request with the raw body in it, and replaces `writeToStore` of the PATCH
// and POST handlers, the only place that reads the body.
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { Server, type ServerOptions } from '@tus/server';
import type { CancellationContext, DataStore, Upload as TusUpload } from '@tus/utils';
import { OFFSET_CONTENT_TYPE } from '../../shared/protocol.ts';
import { isMediaType } from './headers.ts';

/** The parts of a request that the handlers read, and Landfall's own context. */
export interface TusRequest<Context> {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  /** The raw request: a Node stream where the handlers expect a web stream, which they only pass to `writeToStore`. */
  readonly body: Readable;
  readonly context: Context;
}

export interface TusHooks<Context> {
  /** Appends a body under the upload's lock and resolves with the new offset. */
  receive(request: TusRequest<Context>, upload: TusUpload, maxBytes: number, context: CancellationContext): Promise<number>;
}

/**
 * The headers that the handlers need. The others were parsed before, or must not reach the handlers (they refuse a list in
 * X-Forwarded-Proto).
 */
const HEADERS = ['tus-resumable', 'upload-length', 'upload-defer-length', 'upload-offset', 'content-type', 'content-length'] as const;

type WriteToStore = (body: unknown, upload: TusUpload, maxBytes: number, context: CancellationContext) => Promise<number>;

/** The installed @tus/server has other internals than this adapter expects. */
export class IncompatibleTusServer extends Error {
  override readonly name = 'IncompatibleTusServer';
}

export class StockServer<Context> {
  readonly #server: Server;
  readonly #requests = new WeakMap<Readable, TusRequest<Context>>();
  readonly #errors = new WeakMap<object, unknown>();

  /** @throws IncompatibleTusServer */
  constructor(options: Omit<ServerOptions, 'onResponseError'> & { datastore: DataStore }, hooks: TusHooks<Context>) {
    this.#server = new Server({
      ...options,
      // `handle` throws the error itself; the library's own rendering of it is not used.
      onResponseError: (request, error) => {
        this.#errors.set(request, error);
        return undefined;
      },
    });
    for (const method of ['PATCH', 'POST'] as const) {
      const handler = this.#server.handlers[method] as unknown as { writeToStore: WriteToStore };
      if (
        typeof handler?.writeToStore !== 'function' ||
        handler.writeToStore.length !== 4 ||
        typeof this.#server.handleWeb !== 'function'
      ) {
        throw new IncompatibleTusServer('@tus/server has changed inside: Landfall needs a 2.4 release of it.');
      }
      handler.writeToStore = (body, upload, maxBytes, context) => {
        const request = this.#requests.get(body as Readable);
        if (request === undefined) throw new IncompatibleTusServer('@tus/server no longer hands the body through as it is.');
        return hooks.receive(request, upload, maxBytes, context);
      };
    }
  }

  /**
   * Runs the library's handler. Throws the error that a hook or the store threw. A refusal by the library itself is returned as a
   * response with a status of 400 or more.
   */
  async handle(raw: IncomingMessage, method: string, url: string, context: Context): Promise<Response> {
    const headers = new Headers();
    for (const name of HEADERS) {
      const value = raw.headers[name];
      // Landfall itself handles a declared length, because it may have to hold the declaration back.
      if (value === undefined || (name === 'upload-length' && method === 'PATCH')) continue;
      headers.set(name, Array.isArray(value) ? value.join(', ') : value);
    }
    // The library accepts this media type in one spelling only.
    if (isMediaType(raw, OFFSET_CONTENT_TYPE)) headers.set('content-type', OFFSET_CONTENT_TYPE);
    const request: TusRequest<Context> = { method, url, headers, body: raw, context };
    this.#requests.set(raw, request);
    const response = await this.#server.handleWeb(request as unknown as Request);
    const error = this.#errors.get(request);
    if (error instanceof Error) throw error;
    return response;
  }
}

/** Writes the library's response, with these headers added or replaced. */
export function writeResponse(from: Response, response: ServerResponse, headers: OutgoingHttpHeaders): void {
  response.statusCode = from.status;
  for (const [name, value] of from.headers) {
    if (!name.startsWith('access-control-') && name !== 'content-length' && name !== 'content-type') response.setHeader(name, value);
  }
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) response.setHeader(name, value);
  }
  response.end();
}
