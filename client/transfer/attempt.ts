// One attempt is one tus-js-client instance, from the creation or HEAD to the last PATCH. tus-js-client keeps the order of the
// protocol. This file shields it from three situations that it handles badly: a HEAD answered 401 or 503, after which it would start
// over at byte 0; a 2xx without progress, which it would repeat without a pause; and an abort, after which it could still send requests.
import type { HttpRequest, HttpResponse, HttpStack } from 'tus-js-client';
// Only the protocol. The package's entry adds transports, file readers and stores that Landfall does not use, in ES5: 15 KB.
// The package does not declare this file as an ES module; Node reads it from 22.7 on.
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
  /** Address of the upload; null to create it. */
  url: string | null;
  idempotencyKey: string;
  metadata: Readonly<Record<string, string>>;
  source: Source;
  reader: SourceReader;
  chunkSize: ChunkSize;
  http: GuardedHttp;
  signal: AbortSignal;
  /** Called when the server created the upload. The first PATCH waits for the promise, so that the address is saved before it. */
  onCreated(url: string): Promise<void>;
  /** Called when the server acknowledged all bytes below this offset. */
  onConfirmed(offset: number): void;
  /** Called before a body is sent, with the offset of its first byte. */
  onSending(offset: number): void;
  /** Called when all bytes below this offset have left this device. `isAll`: the last byte has left. */
  onSent(offset: number, isAll: boolean): void;
}

/** `acknowledged`: the server acknowledged the last byte. `inspecting`: the server has every byte and no verdict yet. */
export type AttemptOutcome = 'acknowledged' | 'inspecting';

/** @throws Failure, or the reason of the signal */
export function attempt(options: AttemptOptions): Promise<AttemptOutcome> {
  const { signal, source, reader, chunkSize } = options;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stack = new TusHttpStack(options);
    const upload = new Upload(PLACEHOLDER_FILE, {
      ...Upload.defaultOptions,
      // Without an endpoint tus-js-client cannot create a second upload when the first one does not answer.
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
          // tus-js-client ignores this size when the length is deferred.
          size: source.size ?? 0,
          slice: (start, end) => reader.slice(start, start === 0 ? Math.min(end, chunkSize.firstChunkBytes(source.size)) : end),
          close: () => {},
        }),
      },
      onChunkComplete: () => {
        // tus-js-client reads this option before each PATCH.
        upload.options.chunkSize = chunkSize.bytes;
      },
      onSuccess: () => {
        stop();
        resolve('acknowledged');
      },
      onError: (error) => {
        stop();
        const cause = 'causingError' in error ? error.causingError : error;
        if (cause instanceof StillInspecting) resolve('inspecting');
        else reject(cause instanceof Failure ? cause : unexpectedFailure(cause));
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

/** tus-js-client requires a file to open; our `fileReader` ignores it and opens the source. */
const PLACEHOLDER_FILE = { read: () => Promise.reject(new Error('Never read.')) };

/** Thrown instead of a failure when the server has every byte and no verdict yet. */
class StillInspecting extends Error {}

function unexpectedFailure(cause: unknown): Failure {
  const error = cause instanceof UploadError ? cause : new UploadError('ERR_UNEXPECTED_RESPONSE', { cause });
  return new Failure(error, { cause: 'permanent', method: 'PATCH' });
}

class TusHttpStack implements HttpStack {
  readonly #options: AttemptOptions;
  /** The server announced that it verifies CRC-32 checksums of chunks. */
  supportsCrc32 = false;

  constructor(options: AttemptOptions) {
    this.#options = options;
  }

  getName(): string {
    return 'LandfallHttpStack';
  }

  createRequest(method: string, url: string): HttpRequest {
    return new TusRequest(this, this.#options, method, url);
  }
}

class TusRequest implements HttpRequest {
  readonly #stack: TusHttpStack;
  readonly #options: AttemptOptions;
  readonly #method: string;
  readonly #url: string;
  readonly #headers: Record<string, string> = {};

  constructor(stack: TusHttpStack, options: AttemptOptions, method: string, url: string) {
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

  /** Does nothing: the signal of the attempt aborts the request. */
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
        return this.#readOffset();
      default:
        return this.#append(body ?? EMPTY_BODY);
    }
  }

  async #create(): Promise<HttpResponse> {
    const { idempotencyKey } = this.#options;
    const response = await this.#exchange({ 'Idempotency-Key': idempotencyKey });
    this.#noteChecksumSupport(response);
    const location = response.header('Location');
    if (location === null) throw this.#unexpectedAnswer('The response to the creation has no Location header.');
    await this.#options.onCreated(new URL(location, this.#url).href);
    // An earlier creation with this key succeeded and bytes followed it. The next attempt reads the offset and continues there.
    if (Number(response.header('Upload-Offset') ?? 0) > 0) throw this.#unexpectedAnswer('The upload already has bytes.', 'interrupted');
    this.#options.onConfirmed(0);
    return toHttpResponse(response);
  }

  async #readOffset(): Promise<HttpResponse> {
    const { size } = this.#options.source;
    const response = await this.#exchange({});
    this.#noteChecksumSupport(response);
    const offset = parseByteCount(response.header('Upload-Offset') ?? '');
    const length = parseByteCount(response.header('Upload-Length') ?? '');
    if (offset === undefined || (length === undefined && size !== null))
      throw this.#unexpectedAnswer('The response has no valid Upload-Offset or Upload-Length header.');
    if ((size !== null && length !== size) || (length ?? offset) < offset) {
      const error = new UploadError('ERR_SOURCE_CHANGED', { detail: 'The server has part of a file of a different size.' });
      throw new Failure(error, { cause: 'permanent', method: 'HEAD' });
    }
    this.#options.onConfirmed(offset);
    return toHttpResponse(response);
  }

  async #append(body: RequestBody): Promise<HttpResponse> {
    const { chunkSize, reader, source } = this.#options;
    const start = Number(this.#headers['Upload-Offset']);
    const end = start + body.size;
    const isLast = end === source.size || this.#headers['Upload-Length'] !== undefined;
    const fileChecksum = isLast ? reader.checksumHeader(end) : undefined;
    const chunkChecksum = this.#stack.supportsCrc32 && chunkSize.usesChecksum && body.size > 0 ? body.crc32 : undefined;
    const headers = {
      ...(fileChecksum === undefined ? {} : { 'Landfall-Checksum': fileChecksum }),
      ...(chunkChecksum === undefined ? {} : { 'Upload-Checksum': checksumHeader(chunkChecksum) }),
    };
    this.#options.onSending(start);
    const startedAt = performance.now();
    let response: TransportResponse;
    try {
      response = await this.#exchange(headers, body, (sent) => this.#options.onSent(start + sent, isLast && sent === body.size));
    } catch (error) {
      if (error instanceof Failure && error.reason !== 'refused' && body.size > SMALLEST_CHUNK_BYTES) chunkSize.failed();
      throw error;
    }
    const offset = parseByteCount(response.header('Upload-Offset') ?? '');
    if (offset === undefined || offset > end) throw this.#unexpectedAnswer('The response has no valid Upload-Offset header.');
    // The server holds back the last byte: it has no verdict yet.
    if (isLast && offset === end - 1) {
      this.#options.onConfirmed(offset);
      throw new StillInspecting();
    }
    if (offset <= start && body.size > 0) throw this.#unexpectedAnswer('The server confirmed the request but not its bytes.');
    if (offset === end) chunkSize.succeeded(body.size, performance.now() - startedAt);
    this.#options.onConfirmed(offset);
    return toHttpResponse(response);
  }

  #noteChecksumSupport(response: TransportResponse): void {
    this.#stack.supportsCrc32 = /\bcrc32\b/.test(response.header('Tus-Checksum-Algorithm') ?? '');
  }

  #exchange(extra: Record<string, string>, body?: RequestBody, onSent?: (bytes: number) => void): Promise<TransportResponse> {
    return this.#options.http.send({
      method: this.#method,
      url: this.#url,
      headers: { ...this.#headers, ...extra },
      signal: this.#options.signal,
      ...(body === undefined ? {} : { body }),
      ...(onSent === undefined ? {} : { onSent }),
    });
  }

  #unexpectedAnswer(detail: string, cause: 'unexpected' | 'interrupted' = 'unexpected'): Failure {
    return new Failure(new UploadError('ERR_UNEXPECTED_RESPONSE', { detail }), { cause, method: this.#method });
  }
}

const EMPTY_BODY: RequestBody = { size: 0, read: async () => new Uint8Array() };

function toHttpResponse(response: TransportResponse): HttpResponse {
  return {
    getStatus: () => response.status,
    getHeader: (name) => response.header(name) ?? undefined,
    getBody: () => response.text,
    getUnderlyingObject: () => undefined,
  };
}
