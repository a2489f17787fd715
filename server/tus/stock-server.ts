// The seam to @tus/server: the one file that knows its insides, and why.
//
// Its handlers speak the protocol; around them stand its conversions of the request into a web stream and back, which
// cost most of its processor time and hide a cut connection. So each handler is called with a request that is made here, with the
// raw body in it, and two of its methods are ours: `writeToStore` of PATCH and POST, the one place that touches the body, and
// `write`, which makes the answer: a `Response` costs more than all else that a handler does.
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { Server, type ServerOptions } from '@tus/server';
import type { CancellationContext, DataStore, Upload as TusUpload } from '@tus/utils';
import { OFFSET_CONTENT_TYPE, TUS_VERSION } from '../../shared/protocol.ts';
import { isMediaType } from './headers.ts';

/** What the handlers read of a request, and what we hang on it. */
export interface TusRequest<Context> {
  readonly method: string;
  readonly url: string;
  readonly headers: Pick<Headers, 'get'>;
  /** The raw request: a Node stream where the handlers expect a web stream, which they hand to `writeToStore` untouched. */
  readonly body: Readable;
  readonly context: Context;
}

export interface TusHooks<Context> {
  /** Appends a body under the upload's lock and resolves with the new offset. */
  receive(request: TusRequest<Context>, upload: TusUpload, maxBytes: number, cancellation: Cancellation): Promise<number>;
}

/** What a handler answers; of 400 or more where it refuses. */
export interface TusAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Ends a request whose lock another one wants, or that failed. */
export class Cancellation implements CancellationContext {
  readonly #controller = new AbortController();

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** @param reason why; without one, an abort makes an error with a stack each time */
  readonly abort = (reason: unknown = 'the request was ended'): void => this.#controller.abort(reason);
  /** The locker has asked only after the holder was silent for long enough. */
  readonly cancel = (): void => this.abort();
}

type Method = 'POST' | 'PATCH' | 'DELETE' | 'OPTIONS';
type WriteToStore = (body: unknown, upload: TusUpload, maxBytes: number, context: CancellationContext) => Promise<number>;

/** The inside of the library's handlers, as far as it is used here. */
interface Handler {
  send(request: unknown, context: CancellationContext, headers: Map<string, string>): Promise<TusAnswer>;
  writeToStore: WriteToStore;
  write(status: number, headers?: Readonly<Record<string, string>> | Map<string, string>, body?: string): TusAnswer;
}

const METHODS: readonly Method[] = ['POST', 'PATCH', 'DELETE', 'OPTIONS'];

/** What the handlers need to know; the rest was read before, strictly, or is nobody's business here (a list in X-Forwarded-Proto would be refused). */
const HEADERS = new Set(['upload-length', 'upload-defer-length', 'upload-offset', 'content-type', 'content-length']);

/** The installed @tus/server is not one this seam was made for. */
export class IncompatibleTusServer extends Error {
  override readonly name = 'IncompatibleTusServer';
}

export class StockServer<Context> {
  readonly #handlers: Readonly<Record<Method, Handler>>;
  readonly #requests = new WeakMap<Readable, TusRequest<Context>>();

  /** @throws IncompatibleTusServer */
  constructor(options: ServerOptions & { datastore: DataStore }, hooks: TusHooks<Context>) {
    const { handlers } = new Server(options);
    this.#handlers = handlers as unknown as Record<Method, Handler>;
    for (const method of METHODS) {
      const handler = this.#handlers[method];
      if (!isKnown(handler)) throw new IncompatibleTusServer('@tus/server has changed inside: Landfall needs a 2.4 release of it.');
      Object.assign(handler, {
        write: answer,
        writeToStore: (body: unknown, upload: TusUpload, maxBytes: number, cancellation: Cancellation) => {
          const request = this.#requests.get(body as Readable);
          if (request === undefined) throw new IncompatibleTusServer('@tus/server no longer hands the body through as it is.');
          return hooks.receive(request, upload, maxBytes, cancellation);
        },
      });
    }
  }

  /**
   * Has the library's handler answer a request whose version was looked at. Throws what a hook or the store threw; a refusal of the
   * library's own comes back as an answer of 400 or more.
   */
  async handle(raw: IncomingMessage, method: Method, url: string, context: Context): Promise<TusAnswer> {
    const request: TusRequest<Context> = { method, url, headers: { get: (name) => headerOf(raw, method, name) }, body: raw, context };
    this.#requests.set(raw, request);
    const cancellation = new Cancellation();
    try {
      const answered = await this.#handlers[method].send(request, cancellation, new Map([['Tus-Resumable', TUS_VERSION]]));
      return cancellation.signal.aborted ? { ...answered, headers: { ...answered.headers, Connection: 'close' } } : answered;
    } catch (error) {
      if (error instanceof Error) throw error;
      return refusalOf(error);
    }
  }
}

function isKnown(handler: Partial<Handler> | undefined): boolean {
  const { send, write, writeToStore } = handler ?? {};
  // What stands behind a parameter that need not be given is not counted.
  return typeof send === 'function' && write?.length === 1 && writeToStore?.length === 4;
}

/** As the handlers' own `Headers` would: null where there is none. */
function headerOf(raw: IncomingMessage, method: Method, name: string): string | null {
  // A declared length is ours to judge: it may have to be held back.
  if (!HEADERS.has(name) || (name === 'upload-length' && method === 'PATCH')) return null;
  // The library takes it in one spelling alone.
  if (name === 'content-type' && isMediaType(raw, OFFSET_CONTENT_TYPE)) return OFFSET_CONTENT_TYPE;
  const value = raw.headers[name];
  return (Array.isArray(value) ? value.join(', ') : value) ?? null;
}

const answer: Handler['write'] = (status, headers = {}, body = '') => {
  return { status, headers: headers instanceof Map ? Object.fromEntries(headers) : headers, body };
};

/** The library throws its refusals as plain objects. */
function refusalOf(thrown: unknown): TusAnswer {
  const { status_code: status = 500, body = '' } = (thrown ?? {}) as { status_code?: number; body?: string };
  return { status, headers: {}, body };
}

/** Writes an answer of the library's, with headers of ours over it. */
export function writeAnswer({ status, headers: own }: TusAnswer, response: ServerResponse, headers: OutgoingHttpHeaders): void {
  response.statusCode = status;
  for (const [name, value] of Object.entries(own)) {
    if (!name.toLowerCase().startsWith('access-control-')) response.setHeader(name, value);
  }
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) response.setHeader(name, value);
  }
  response.end();
}
