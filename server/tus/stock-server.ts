// The seam to @tus/server: the one file that knows its insides, and why.
//
// Its handlers speak the protocol; around them stand its conversions of the request into a web stream and back, which
// cost most of its processor time and hide a cut connection. So the request is built here, with the raw body in it, and
// `writeToStore` of the PATCH and POST handlers, the one place that touches the body, is ours.
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Server, type ServerOptions } from '@tus/server';
import type { CancellationContext, DataStore, Upload as TusUpload } from '@tus/utils';
import { OFFSET_CONTENT_TYPE } from '../../shared/protocol.ts';
import { isMediaType } from './headers.ts';

/** What the handlers read of a request, and what we hang on it. */
export interface TusRequest<Context> {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  /** The raw request: a Node stream where the handlers expect a web stream, which they hand to `writeToStore` untouched. */
  readonly body: IncomingMessage;
  readonly context: Context;
}

export interface TusHooks<Context> {
  /** Appends a body under the upload's lock and resolves with the new offset. */
  receive(request: TusRequest<Context>, upload: TusUpload, maxBytes: number, context: CancellationContext): Promise<number>;
}

/** What the handlers need to know; the rest was read before, strictly, or is nobody's business here (a list in X-Forwarded-Proto would be refused). */
const HEADERS = ['tus-resumable', 'upload-length', 'upload-defer-length', 'upload-offset', 'content-type', 'content-length'] as const;

type WriteToStore = (body: unknown, upload: TusUpload, maxBytes: number, context: CancellationContext) => Promise<number>;

/** The installed @tus/server is not one this seam was made for. */
export class IncompatibleTusServer extends Error {
  override readonly name = 'IncompatibleTusServer';
}

export class StockServer<Context> {
  readonly #server: Server;
  readonly #requests = new WeakMap<IncomingMessage, TusRequest<Context>>();
  readonly #errors = new WeakMap<object, unknown>();

  /** @throws IncompatibleTusServer */
  constructor(options: Omit<ServerOptions, 'onResponseError'> & { datastore: DataStore }, hooks: TusHooks<Context>) {
    this.#server = new Server({
      ...options,
      // The error itself goes to the caller; what the library makes of it is not read.
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
        const request = this.#requests.get(body as IncomingMessage);
        if (request === undefined) throw new IncompatibleTusServer('@tus/server no longer hands the body through as it is.');
        return hooks.receive(request, upload, maxBytes, context);
      };
    }
  }

  /**
   * Has the library's handler answer. Throws what a hook or the store threw, instead of the library's own
   * rendering of it; a refusal the library writes itself comes back as a response of 400 or more.
   */
  async handle(raw: IncomingMessage, method: string, url: string, context: Context): Promise<Response> {
    const headers = new Headers();
    for (const name of HEADERS) {
      const value = raw.headers[name];
      // A declared length is ours to judge: it may have to be held back.
      if (value === undefined || (name === 'upload-length' && method === 'PATCH')) continue;
      headers.set(name, Array.isArray(value) ? value.join(', ') : value);
    }
    // The library takes it in one spelling alone.
    if (isMediaType(raw, OFFSET_CONTENT_TYPE)) headers.set('content-type', OFFSET_CONTENT_TYPE);
    const request: TusRequest<Context> = { method, url, headers, body: raw, context };
    this.#requests.set(raw, request);
    const response = await this.#server.handleWeb(request as unknown as Request);
    const error = this.#errors.get(request);
    if (error instanceof Error) throw error;
    return response;
  }
}

/** Writes a response of the library's, with headers of ours over it. */
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
