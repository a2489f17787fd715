import { type ErrorCode, fromProblem, UploadError } from '../../shared/errors.ts';
import { parseJson } from '../json.ts';
import type { TransportResponse } from '../ports.ts';

export type FailureCause =
  /** No connection came about. */
  | 'unreachable'
  /** The connection broke. */
  | 'interrupted'
  /** Nothing moved for too long. */
  | 'stalled'
  /** An answer that is not success. */
  | 'refused'
  /** An answer that says success and makes no sense: something in between spoke. */
  | 'nonsense'
  /** Trying again can't help: the source, the certificate. */
  | 'hopeless';

export interface FailureOptions {
  cause: FailureCause;
  method: string;
  /** HTTP status; 0 without an answer. */
  status?: number;
  /** The answer carried one of our problem documents. */
  isOurs?: boolean;
  /** Size of the request's body. */
  bodyBytes?: number;
  /** As of `TransportError`. */
  isUnknownHost?: boolean;
}

/** One request that did not do what it should: all that is needed to decide what follows. */
export class Failure extends Error {
  readonly error: UploadError;
  readonly reason: FailureCause;
  readonly method: string;
  readonly status: number;
  readonly isOurs: boolean;
  readonly bodyBytes: number;
  readonly isUnknownHost: boolean;

  constructor(error: UploadError, options: FailureOptions) {
    super(error.message, { cause: error });
    this.error = error;
    this.reason = options.cause;
    this.method = options.method;
    this.status = options.status ?? 0;
    this.isOurs = options.isOurs ?? false;
    this.bodyBytes = options.bodyBytes ?? 0;
    this.isUnknownHost = options.isUnknownHost ?? false;
  }
}

/** An upload is over without `accepted`. */
export class Ending extends Error {
  readonly state: 'rejected' | 'failed';
  readonly error: UploadError;

  constructor(state: 'rejected' | 'failed', error: UploadError) {
    super(error.message, { cause: error });
    this.state = state;
    this.error = error;
  }
}

/** What a status means that came without a problem document: a HEAD has no body, and proxies have their own. */
const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  401: 'ERR_UNAUTHORIZED',
  403: 'ERR_FORBIDDEN',
  404: 'ERR_UPLOAD_NOT_FOUND',
  408: 'ERR_BODY_TIMEOUT',
  409: 'ERR_MISMATCHED_OFFSET',
  410: 'ERR_UPLOAD_EXPIRED',
  413: 'ERR_MAX_SIZE_EXCEEDED',
  415: 'ERR_INVALID_CONTENT_TYPE',
  422: 'ERR_CHECK_REFUSED',
  423: 'ERR_NOT_AVAILABLE',
  507: 'ERR_NO_SPACE',
};

/** The failure an answer outside 2xx is. */
export function failureOf(response: TransportResponse, method: string, url: string, bodyBytes: number): Failure {
  const { status } = response;
  const retryAfter = response.header('Retry-After');
  const isDate = retryAfter !== null && /[a-z]/i.test(retryAfter);
  const retryAfterSeconds = parseRetryAfter(retryAfter, isDate ? answeredAt(response) : 0);
  const options = { status, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) };
  const ours = fromProblem(parseJson(response.text), options);
  const error = isWrongAddress(ours, method, status)
    ? new UploadError('ERR_NOT_FOUND', { ...options, detail: `${withoutQuery(url)} answered ${status}: it takes no uploads.` })
    : (ours ?? unexplained(method, url, options));
  return new Failure(error, { cause: 'refused', method, status, isOurs: ours !== undefined, bodyBytes });
}

/** Creations are asked for where the application, or the person at the command line, said: there a 404 is of that address. */
function isWrongAddress(ours: UploadError | undefined, method: string, status: number): boolean {
  return method === 'POST' && status === 404 && (ours === undefined || ours.code === 'ERR_NOT_FOUND');
}

function unexplained(method: string, url: string, options: { status: number; retryAfterSeconds?: number }): UploadError {
  const { status } = options;
  const code = BY_STATUS[status] ?? (status >= 500 ? 'ERR_INTERNAL' : 'ERR_UNEXPECTED_RESPONSE');
  const detail = code === 'ERR_UNEXPECTED_RESPONSE' ? { detail: `${withoutQuery(url)} answered ${method} with ${status}.` } : {};
  return new UploadError(code, { ...options, ...detail });
}

/** Queries and passwords of an address are nobody's to read. */
function withoutQuery(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/** By the clock of whoever answered, as a date in the answer is; this machine's may be hours off. */
function answeredAt(response: TransportResponse): number {
  const date = Date.parse(response.header('Date') ?? '');
  return Number.isNaN(date) ? Date.now() : date;
}

/** RFC 9110, 10.2.3: seconds, or an HTTP date. Undefined for anything else. */
export function parseRetryAfter(value: string | null, nowMs: number): number | undefined {
  if (value === null) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(value)) return Number(value);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(Math.ceil((date - nowMs) / 1000), 0);
}
