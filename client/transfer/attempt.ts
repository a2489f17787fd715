// One attempt: one tus-js-client instance from the creation, or the HEAD, to the last PATCH. It keeps the order of the
// protocol; everything it does badly by itself is kept from it. It never sees a failed request other than as a rejected
// promise (a HEAD answered 401 or 503 makes it start over at byte 0), never sees a 2xx that brings nothing (it repeats
// those without a pause), and once an attempt is aborted no request of it leaves any more.
import type { HttpRequest, HttpResponse, HttpStack } from 'tus-js-client';
// The protocol alone. The package's entry adds transports, file readers and stores that are not used here, in ES5: 15 KB.
// It is an ES module that does not say so, which Node reads from 22.7 on.
import Upload from 'tus-js-client/lib/upload.js';
import { UploadError } from '../../shared/errors.ts';
import { parseByteCount } from '../../shared/protocol.ts';
import type { RequestBody, Source, TransportResponse } from '../ports.ts';
import { checksumHeader } from './checksum.ts';
import { type ChunkSize, SMALLEST_CHUNK_BYTES } from './chunk-size.ts';
import { Failure } from './failure.ts';
import type { GuardedHttp } from './guarded-http.ts';
import type { SourceReader } from './source-reader.ts';

export interface AttemptOptions {
  endpoint: string;
  /** Null: create it. */
  url: string | null;
  idempotencyKey: string;
  metadata: Readonly<Record<string, string>>;
  source: Source;
  reader: SourceReader;
  chunkSize: ChunkSize;
  http: GuardedHttp;
  signal: AbortSignal;
  /** The server made the upload. The first PATCH waits until this resolves, so that its address outlives this process. */
  onCreated(url: string): Promise<void>;
  /** The server has so many bytes. */
  onConfirmed(offset: number): void;
  /** A body begins at this offset. */
  onSending(offset: number): void;
  /** Bytes of the file that left this device, and whether they are the last. */
  onSent(offset: number, isAll: boolean): void;
}

/** The server acknowledged the last byte: `accepted`. Or every byte is there and the verdict is still out. */
export type AttemptOutcome = 'acknowledged' | 'inspecting';

/** @throws Failure, or the reason of the signal */
export function attempt(options: AttemptOptions): Promise<AttemptOutcome> {
  const { signal, source, reader, chunkSize } = options;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stack = new Stack(options);
    const upload = new Upload(UNREAD, {
      ...Upload.defaultOptions,
      // Without an endpoint it cannot create a second upload where the first one does not answer.
      endpoint: options.url === null ? options.endpoint : null,
      uploadUrl: options.url,
      metadata: { ...options.metadata },
      retryDelays: null,
      storeFingerprintForResuming: false,
      fingerprint: async () => '',
      uploadLengthDeferred: source.size === null,
      chunkSize: chunkSize.bytes,
      httpStack: stack,
      fileReader: {
        openFile: async () => ({
          // Where the length is deferred it does not look at this.
          size: source.size ?? 0,
          slice: (start, end) => reader.slice(start, start === 0 ? Math.min(end, chunkSize.first(source.size)) : end),
          close: () => {},
        }),
      },
      onChunkComplete: () => {
        // It is read again for each PATCH.
        upload.options.chunkSize = chunkSize.bytes;
      },
      onSuccess: () => {
        stop();
        resolve('acknowledged');
      },
      onError: (error) => {
        stop();
        const cause = 'causingError' in error ? error.causingError : error;
        if (cause instanceof Inspecting) resolve('inspecting');
        else reject(cause instanceof Failure ? cause : unexpected(cause));
      },
    });
    const abort = () => {
      stop();
      void upload.abort();
      reject(signal.reason);
    };
    const stop = () => signal.removeEventListener('abort', abort);
    signal.addEventListener('abort', abort, { once: true });
    upload.start();
  });
}

/** It wants something to open; `fileReader` gives it ours whatever this is. */
const UNREAD = { read: () => Promise.reject(new Error('Never read.')) };

/** What stands in for a failure when the answer says that the verdict is out. */
class Inspecting extends Error {}

function unexpected(cause: unknown): Failure {
  const error = cause instanceof UploadError ? cause : new UploadError('ERR_UNEXPECTED_RESPONSE', { cause });
  return new Failure(error, { cause: 'hopeless', method: 'PATCH' });
}

class Stack implements HttpStack {
  readonly #options: AttemptOptions;
  /** The server said that it holds a chunk against its CRC-32. */
  comparesCrc32 = false;

  constructor(options: AttemptOptions) {
    this.#options = options;
  }

  getName(): string {
    return 'LandfallHttpStack';
  }

  createRequest(method: string, url: string): HttpRequest {
    return new Request(this, this.#options, method, url);
  }
}

class Request implements HttpRequest {
  readonly #stack: Stack;
  readonly #options: AttemptOptions;
  readonly #method: string;
  readonly #url: string;
  readonly #headers: Record<string, string> = {};

  constructor(stack: Stack, options: AttemptOptions, method: string, url: string) {
    this.#stack = stack;
    this.#options = options;
    this.#method = method;
    this.#url = url;
  }

  getMethod(): string {
    return this.#method;
  }

  getURL(): string {
    return this.#url;
  }

  setHeader(name: string, value: string): void {
    this.#headers[name] = value;
  }

  getHeader(name: string): string | undefined {
    return this.#headers[name];
  }

  setProgressHandler(): void {}

  /** The signal of the attempt stops what is under way. */
  async abort(): Promise<void> {}

  getUnderlyingObject(): undefined {
    return undefined;
  }

  async send(body: RequestBody | null): Promise<HttpResponse> {
    this.#options.signal.throwIfAborted();
    switch (this.#method) {
      case 'POST':
        return this.#create();
      case 'HEAD':
        return this.#ask();
      default:
        return this.#append(body ?? EMPTY);
    }
  }

  async #create(): Promise<HttpResponse> {
    const { idempotencyKey } = this.#options;
    const response = await this.#guarded({ 'Idempotency-Key': idempotencyKey });
    this.#heard(response);
    const location = response.header('Location');
    if (location === null) throw this.#nonsense('It made an upload without saying where.');
    await this.#options.onCreated(new URL(location, this.#url).href);
    // An earlier creation with this key got through, and bytes after it: asking where to go on is for the next attempt.
    if (Number(response.header('Upload-Offset') ?? 0) > 0) throw this.#nonsense('The upload is not new.', 'interrupted');
    this.#options.onConfirmed(0);
    return wrap(response);
  }

  async #ask(): Promise<HttpResponse> {
    const { size } = this.#options.source;
    const response = await this.#guarded({});
    this.#heard(response);
    const offset = parseByteCount(response.header('Upload-Offset') ?? '');
    const length = parseByteCount(response.header('Upload-Length') ?? '');
    if (offset === undefined || (length === undefined && size !== null)) throw this.#nonsense('It did not say how much it has.');
    if ((size !== null && length !== size) || (length ?? offset) < offset) {
      const error = new UploadError('ERR_SOURCE_CHANGED', { detail: 'The server holds part of a file of another size.' });
      throw new Failure(error, { cause: 'hopeless', method: 'HEAD' });
    }
    this.#options.onConfirmed(offset);
    return wrap(response);
  }

  async #append(body: RequestBody): Promise<HttpResponse> {
    const { chunkSize, reader, source } = this.#options;
    const start = Number(this.#headers['Upload-Offset']);
    const end = start + body.size;
    const isLast = end === source.size || this.#headers['Upload-Length'] !== undefined;
    const fileChecksum = isLast ? reader.checksumHeader(end) : undefined;
    const chunkChecksum = this.#stack.comparesCrc32 && chunkSize.isVerifiable && body.size > 0 ? body.crc32 : undefined;
    const headers = {
      ...(fileChecksum === undefined ? {} : { 'Landfall-Checksum': fileChecksum }),
      ...(chunkChecksum === undefined ? {} : { 'Upload-Checksum': checksumHeader(chunkChecksum) }),
    };
    this.#options.onSending(start);
    const begun = performance.now();
    let response: TransportResponse;
    try {
      response = await this.#guarded(headers, body, (sent) => this.#options.onSent(start + sent, isLast && sent === body.size));
    } catch (error) {
      if (error instanceof Failure && error.reason !== 'refused' && body.size > SMALLEST_CHUNK_BYTES) chunkSize.failed();
      throw error;
    }
    const offset = parseByteCount(response.header('Upload-Offset') ?? '');
    if (offset === undefined || offset > end) throw this.#nonsense('It did not say how much it has.');
    // The held byte was asked about, and the answer is "not yet".
    if (isLast && offset === end - 1) {
      this.#options.onConfirmed(offset);
      throw new Inspecting();
    }
    if (offset <= start && body.size > 0) throw this.#nonsense('It took the bytes and has no more than before.');
    if (offset === end) chunkSize.succeeded(body.size, performance.now() - begun);
    this.#options.onConfirmed(offset);
    return wrap(response);
  }

  #heard(response: TransportResponse): void {
    this.#stack.comparesCrc32 = /\bcrc32\b/.test(response.header('Tus-Checksum-Algorithm') ?? '');
  }

  #guarded(extra: Record<string, string>, body?: RequestBody, onSent?: (bytes: number) => void): Promise<TransportResponse> {
    return this.#options.http.send({
      method: this.#method,
      url: this.#url,
      headers: { ...this.#headers, ...extra },
      signal: this.#options.signal,
      ...(body === undefined ? {} : { body }),
      ...(onSent === undefined ? {} : { onSent }),
    });
  }

  #nonsense(detail: string, cause: 'nonsense' | 'interrupted' = 'nonsense'): Failure {
    return new Failure(new UploadError('ERR_UNEXPECTED_RESPONSE', { detail }), { cause, method: this.#method });
  }
}

const EMPTY: RequestBody = { size: 0, read: async () => new Uint8Array() };

function wrap(response: TransportResponse): HttpResponse {
  return {
    getStatus: () => response.status,
    getHeader: (name) => response.header(name) ?? undefined,
    getBody: () => response.text,
    getUnderlyingObject: () => undefined,
  };
}
