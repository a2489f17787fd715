// Adds to a transport: time limits, the application's headers, and failures with a cause.
import { UploadError } from '../../shared/errors.ts';
import { definedOnly, type HeadersRequest, type Timeouts, type UploadHeaders, type UploadOptions } from '../options.ts';
import { type PlatformEnvironment, type RequestBody, type Transport, TransportError, type TransportResponse } from '../ports.ts';
import { abortable } from './abortable.ts';
import { Failure, failureOf } from './failure.ts';
import { sendableHeaders } from './headers.ts';

export const DEFAULT_TIMEOUTS: Timeouts = { connectMs: 30_000, stallMs: 30_000, answerMs: 120_000 };

export interface GuardedRequest {
  method: string;
  url: string;
  headers: Readonly<Record<string, string>>;
  body?: RequestBody;
  signal: AbortSignal;
  /** Called with the number of body bytes that have left this device. */
  onSent?: (bytes: number) => void;
  /** Milliseconds that the server was asked to hold the response; added to the time limit for the response. */
  longPollMs?: number;
}

export class GuardedHttp {
  readonly #transport: Transport;
  readonly #environment: Pick<PlatformEnvironment, 'onNetworkChange' | 'isOnline'>;
  readonly #timeouts: Timeouts;
  readonly #headers: UploadOptions['headers'];
  readonly #withCredentials: boolean;
  #reason: HeadersRequest['reason'] = 'request';
  /** The headers that the application supplied last. */
  #lastHeaders: UploadHeaders = {};

  constructor(
    platform: { transport: Transport; environment: Pick<PlatformEnvironment, 'onNetworkChange' | 'isOnline'> },
    options: Pick<UploadOptions, 'headers' | 'timeouts' | 'withCredentials'>,
  ) {
    this.#transport = platform.transport;
    this.#environment = platform.environment;
    this.#timeouts = { ...DEFAULT_TIMEOUTS, ...definedOnly(options.timeouts ?? {}) };
    this.#headers = options.headers;
    this.#withCredentials = options.withCredentials ?? false;
  }

  /** False after new headers were requested, until a request succeeds with them. */
  get canReauthorize(): boolean {
    return typeof this.#headers === 'function' && this.#reason === 'request';
  }

  /** Makes the next request ask the application for new headers. */
  reauthorize(): void {
    this.#reason = 'unauthorized';
  }

  /**
   * Resolves with a 2xx response.
   *
   * @throws Failure, or the reason of the signal
   */
  async send(request: GuardedRequest): Promise<TransportResponse> {
    const { method, url, body, signal } = request;
    const bodyBytes = body?.size ?? 0;
    // The application's function may never settle.
    const headers = await abortable(this.#headersFor(method, url), signal);
    signal.throwIfAborted();
    const timer = new RequestTimer(this.#timeouts, bodyBytes, request.longPollMs ?? 0);
    const unsubscribe = this.#environment.onNetworkChange(() => timer.networkChanged(this.#environment.isOnline()));
    let response: TransportResponse;
    try {
      response = await this.#transport.send({
        method,
        url,
        headers: { ...headers, ...request.headers },
        ...(body === undefined ? {} : { body }),
        withCredentials: this.#withCredentials,
        signal: AbortSignal.any([signal, timer.signal]),
        onSent: (bytes) => {
          timer.bytesSent(bytes);
          request.onSent?.(bytes);
        },
      });
    } catch (error) {
      signal.throwIfAborted();
      throw this.#failure(error, timer, method, bodyBytes);
    } finally {
      unsubscribe();
      timer.stop();
    }
    if (response.status < 200 || response.status > 299) throw failureOf(response, method, url, bodyBytes);
    this.#reason = 'request';
    return response;
  }

  async #headersFor(method: string, url: string): Promise<UploadHeaders> {
    const headers = this.#headers;
    const reason = this.#reason;
    let supplied: UploadHeaders | null | undefined;
    try {
      const request = { method, url, reason, ...(reason === 'unauthorized' && { refused: this.#lastHeaders }) };
      supplied = typeof headers === 'function' ? await headers(request) : headers;
    } catch (cause) {
      // The application fetches its token over the same network, so its failure is retried like a failed request.
      const error = new UploadError('ERR_NETWORK', { detail: 'The application could not provide the request headers.', cause });
      throw new Failure(error, { cause: 'interrupted', method });
    }
    try {
      this.#lastHeaders = sendableHeaders(supplied ?? {});
      return this.#lastHeaders;
    } catch (cause) {
      const detail = cause instanceof Error ? cause.message : String(cause);
      throw new Failure(new UploadError('ERR_INVALID_HEADERS', { detail, cause }), { cause: 'permanent', method });
    }
  }

  #failure(error: unknown, timer: RequestTimer, method: string, bodyBytes: number): Failure {
    if (error instanceof Failure) return error;
    if (timer.signal.aborted) {
      const cause = timer.hasSentBytes ? 'stalled' : 'unreachable';
      return new Failure(new UploadError('ERR_STALLED', { cause: error }), { cause, method, bodyBytes });
    }
    if (error instanceof UploadError) return new Failure(error, { cause: 'permanent', method, bodyBytes });
    if (error instanceof TransportError) {
      const network = new UploadError('ERR_NETWORK', { cause: error, ...(error.detail === undefined ? {} : { detail: error.detail }) });
      const cause = error.isPermanent ? 'permanent' : error.isUnreachable ? 'unreachable' : 'interrupted';
      return new Failure(network, { cause, method, bodyBytes, isUnknownHost: error.isUnknownHost });
    }
    // Not a network failure: the transport rejected its input or has a bug, so a retry would fail in the same way.
    return new Failure(new UploadError('ERR_UNEXPECTED_RESPONSE', { cause: error }), { cause: 'permanent', method, bodyBytes });
  }
}

/** A body that sent nothing for this long when the network changed is assumed to be on a dead connection. */
const STALE_AFTER_MS = 1000;
/** 25 days. A timer of more milliseconds would end at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** After a network change, a request without visible progress may last this long, and a body must send more bytes within it. */
const ACTIVITY_WITHIN_MS = 2000;

/**
 * The time limits of one request. One of three applies at a time: until the first byte is sent, between bytes of the body, or until the
 * response is complete.
 */
class RequestTimer {
  readonly #controller = new AbortController();
  readonly #timeouts: Timeouts;
  readonly #bodyBytes: number;
  readonly #longPollMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sent = 0;
  #lastActivityAt = performance.now();
  #isOnline = true;

  constructor(timeouts: Timeouts, bodyBytes: number, longPollMs: number) {
    this.#timeouts = timeouts;
    this.#bodyBytes = bodyBytes;
    this.#longPollMs = longPollMs;
    this.#arm(timeouts.connectMs + (bodyBytes === 0 ? longPollMs : 0));
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get hasSentBytes(): boolean {
    return this.#sent > 0;
  }

  bytesSent(sent: number): void {
    if (sent <= this.#sent) return;
    this.#sent = sent;
    this.#lastActivityAt = performance.now();
    if (sent >= this.#bodyBytes) this.#arm(this.#timeouts.answerMs + this.#longPollMs);
    // Bytes in flight when the network was lost may still be reported as sent. Offline, a body must keep sending to stay alive.
    else this.#arm(this.#isOnline ? this.#timeouts.stallMs : Math.min(this.#timeouts.stallMs, ACTIVITY_WITHIN_MS));
  }

  /**
   * The network was lost, came back or changed. Operating systems keep connections of the old network open although they are dead.
   *
   * @param isOnline false when the device reports no network. A body that keeps sending proves it wrong, as with a server on loopback
   */
  networkChanged(isOnline: boolean): void {
    const silence = performance.now() - this.#lastActivityAt;
    this.#isOnline = isOnline;
    if (!isOnline) this.#arm(STALE_AFTER_MS);
    else if (silence >= (this.hasSentBytes ? STALE_AFTER_MS : ACTIVITY_WITHIN_MS)) this.#arm(0);
    else if (this.hasSentBytes) this.#arm(ACTIVITY_WITHIN_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #arm(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(new Error('The connection stalled.')), Math.min(ms, LONGEST_TIMER_MS));
  }
}
