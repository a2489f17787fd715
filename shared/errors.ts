/** The entry of one code in the table `ERRORS`. */
export interface ErrorEntry {
  /** HTTP status; 0 for errors that only the client throws. */
  status: number;
  /** A sentence for the person who uploads. */
  title: string;
  /** Whether the same request can succeed later. */
  retryable: boolean;
}

/**
 * All errors of Landfall: code → HTTP status, title (a sentence for people), and whether the same request can succeed later. Where
 * tusd has the same error, the code is tusd's.
 *
 * @example
 * ```ts
 * import { ERRORS } from 'landfall';
 *
 * console.log(ERRORS.ERR_NO_SPACE.status, ERRORS.ERR_NO_SPACE.retryable); // 507 true
 * ```
 */
export const ERRORS = {
  // The request
  ERR_BAD_REQUEST: { status: 400, title: 'The request is not valid.', retryable: false },
  ERR_INVALID_OFFSET: { status: 400, title: 'Upload-Offset is missing or is not a number of bytes.', retryable: false },
  ERR_INVALID_UPLOAD_LENGTH: { status: 400, title: 'Upload-Length is missing or is not a number of bytes.', retryable: false },
  ERR_INVALID_METADATA: { status: 400, title: 'Upload-Metadata is not valid.', retryable: false },
  ERR_INVALID_CHECKSUM: { status: 400, title: 'The checksum is malformed, or its algorithm is not supported.', retryable: false },
  ERR_INVALID_FORM: { status: 400, title: 'The form could not be read.', retryable: false },
  ERR_BODY_ALREADY_READ: {
    status: 400,
    title: 'Other software consumed the request body before it reached the upload server.',
    retryable: false,
  },
  ERR_UNAUTHORIZED: { status: 401, title: 'Sign in to upload.', retryable: false },
  ERR_ACCESS_EXPIRED: { status: 401, title: 'Your permission to upload has expired.', retryable: false },
  ERR_ACCESS_WITHDRAWN: { status: 401, title: 'Your permission to upload was withdrawn.', retryable: false },
  ERR_FORBIDDEN: { status: 403, title: 'You do not have permission to do this.', retryable: false },
  ERR_ACTION_NOT_ALLOWED: { status: 403, title: 'Your permission does not include this action.', retryable: false },
  ERR_ACCESS_USED_UP: { status: 403, title: 'Your permission allows no more uploads.', retryable: false },
  ERR_ADDRESS_EXPIRED: { status: 403, title: 'This address has expired.', retryable: false },
  ERR_FOREIGN_ORIGIN: { status: 403, title: 'Pages of other sites may not upload to this server.', retryable: false },
  ERR_UPLOAD_FINISHED: { status: 403, title: 'The upload has ended and cannot be changed.', retryable: false },
  ERR_UPLOAD_NOT_FOUND: { status: 404, title: 'There is no such upload.', retryable: false },
  ERR_NOT_FOUND: { status: 404, title: 'There is nothing here.', retryable: false },
  ERR_METHOD_NOT_ALLOWED: { status: 405, title: 'This address does not support the request method.', retryable: false },
  ERR_MISMATCHED_OFFSET: { status: 409, title: 'The upload is at a different offset.', retryable: true },
  ERR_UPLOAD_EXPIRED: { status: 410, title: 'The upload was unfinished for too long and has expired.', retryable: false },
  ERR_UPLOAD_TERMINATED: { status: 410, title: 'The upload was cancelled.', retryable: false },
  ERR_UPLOAD_REMOVED: { status: 410, title: 'The file was removed.', retryable: false },
  ERR_POLICY_CHANGED: {
    status: 410,
    title: 'The rules for uploads have changed since this file was refused. Try it again.',
    retryable: false,
  },
  ERR_EVENTS_FORGOTTEN: { status: 410, title: 'Events that followed this one have been deleted.', retryable: false },
  ERR_UNSUPPORTED_VERSION: {
    status: 412,
    title: 'Tus-Resumable is missing or names a version that this server does not support.',
    retryable: false,
  },
  ERR_PRECONDITION_FAILED: { status: 412, title: 'The file does not match the conditions of the request.', retryable: false },
  ERR_MAX_SIZE_EXCEEDED: { status: 413, title: 'The file is larger than this server accepts.', retryable: false },
  ERR_QUOTA_EXCEEDED: { status: 413, title: 'The file is larger than your remaining space.', retryable: false },
  ERR_UPLOAD_LENGTH_EXCEEDED: { status: 413, title: 'The request has more bytes than the upload.', retryable: false },
  ERR_INVALID_CONTENT_TYPE: { status: 415, title: 'This address does not accept the content type.', retryable: false },
  ERR_RANGE_NOT_SATISFIABLE: { status: 416, title: 'The requested range is outside of the file.', retryable: false },
  ERR_UNKNOWN_HOST: { status: 421, title: 'This server does not answer under this host name.', retryable: false },
  ERR_UPLOAD_LOCKED: { status: 423, title: 'Another request is working on this upload.', retryable: true },
  ERR_INSPECTING: { status: 423, title: 'The file is being inspected.', retryable: true },
  ERR_NOT_AVAILABLE: { status: 423, title: 'The state of this upload is not available right now.', retryable: true },
  ERR_TOO_MANY_UPLOADS: { status: 429, title: 'You have too many uploads in progress. Wait until others have ended.', retryable: true },
  ERR_TOO_MANY_REQUESTS: { status: 429, title: 'Too many requests. Try again later.', retryable: true },

  // The file
  ERR_NAME_NOT_ALLOWED: { status: 422, title: 'A file with this name is not accepted.', retryable: false },
  ERR_TYPE_NOT_ALLOWED: { status: 422, title: 'Files of this type are not accepted.', retryable: false },
  ERR_TYPE_MISMATCH: { status: 422, title: 'The content of the file does not match its name.', retryable: false },
  ERR_ACTIVE_CONTENT: { status: 422, title: 'Files that can run code are not accepted.', retryable: false },
  ERR_MACRO: { status: 422, title: 'Documents with macros are not accepted under this name.', retryable: false },
  ERR_TEXT_INVALID: { status: 422, title: 'The file is named as text but is not text.', retryable: false },
  ERR_ENCRYPTED: { status: 422, title: 'Encrypted files are not accepted.', retryable: false },
  ERR_ARCHIVE_UNSAFE: { status: 422, title: 'Unpacking the archive could do harm.', retryable: false },
  ERR_EMPTY: { status: 422, title: 'The file is empty.', retryable: false },
  ERR_IDEMPOTENCY_KEY_REUSED: { status: 422, title: 'The Idempotency-Key was already used for another upload.', retryable: false },
  ERR_SOURCE_CHANGED: { status: 422, title: 'The file has changed since its upload began.', retryable: false },
  ERR_UNINSPECTABLE: { status: 422, title: 'The file could not be inspected.', retryable: false },
  ERR_CHECK_REFUSED: { status: 422, title: 'The file was refused.', retryable: false },
  ERR_MALWARE: { status: 422, title: 'The file contains malware.', retryable: false },
  ERR_UNSCANNABLE: { status: 422, title: 'The file could not be scanned for malware.', retryable: false },
  ERR_FILE_DAMAGED: { status: 422, title: 'The file was damaged on its way. Upload it again.', retryable: false },

  // The server
  ERR_CHECKSUM_MISMATCH: { status: 460, title: 'Part of the file was damaged on its way. It is sent again.', retryable: true },
  ERR_BODY_TIMEOUT: { status: 408, title: 'The data arrived too slowly.', retryable: true },
  ERR_INTERNAL: { status: 503, title: 'Something went wrong on our side. Nothing is lost; try again.', retryable: true },
  ERR_ACCESS_UNAVAILABLE: { status: 503, title: 'Your permission cannot be checked right now. Try again.', retryable: true },
  ERR_CHECK_UNAVAILABLE: { status: 503, title: 'The file cannot be checked right now. Nothing is lost; try again.', retryable: true },
  ERR_SCAN_UNAVAILABLE: {
    status: 503,
    title: 'The file cannot be scanned for malware right now. Nothing is lost; try again.',
    retryable: true,
  },
  ERR_INSPECTION_PENDING: { status: 503, title: 'The file is still being inspected. Try again.', retryable: true },
  ERR_SHUTTING_DOWN: { status: 503, title: 'The server is restarting. Try again in a moment.', retryable: true },
  ERR_STORAGE_UNAVAILABLE: { status: 503, title: 'The storage does not answer. Nothing is lost; try again.', retryable: true },
  ERR_NO_SPACE: { status: 507, title: 'The server has no space for this file right now.', retryable: true },

  // Only the client throws these; no response carries them
  ERR_NETWORK: { status: 0, title: 'The server could not be reached.', retryable: true },
  ERR_STALLED: { status: 0, title: 'The connection stalled.', retryable: true },
  ERR_GAVE_UP: { status: 0, title: 'The upload made no progress for too long. Try again to resume it.', retryable: true },
  ERR_SOURCE_UNREADABLE: { status: 0, title: 'The file could not be read.', retryable: false },
  ERR_INVALID_HEADERS: { status: 0, title: 'The application supplied headers that no request can carry.', retryable: false },
  ERR_CANCELLED: { status: 0, title: 'The upload was cancelled.', retryable: false },
  ERR_UNEXPECTED_RESPONSE: { status: 0, title: 'The server sent an unexpected response.', retryable: false },
} as const;

/** A code of the table `ERRORS`, such as `ERR_TYPE_MISMATCH`. */
export type ErrorCode = keyof typeof ERRORS;

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERRORS, value);
}

/**
 * Why a file is refused. The refusal is final, and the sender reads it.
 *
 * @example
 * ```ts
 * import type { Rejection } from 'landfall-server';
 *
 * const tooLong: Rejection = { code: 'ERR_CHECK_REFUSED', detail: 'The film is 3 hours long; at most 2 are allowed.' };
 * ```
 */
export interface Rejection {
  /** `ERR_CHECK_REFUSED` is the code for checks of your own. */
  code: ErrorCode;
  /** Details about this file, for the sender. */
  detail?: string;
}

/**
 * A rate limit and what is left of it, as in the header fields `RateLimit-Policy` and `RateLimit`.
 *
 * @example
 * ```ts
 * import { UploadError } from 'landfall-server';
 *
 * const rate = { limit: 10, windowSeconds: 3600, remaining: 0, resetSeconds: 600 };
 * throw new UploadError('ERR_TOO_MANY_REQUESTS', { retryAfterSeconds: 600, rate });
 * ```
 */
export interface Rate {
  /** Requests allowed in a window. */
  limit: number;
  /** Length of the window, in seconds. */
  windowSeconds: number;
  /** Requests left in this window. */
  remaining: number;
  /** Seconds until the limit is fully available again. */
  resetSeconds: number;
}

/**
 * The details of an `UploadError`, beside its code.
 *
 * @example
 * ```ts
 * import { UploadError } from 'landfall-server';
 *
 * throw new UploadError('ERR_TOO_MANY_REQUESTS', { detail: 'Ten files an hour.', retryAfterSeconds: 600 });
 * ```
 */
export interface UploadErrorOptions {
  /** Details about this case, for the sender. Never a path, a stack or an errno. */
  detail?: string;
  /** Seconds after which to try again; sent as `Retry-After`, rounded up and at most a day. */
  retryAfterSeconds?: number;
  /** The exceeded rate limit. */
  rate?: Rate;
  /** The HTTP status of the response, if it differs from the table's. */
  status?: number;
  /** Header fields that the response gets, such as `WWW-Authenticate`. @default none */
  headers?: Readonly<Record<string, string>>;
  /** JSON that a check of the application attached to the verdict. */
  result?: unknown;
  /** The underlying error, for the log. */
  cause?: unknown;
}

/**
 * The error that both packages throw. The server sends it as a problem document, from which the client restores it.
 *
 * @example
 * ```ts
 * import { upload, UploadError } from 'landfall';
 *
 * try {
 *   await upload(file, { endpoint: '/files' }).done;
 * } catch (error) {
 *   if (error instanceof UploadError && error.code === 'ERR_TYPE_NOT_ALLOWED') console.log(error.title, error.detail);
 *   else throw error;
 * }
 * ```
 */
export class UploadError extends Error {
  override readonly name = 'UploadError';
  /** What went wrong, as a stable name. */
  readonly code: ErrorCode;
  /** HTTP status; 0 when no server answered. */
  readonly status: number;
  /** The table's sentence for the person who uploads. */
  readonly title: string;
  /** Details about this case. */
  readonly detail: string | undefined;
  /** Whether the same request can succeed later. */
  readonly retryable: boolean;
  /** Seconds after which the server asked to try again. */
  readonly retryAfterSeconds: number | undefined;
  /** The exceeded rate limit, if the server sent it. */
  readonly rate: Rate | undefined;
  /** Header fields that the server sends with the error, by name; empty in the client. */
  readonly headers: Readonly<Record<string, string>>;
  /** JSON that a check of the application attached to the verdict; undefined when there is none. */
  readonly result: unknown;

  constructor(code: ErrorCode, options: UploadErrorOptions = {}) {
    const { status, title, retryable }: ErrorEntry = ERRORS[code];
    super(options.detail ? `${title} ${options.detail}` : title, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = options.status ?? status;
    this.title = title;
    this.detail = options.detail;
    this.retryable = retryable;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.rate = options.rate;
    this.headers = options.headers ?? {};
    this.result = options.result;
  }
}

/** `application/problem+json` (RFC 9457) with Landfall's `code`. */
export interface Problem {
  type: 'about:blank';
  status: number;
  code: ErrorCode;
  title: string;
  detail?: string;
  result?: unknown;
}

export function toProblem(error: UploadError): Problem {
  return {
    type: 'about:blank',
    status: error.status,
    code: error.code,
    title: error.title,
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    ...(error.result === undefined ? {} : { result: error.result }),
  };
}

/**
 * The error in the body of a response; undefined when the body is no problem document of Landfall, such as a proxy's page.
 */
export function fromProblem(body: unknown, options: UploadErrorOptions = {}): UploadError | undefined {
  if (typeof body !== 'object' || body === null || !('code' in body) || !isErrorCode(body.code)) return undefined;
  const detail = 'detail' in body && typeof body.detail === 'string' ? { detail: body.detail } : {};
  const result = 'result' in body ? { result: body.result } : {};
  return new UploadError(body.code, { ...options, ...detail, ...result });
}
