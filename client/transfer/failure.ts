import { type ErrorCode, fromProblem, UploadError } from '../../shared/errors.ts';
import { readRetryAfter } from '../../shared/retry-after.ts';
import { parseJson } from '../json.ts';
import type { TransportResponse } from '../ports.ts';

export type FailureCause =
  /** No connection could be established. */
  | 'unreachable'
  /** The connection broke. */
  | 'interrupted'
  /** The connection transferred nothing for too long. */
  | 'stalled'
  /** The server or a proxy answered with a status outside 2xx. */
  | 'refused'
  /** A 2xx response that breaks the protocol: a proxy or captive portal answered. */
  | 'unexpected'
  /** A retry cannot help: the source cannot be read, or the certificate is invalid. */
  | 'permanent';

export interface FailureOptions {
  cause: FailureCause;
  method: string;
  /** HTTP status; 0 without a response. */
  status?: number;
  /** The response carried a problem document of Landfall. */
  hasProblemDocument?: boolean;
  /** The response is from a tus server, not from a proxy in front of it. */
  isFromTusServer?: boolean;
  /** Size of the request's body. */
  bodyBytes?: number;
  /** As in `TransportError`. */
  isUnknownHost?: boolean;
}

/** A failed request, with everything that the retry decision needs. */
export class Failure extends Error {
  readonly error: UploadError;
  readonly reason: FailureCause;
  readonly method: string;
  readonly status: number;
  readonly hasProblemDocument: boolean;
  readonly isFromTusServer: boolean;
  readonly bodyBytes: number;
  readonly isUnknownHost: boolean;

  constructor(error: UploadError, options: FailureOptions) {
    super(error.message, { cause: error });
    this.error = error;
    this.reason = options.cause;
    this.method = options.method;
    this.status = options.status ?? 0;
    this.hasProblemDocument = options.hasProblemDocument ?? false;
    this.isFromTusServer = options.isFromTusServer ?? false;
    this.bodyBytes = options.bodyBytes ?? 0;
    this.isUnknownHost = options.isUnknownHost ?? false;
  }
}

/** The upload ended without being accepted. */
export class UploadEnded extends Error {
  readonly state: 'rejected' | 'failed' | 'cancelled';
  readonly error: UploadError;

  constructor(state: 'rejected' | 'failed' | 'cancelled', error: UploadError) {
    super(error.message, { cause: error });
    this.state = state;
    this.error = error;
  }
}

/** Error codes of responses without a problem document: a HEAD response has no body, and proxies send bodies of their own. */
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

/** The upload does not exist, if an upload server says so. A proxy without its server answers 404, too. */
const GONE = new Set([404, 410]);

/** The server says that the upload does not exist. */
export function isGone({ status, isFromTusServer }: Failure): boolean {
  return GONE.has(status) && isFromTusServer;
}

/** The failure that a response outside 2xx stands for. */
export function failureOf(response: TransportResponse, method: string, url: string, bodyBytes: number): Failure {
  const { status } = response;
  const retryAfterSeconds = readRetryAfter((name) => response.header(name));
  const options = { status, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) };
  const ours = fromProblem(parseJson(response.text), options);
  // tus 1.0.0, Tus-Resumable: in every response. A HEAD response has no problem document.
  const isFromTusServer = ours !== undefined || response.header('Tus-Resumable') !== null;
  const error = isWrongAddress(ours, method, status)
    ? new UploadError('ERR_NOT_FOUND', {
        ...options,
        detail: `${addressWithoutQuery(url)} answered ${status}: this address does not accept uploads.`,
      })
    : (ours ?? unexplained(method, url, isFromTusServer, options));
  return new Failure(error, { cause: 'refused', method, status, hasProblemDocument: ours !== undefined, isFromTusServer, bodyBytes });
}

/** A creation goes to the endpoint that the application or the command line named, so a 404 means that this address is wrong. */
function isWrongAddress(ours: UploadError | undefined, method: string, status: number): boolean {
  return method === 'POST' && status === 404 && (ours === undefined || ours.code === 'ERR_NOT_FOUND');
}

function unexplained(
  method: string,
  url: string,
  isFromTusServer: boolean,
  options: { status: number; retryAfterSeconds?: number },
): UploadError {
  const { status } = options;
  // A proxy does not know whether the upload exists.
  const known = GONE.has(status) && !isFromTusServer ? undefined : BY_STATUS[status];
  const code = known ?? (status >= 500 ? 'ERR_INTERNAL' : 'ERR_UNEXPECTED_RESPONSE');
  const detail = code === 'ERR_UNEXPECTED_RESPONSE' ? { detail: `${addressWithoutQuery(url)} answered ${method} with ${status}.` } : {};
  return new UploadError(code, { ...options, ...detail });
}

/** Removes query and password, which may be secret. */
function addressWithoutQuery(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}
