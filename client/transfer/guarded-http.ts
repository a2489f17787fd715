// Requests with what a bare transport lacks: time limits, the application's headers, and failures that say what they are.
import { UploadError } from '../../shared/errors.ts';
import type { HeadersRequest, Timeouts, UploadHeaders, UploadOptions } from '../options.ts';
import { type RequestBody, type Surroundings, type Transport, TransportError, type TransportResponse } from '../ports.ts';
import { Failure, failureOf } from './failure.ts';

export const DEFAULT_TIMEOUTS: Timeouts = { connectMs: 30_000, stallMs: 30_000, answerMs: 120_000 };

export interface GuardedRequest {
  method: string;
  url: string;
  headers: Readonly<Record<string, string>>;
  body?: RequestBody;
  signal: AbortSignal;
  /** Bytes of the body that left this device so far. */
  onSent?: (bytes: number) => void;
  /** Longer than the limit for an answer by so much: the server was asked to hold it. */
  heldMs?: number;
}

export class GuardedHttp {
  readonly #transport: Transport;
  readonly #surroundings: Pick<Surroundings, 'onNetwork' | 'isOnline'>;
  readonly #timeouts: Timeouts;
  readonly #headers: UploadOptions['headers'];
  readonly #withCredentials: boolean;
  #reason: HeadersRequest['reason'] = 'request';
  /** What the application gave last. */
  #given: UploadHeaders = {};

  constructor(
    platform: { transport: Transport; surroundings: Pick<Surroundings, 'onNetwork' | 'isOnline'> },
    options: Pick<UploadOptions, 'headers' | 'timeouts' | 'withCredentials'>,
  ) {
    this.#transport = platform.transport;
    this.#surroundings = platform.surroundings;
    this.#timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
    this.#headers = options.headers;
    this.#withCredentials = options.withCredentials ?? false;
  }

  /** False once new headers were asked for and nothing has been answered with success since. */
  get canReauthorize(): boolean {
    return typeof this.#headers === 'function' && this.#reason === 'request';
  }

  /** The next request asks the application for new headers. */
  reauthorize(): void {
    this.#reason = 'unauthorized';
  }

  /**
   * Resolves with an answer of 2xx.
   *
   * @throws Failure, or the reason of the signal
   */
  async send(request: GuardedRequest): Promise<TransportResponse> {
    const { method, url, body, signal } = request;
    const bodyBytes = body?.size ?? 0;
    const headers = await this.#headersFor(method, url);
    signal.throwIfAborted();
    const watch = new Watch(this.#timeouts, bodyBytes, request.heldMs ?? 0);
    const forget = this.#surroundings.onNetwork(() => watch.suspect(this.#surroundings.isOnline()));
    let response: TransportResponse;
    try {
      response = await this.#transport.send({
        method,
        url,
        headers: { ...headers, ...request.headers },
        ...(body === undefined ? {} : { body }),
        withCredentials: this.#withCredentials,
        signal: AbortSignal.any([signal, watch.signal]),
        onSent: (bytes) => {
          watch.moved(bytes);
          request.onSent?.(bytes);
        },
      });
    } catch (error) {
      signal.throwIfAborted();
      throw this.#failure(error, watch, method, bodyBytes);
    } finally {
      forget();
      watch.stop();
    }
    if (response.status < 200 || response.status > 299) throw failureOf(response, method, url, bodyBytes);
    this.#reason = 'request';
    return response;
  }

  async #headersFor(method: string, url: string): Promise<UploadHeaders> {
    if (typeof this.#headers !== 'function') return this.#headers ?? {};
    const reason = this.#reason;
    try {
      const given = await this.#headers({ method, url, reason, ...(reason === 'unauthorized' && { refused: this.#given }) });
      this.#given = given;
      return given;
    } catch (cause) {
      // Asking for a token goes over the same network: what fails there is tried again as any request.
      const error = new UploadError('ERR_NETWORK', { detail: 'The application could not provide the headers of a request.', cause });
      throw new Failure(error, { cause: 'interrupted', method });
    }
  }

  #failure(error: unknown, watch: Watch, method: string, bodyBytes: number): Failure {
    if (error instanceof Failure) return error;
    if (watch.signal.aborted) {
      const cause = watch.hasMoved ? 'stalled' : 'unreachable';
      return new Failure(new UploadError('ERR_STALLED', { cause: error }), { cause, method, bodyBytes });
    }
    if (error instanceof UploadError) return new Failure(error, { cause: 'hopeless', method, bodyBytes });
    if (error instanceof TransportError) {
      const network = new UploadError('ERR_NETWORK', { cause: error, ...(error.detail === undefined ? {} : { detail: error.detail }) });
      const cause = error.isHopeless ? 'hopeless' : error.isUnreachable ? 'unreachable' : 'interrupted';
      return new Failure(network, { cause, method, bodyBytes, isUnknownHost: error.isUnknownHost });
    }
    // Not of the network: the transport refuses what it was given, or has a fault. Trying again would repeat it.
    return new Failure(new UploadError('ERR_UNEXPECTED_RESPONSE', { cause: error }), { cause: 'hopeless', method, bodyBytes });
  }
}

/** Of a body that has not moved for so long when the network changed, the connection is taken to have gone with the old one. */
const SUSPECT_AFTER_MS = 1000;
/** As long may a request take of which nothing can be seen, and a body to prove that it still moves. */
const PROOF_WITHIN_MS = 2000;

/** The three timers of one request, one at a time: until something moves, while the body moves, until the answer is whole. */
class Watch {
  readonly #controller = new AbortController();
  readonly #timeouts: Timeouts;
  readonly #bodyBytes: number;
  readonly #heldMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sent = 0;
  #movedAt = performance.now();
  #isOnline = true;

  constructor(timeouts: Timeouts, bodyBytes: number, heldMs: number) {
    this.#timeouts = timeouts;
    this.#bodyBytes = bodyBytes;
    this.#heldMs = heldMs;
    this.#arm(timeouts.connectMs + (bodyBytes === 0 ? heldMs : 0));
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get hasMoved(): boolean {
    return this.#sent > 0;
  }

  moved(sent: number): void {
    if (sent <= this.#sent) return;
    this.#sent = sent;
    this.#movedAt = performance.now();
    if (sent >= this.#bodyBytes) this.#arm(this.#timeouts.answerMs + this.#heldMs);
    // What was on its way when the network went may still be told of: without one it has to go on moving.
    else this.#arm(this.#isOnline ? this.#timeouts.stallMs : Math.min(this.#timeouts.stallMs, PROOF_WITHIN_MS));
  }

  /**
   * The network went, came back or changed. Systems keep connections over that which nothing will ever come over again.
   *
   * @param isOnline without a network whatever moves proves that the device is wrong about it, as with a server on loopback
   */
  suspect(isOnline: boolean): void {
    const silence = performance.now() - this.#movedAt;
    this.#isOnline = isOnline;
    if (!isOnline) this.#arm(SUSPECT_AFTER_MS);
    else if (silence >= (this.hasMoved ? SUSPECT_AFTER_MS : PROOF_WITHIN_MS)) this.#arm(0);
    else if (this.hasMoved) this.#arm(PROOF_WITHIN_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #arm(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(new Error('Nothing moved for too long.')), ms);
  }
}
