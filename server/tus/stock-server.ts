// The adapter of @tus/server, and the only file that depends on its internals.
//
// Its handlers implement the protocol. Around them it converts each request into a web stream and back, which takes most of its CPU
// time and hides a cut connection. So this file calls the handlers directly, with a request that has the raw body in it, and replaces
// two of their methods: `writeToStore`, the only place that reads the body, and `write`, which makes a `Response`: that costs more
// than everything else in a handler.
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Server, type ServerOptions } from '@tus/server';
import type { CancellationContext, DataStore, Upload as TusUpload } from '@tus/utils';
import { OFFSET_CONTENT_TYPE, TUS_VERSION } from '../../shared/protocol.ts';
import { isMediaType } from './headers.ts';

/** The parts of a request that the handlers read, and Landfall's own context. */
export interface TusRequest<Context> {
  readonly method: string;
  readonly url: string;
  readonly headers: Pick<Headers, 'get'>;
  /** The raw request: a Node stream where the handlers expect a web stream, which they only pass to `writeToStore`. */
  readonly body: IncomingMessage;
  readonly context: Context;
}

export interface TusHooks<Context> {
  /** Appends a body under the upload's lock and resolves with the new offset. */
  receive(request: TusRequest<Context>, upload: TusUpload, maxBytes: number, cancellation: Cancellation): Promise<number>;
}

/** The answer of a handler. A status of 400 or more is a refusal. */
export interface TusAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Ends a request that failed, or whose lock another request wants. */
export class Cancellation implements CancellationContext {
  readonly #controller = new AbortController();

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** @param reason a text by default: an abort without a reason creates an error with a stack each time */
  abort(reason: unknown = 'the request was ended'): void {
    this.#controller.abort(reason);
  }

  /** Aborts at once: the locker calls this only when the lock's holder has received nothing for long enough. */
  cancel(): void {
    this.abort();
  }
}

type Method = 'POST' | 'PATCH' | 'DELETE' | 'OPTIONS';
type WriteToStore = (body: unknown, upload: TusUpload, maxBytes: number, context: CancellationContext) => Promise<number>;

/** The internals of the library's handlers that are used here. */
interface Handler {
  send(request: unknown, context: CancellationContext, headers: Map<string, string>): Promise<TusAnswer>;
  writeToStore: WriteToStore;
  write(status: number, headers?: Readonly<Record<string, string>> | Map<string, string>, body?: string): TusAnswer;
}

const METHODS: readonly Method[] = ['POST', 'PATCH', 'DELETE', 'OPTIONS'];

/**
 * The headers that the handlers need. The others were parsed before, or must not reach the handlers (they refuse a list in
 * X-Forwarded-Proto).
 */
const HEADERS = new Set(['upload-length', 'upload-defer-length', 'upload-offset', 'content-type', 'content-length']);

/** The installed @tus/server has other internals than this adapter expects. */
export class IncompatibleTusServer extends Error {
  override readonly name = 'IncompatibleTusServer';
}

export class StockServer<Context> {
  readonly #handlers: Readonly<Record<Method, Handler>>;
  readonly #requests = new WeakMap<IncomingMessage, TusRequest<Context>>();

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
          const request = this.#requests.get(body as IncomingMessage);
          if (request === undefined) throw new IncompatibleTusServer('@tus/server no longer hands the body through as it is.');
          return hooks.receive(request, upload, maxBytes, cancellation);
        },
      });
    }
  }

  /**
   * Runs the library's handler; the caller has checked the request's version. Throws the error that a hook or the store threw. A
   * refusal by the library itself is returned as an answer with a status of 400 or more.
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
    } finally {
      this.#requests.delete(raw);
    }
  }
}

function isKnown(handler: Partial<Handler> | undefined): boolean {
  const { send, write, writeToStore } = handler ?? {};
  // `length` does not count parameters from the first default value on.
  return typeof send === 'function' && write?.length === 1 && writeToStore?.length === 4;
}

/** Like `Headers.get`, for the headers that the handlers may see. */
function headerOf(raw: IncomingMessage, method: Method, name: string): string | null {
  // Landfall itself handles a declared length, because it may have to hold the declaration back.
  if (!HEADERS.has(name) || (name === 'upload-length' && method === 'PATCH')) return null;
  // The library accepts this media type in one spelling only.
  if (name === 'content-type' && isMediaType(raw, OFFSET_CONTENT_TYPE)) return OFFSET_CONTENT_TYPE;
  const value = raw.headers[name];
  return (Array.isArray(value) ? value.join(', ') : value) ?? null;
}

const answer: Handler['write'] = (status, headers = {}, body = '') => {
  return { status, headers: headers instanceof Map ? Object.fromEntries(headers) : headers, body };
};

/** The library throws its refusals as plain objects, not as errors. */
function refusalOf(thrown: unknown): TusAnswer {
  const { status_code: status = 500, body = '' } = (thrown ?? {}) as { status_code?: number; body?: string };
  return { status, headers: {}, body };
}

/** Writes the library's answer, with these headers added or replaced. */
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
