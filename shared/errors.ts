/** One row of the error table. */
export interface ErrorEntry {
  /** HTTP status; 0 for an error that only the client throws. */
  status: number;
  /** A sentence for the person who uploads. */
  title: string;
  /** Whether the same request can succeed later. */
  retryable: boolean;
}

/**
 * Every error of Landfall in one table: code → HTTP status, title (a sentence that a person
 * understands), and whether the same request can succeed later. Where tusd has a code for an
 * error, the table uses tusd's code. A test compares `docs/errors.md` with this table.
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
  ERR_INVALID_CHECKSUM: { status: 400, title: 'The server cannot read this checksum.', retryable: false },
  ERR_INVALID_FORM: { status: 400, title: 'The server could not read the form.', retryable: false },
  ERR_BODY_ALREADY_READ: { status: 400, title: 'The request body was read before it reached the upload server.', retryable: false },
  ERR_UNAUTHORIZED: { status: 401, title: 'Sign in to upload.', retryable: false },
  ERR_ACCESS_EXPIRED: { status: 401, title: 'Your permission to upload has expired.', retryable: false },
  ERR_ACCESS_WITHDRAWN: { status: 401, title: 'Your permission to upload was withdrawn.', retryable: false },
  ERR_FORBIDDEN: { status: 403, title: 'You may not do this.', retryable: false },
  ERR_ACTION_NOT_ALLOWED: { status: 403, title: 'Your permission does not include this action.', retryable: false },
  ERR_ACCESS_USED_UP: { status: 403, title: 'This permission allows no more uploads.', retryable: false },
  ERR_ADDRESS_EXPIRED: { status: 403, title: 'This address has expired.', retryable: false },
  ERR_FOREIGN_ORIGIN: { status: 403, title: 'Pages of other sites may not upload here.', retryable: false },
  ERR_UPLOAD_FINISHED: { status: 403, title: 'The upload has ended and cannot be changed.', retryable: false },
  ERR_UPLOAD_NOT_FOUND: { status: 404, title: 'There is no such upload.', retryable: false },
  ERR_NOT_FOUND: { status: 404, title: 'There is nothing here.', retryable: false },
  ERR_METHOD_NOT_ALLOWED: { status: 405, title: 'This address does not support this method.', retryable: false },
  ERR_MISMATCHED_OFFSET: { status: 409, title: 'The offset of the request is not the offset of the upload.', retryable: true },
  ERR_UPLOAD_EXPIRED: { status: 410, title: 'The upload expired because nothing was sent for too long.', retryable: false },
  ERR_UPLOAD_TERMINATED: { status: 410, title: 'The upload was cancelled.', retryable: false },
  ERR_UPLOAD_REMOVED: { status: 410, title: 'The file was removed.', retryable: false },
  ERR_POLICY_CHANGED: {
    status: 410,
    title: 'The rules for uploads have changed since this file was refused. Try it again.',
    retryable: false,
  },
  ERR_EVENTS_FORGOTTEN: { status: 410, title: 'The server no longer keeps all events after this position.', retryable: false },
  ERR_UNSUPPORTED_VERSION: {
    status: 412,
    title: 'Tus-Resumable is missing or names a version that this server does not support.',
    retryable: false,
  },
  ERR_PRECONDITION_FAILED: { status: 412, title: 'The file is not the version that the request asks for.', retryable: false },
  ERR_MAX_SIZE_EXCEEDED: { status: 413, title: 'The file is larger than this server accepts.', retryable: false },
  ERR_QUOTA_EXCEEDED: { status: 413, title: 'The file would exceed your storage limit.', retryable: false },
  ERR_UPLOAD_LENGTH_EXCEEDED: { status: 413, title: 'The request has more bytes than the upload.', retryable: false },
  ERR_INVALID_CONTENT_TYPE: { status: 415, title: 'This address does not accept this Content-Type.', retryable: false },
  ERR_RANGE_NOT_SATISFIABLE: { status: 416, title: 'The file does not have the requested bytes.', retryable: false },
  ERR_UNKNOWN_HOST: { status: 421, title: 'This server does not answer under this name.', retryable: false },
  ERR_UPLOAD_LOCKED: { status: 423, title: 'Another request is working on this upload.', retryable: true },
  ERR_INSPECTING: { status: 423, title: 'The file is being inspected.', retryable: true },
  ERR_NOT_AVAILABLE: { status: 423, title: 'The server cannot read the state of this upload right now.', retryable: true },
  ERR_TOO_MANY_UPLOADS: { status: 429, title: 'You have too many uploads under way. This upload waits for the others.', retryable: true },
  ERR_TOO_MANY_REQUESTS: { status: 429, title: 'Too many requests. Try again later.', retryable: true },

  // The file
  ERR_NAME_NOT_ALLOWED: { status: 422, title: 'A file with this name is not accepted.', retryable: false },
  ERR_TYPE_NOT_ALLOWED: { status: 422, title: 'Files of this type are not accepted.', retryable: false },
  ERR_TYPE_MISMATCH: { status: 422, title: 'The content of the file does not match its name.', retryable: false },
  ERR_ACTIVE_CONTENT: { status: 422, title: 'Files that can run code are not accepted.', retryable: false },
  ERR_MACRO: { status: 422, title: 'Documents with macros are not accepted under this name.', retryable: false },
  ERR_TEXT_INVALID: { status: 422, title: 'The file has the name of a text file but is not text.', retryable: false },
  ERR_ENCRYPTED: { status: 422, title: 'Encrypted files are not accepted.', retryable: false },
  ERR_ARCHIVE_UNSAFE: { status: 422, title: 'The archive is not safe to unpack.', retryable: false },
  ERR_EMPTY: { status: 422, title: 'The file is empty.', retryable: false },
  ERR_IDEMPOTENCY_KEY_REUSED: { status: 422, title: 'The Idempotency-Key was used for another upload.', retryable: false },
  ERR_SOURCE_CHANGED: { status: 422, title: 'The file differs from the bytes uploaded before.', retryable: false },
  ERR_UNINSPECTABLE: { status: 422, title: 'The file could not be inspected.', retryable: false },
  ERR_CHECK_REFUSED: { status: 422, title: 'The file was refused.', retryable: false },
  ERR_MALWARE: { status: 422, title: 'The file contains malware.', retryable: false },
  ERR_UNSCANNABLE: { status: 422, title: 'The file could not be scanned for malware.', retryable: false },
  ERR_FILE_DAMAGED: { status: 422, title: 'The file was damaged. Send it again.', retryable: false },

  // The server
  ERR_CHECKSUM_MISMATCH: { status: 460, title: 'A part of the file was damaged in transit and is sent again.', retryable: true },
  ERR_BODY_TIMEOUT: { status: 408, title: 'The bytes arrived too slowly.', retryable: true },
  ERR_INTERNAL: { status: 503, title: 'Something went wrong on our side. Nothing is lost; try again.', retryable: true },
  ERR_ACCESS_UNAVAILABLE: { status: 503, title: 'The server cannot check your permission right now. Try again.', retryable: true },
  ERR_CHECK_UNAVAILABLE: { status: 503, title: 'The file cannot be checked right now. Nothing is lost; try again.', retryable: true },
  ERR_SCAN_UNAVAILABLE: {
    status: 503,
    title: 'The file cannot be scanned for malware right now. Nothing is lost; try again.',
    retryable: true,
  },
  ERR_INSPECTION_PENDING: { status: 503, title: 'The file is still being inspected. Ask again.', retryable: true },
  ERR_SHUTTING_DOWN: { status: 503, title: 'The server is restarting. Try again in a moment.', retryable: true },
  ERR_STORAGE_UNAVAILABLE: { status: 503, title: 'The storage does not answer. Nothing is lost; try again.', retryable: true },
  ERR_NO_SPACE: { status: 507, title: 'The server does not have enough space for this file right now.', retryable: true },

  // The client only: no HTTP response has these codes
  ERR_NETWORK: { status: 0, title: 'The server could not be reached.', retryable: true },
  ERR_STALLED: { status: 0, title: 'The connection stalled.', retryable: true },
  ERR_GAVE_UP: { status: 0, title: 'The upload made no progress for too long. Try again to resume it.', retryable: true },
  ERR_SOURCE_UNREADABLE: { status: 0, title: 'The file could not be read.', retryable: false },
  ERR_CANCELLED: { status: 0, title: 'The upload was cancelled.', retryable: false },
  ERR_UNEXPECTED_RESPONSE: { status: 0, title: 'The server sent an unexpected response.', retryable: false },
} as const;

/** A code of the table `ERRORS`, such as `ERR_TYPE_MISMATCH`. */
export type ErrorCode = keyof typeof ERRORS;

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERRORS, value);
}

/**
 * The reason why a file is refused. The refusal is final, and the sender reads the reason.
 *
 * @example
 * ```ts
 * import type { Rejection } from 'landfall-server';
 *
 * const tooLong: Rejection = { code: 'ERR_CHECK_REFUSED', detail: 'The film is 3 hours long; the limit is 2 hours.' };
 * ```
 */
export interface Rejection {
  /** `ERR_CHECK_REFUSED` is the code for checks of your own. */
  code: ErrorCode;
  /** A sentence about this file, for the person who uploads. */
  detail?: string;
}

/**
 * A limit on a rate, and its remaining quota: the fields `RateLimit-Policy` and `RateLimit`.
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
  /** Allowed number in one window. */
  limit: number;
  /** Length of the window, in seconds. */
  windowSeconds: number;
  /** Number left in this window. */
  remaining: number;
  /** Seconds until the full number is available again. */
  resetSeconds: number;
}

/**
 * The properties of an `UploadError` beside its code.
 *
 * @example
 * ```ts
 * import { UploadError } from 'landfall-server';
 *
 * throw new UploadError('ERR_TOO_MANY_REQUESTS', { detail: 'Ten files an hour.', retryAfterSeconds: 600 });
 * ```
 */
export interface UploadErrorOptions {
  /** A sentence about this case, for the person who uploads. Never a path, a stack or an errno. */
  detail?: string;
  /** Seconds to wait before the next request; becomes `Retry-After`. */
  retryAfterSeconds?: number;
  /** The rate limit that was exceeded. */
  rate?: Rate;
  /** The HTTP status of the response, if it differs from the table. */
  status?: number;
  /** JSON that a check of the application attached to the verdict. */
  result?: unknown;
  /** The original error, for the log. */
  cause?: unknown;
}

/**
 * The error class of both sides. The server writes it as a problem document, and the client rebuilds it from that document.
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
  /** The code of the error; it never changes. */
  readonly code: ErrorCode;
  /** HTTP status; 0 if no server answered. */
  readonly status: number;
  /** The table's sentence for the person who uploads. */
  readonly title: string;
  /** A sentence about this case. */
  readonly detail: string | undefined;
  /** Whether the same request can succeed later. */
  readonly retryable: boolean;
  /** Seconds to wait before the next request, as the server asks. */
  readonly retryAfterSeconds: number | undefined;
  /** The rate limit that was exceeded; only if the server reported it. */
  readonly rate: Rate | undefined;
  /** JSON that a check of the application attached to the verdict; undefined without one. */
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
    this.result = options.result;
  }
}

/** A problem document (RFC 9457, `application/problem+json`) with Landfall's `code`. */
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
 * The error in a response; undefined if its body is not a problem document of Landfall
 * (a proxy's error page, for example).
 */
export function fromProblem(body: unknown, options: UploadErrorOptions = {}): UploadError | undefined {
  if (typeof body !== 'object' || body === null || !('code' in body) || !isErrorCode(body.code)) return undefined;
  const detail = 'detail' in body && typeof body.detail === 'string' ? { detail: body.detail } : {};
  const result = 'result' in body ? { result: body.result } : {};
  return new UploadError(body.code, { ...options, ...detail, ...result });
}
