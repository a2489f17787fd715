/** What the table says of one code. */
export interface ErrorEntry {
  /** HTTP status; 0 for what only the client throws. */
  status: number;
  /** A sentence for the person who uploads. */
  title: string;
  /** Whether the same request can succeed later. */
  retryable: boolean;
}

/**
 * Every error Landfall can answer, in one table: code → HTTP status, title (a sentence a person
 * understands), and whether sending the same request again later can succeed.
 * Codes that tusd has are tusd's. `docs/errors.md` is held against this table by a test.
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
  ERR_INVALID_CHECKSUM: { status: 400, title: 'The checksum is not one this server can read.', retryable: false },
  ERR_INVALID_FORM: { status: 400, title: 'The form could not be read.', retryable: false },
  ERR_BODY_ALREADY_READ: { status: 400, title: 'Something in front of the upload server has read the file away.', retryable: false },
  ERR_UNAUTHORIZED: { status: 401, title: 'Sign in to upload.', retryable: false },
  ERR_ACCESS_EXPIRED: { status: 401, title: 'Your permission to upload has run out.', retryable: false },
  ERR_ACCESS_WITHDRAWN: { status: 401, title: 'Your permission to upload was taken back.', retryable: false },
  ERR_FORBIDDEN: { status: 403, title: 'You may not do this.', retryable: false },
  ERR_ACTION_NOT_ALLOWED: { status: 403, title: 'That is not among what you may do here.', retryable: false },
  ERR_ACCESS_USED_UP: { status: 403, title: 'As many files were uploaded with this permission as it is good for.', retryable: false },
  ERR_ADDRESS_EXPIRED: { status: 403, title: 'This address was good for a limited time, which is over.', retryable: false },
  ERR_FOREIGN_ORIGIN: { status: 403, title: 'Pages of another site may not upload here.', retryable: false },
  ERR_UPLOAD_FINISHED: { status: 403, title: 'The upload has ended and cannot be changed.', retryable: false },
  ERR_UPLOAD_NOT_FOUND: { status: 404, title: 'There is no such upload.', retryable: false },
  ERR_NOT_FOUND: { status: 404, title: 'There is nothing here.', retryable: false },
  ERR_METHOD_NOT_ALLOWED: { status: 405, title: 'This address does not take that method.', retryable: false },
  ERR_MISMATCHED_OFFSET: { status: 409, title: 'The upload stands at another offset.', retryable: true },
  ERR_UPLOAD_EXPIRED: { status: 410, title: 'The upload was left unfinished for too long and is gone.', retryable: false },
  ERR_UPLOAD_TERMINATED: { status: 410, title: 'The upload was cancelled.', retryable: false },
  ERR_UPLOAD_REMOVED: { status: 410, title: 'The file was removed.', retryable: false },
  ERR_POLICY_CHANGED: {
    status: 410,
    title: 'The rules for uploads have changed since this file was refused. Try it again.',
    retryable: false,
  },
  ERR_EVENTS_FORGOTTEN: { status: 410, title: 'Events that came after this one are no longer kept.', retryable: false },
  ERR_UNSUPPORTED_VERSION: {
    status: 412,
    title: 'Tus-Resumable is missing or names a version this server does not speak.',
    retryable: false,
  },
  ERR_PRECONDITION_FAILED: { status: 412, title: 'The file is not the one that the request asks for.', retryable: false },
  ERR_MAX_SIZE_EXCEEDED: { status: 413, title: 'The file is larger than this server takes.', retryable: false },
  ERR_QUOTA_EXCEEDED: { status: 413, title: 'The file would take more room than you have here.', retryable: false },
  ERR_UPLOAD_LENGTH_EXCEEDED: { status: 413, title: 'More bytes came than the upload has.', retryable: false },
  ERR_INVALID_CONTENT_TYPE: { status: 415, title: 'The content type is not one this address takes.', retryable: false },
  ERR_RANGE_NOT_SATISFIABLE: { status: 416, title: 'The file has no such bytes.', retryable: false },
  ERR_UNKNOWN_HOST: { status: 421, title: 'This server does not answer to that name.', retryable: false },
  ERR_UPLOAD_LOCKED: { status: 423, title: 'Another request is working on this upload.', retryable: true },
  ERR_INSPECTING: { status: 423, title: 'The file is being inspected.', retryable: true },
  ERR_NOT_AVAILABLE: { status: 423, title: 'The state of this upload cannot be told right now.', retryable: true },
  ERR_TOO_MANY_UPLOADS: { status: 429, title: 'You have too many uploads under way. This one waits for the others.', retryable: true },
  ERR_TOO_MANY_REQUESTS: { status: 429, title: 'There were too many requests. Try again later.', retryable: true },

  // The file
  ERR_NAME_NOT_ALLOWED: { status: 422, title: 'A file with this name is not accepted.', retryable: false },
  ERR_TYPE_NOT_ALLOWED: { status: 422, title: 'Files of this type are not accepted.', retryable: false },
  ERR_TYPE_MISMATCH: { status: 422, title: 'The content of the file is not what its name says.', retryable: false },
  ERR_ACTIVE_CONTENT: { status: 422, title: 'Files that can run code are not accepted.', retryable: false },
  ERR_MACRO: { status: 422, title: 'Documents with macros are not accepted under this name.', retryable: false },
  ERR_TEXT_INVALID: { status: 422, title: 'The file has a text name but is not text.', retryable: false },
  ERR_ENCRYPTED: { status: 422, title: 'Encrypted files are not accepted.', retryable: false },
  ERR_ARCHIVE_UNSAFE: { status: 422, title: 'The archive would do harm where it is unpacked.', retryable: false },
  ERR_EMPTY: { status: 422, title: 'The file is empty.', retryable: false },
  ERR_IDEMPOTENCY_KEY_REUSED: { status: 422, title: 'The Idempotency-Key was used for another upload.', retryable: false },
  ERR_SOURCE_CHANGED: { status: 422, title: 'The file is not the one that was uploaded before.', retryable: false },
  ERR_UNINSPECTABLE: { status: 422, title: 'The file could not be inspected.', retryable: false },
  ERR_CHECK_REFUSED: { status: 422, title: 'The file was refused.', retryable: false },
  ERR_MALWARE: { status: 422, title: 'The file holds malware.', retryable: false },
  ERR_UNSCANNABLE: { status: 422, title: 'The file could not be scanned for malware.', retryable: false },
  ERR_FILE_DAMAGED: { status: 422, title: 'The file did not arrive as it was read. Send it again.', retryable: false },

  // The server
  ERR_CHECKSUM_MISMATCH: { status: 460, title: 'A part of the file was damaged on its way. It is sent again.', retryable: true },
  ERR_BODY_TIMEOUT: { status: 408, title: 'The bytes came too slowly.', retryable: true },
  ERR_INTERNAL: { status: 503, title: 'Something went wrong on our side. Nothing is lost; try again.', retryable: true },
  ERR_ACCESS_UNAVAILABLE: { status: 503, title: 'It cannot be told right now whether you may do this. Try again.', retryable: true },
  ERR_CHECK_UNAVAILABLE: { status: 503, title: 'The file cannot be checked right now. Nothing is lost; try again.', retryable: true },
  ERR_SCAN_UNAVAILABLE: {
    status: 503,
    title: 'The file cannot be scanned for malware right now. Nothing is lost; try again.',
    retryable: true,
  },
  ERR_INSPECTION_PENDING: { status: 503, title: 'The file is still being inspected. Ask again.', retryable: true },
  ERR_SHUTTING_DOWN: { status: 503, title: 'The server is restarting. Try again in a moment.', retryable: true },
  ERR_STORAGE_UNAVAILABLE: { status: 503, title: 'The storage does not answer. Nothing is lost; try again.', retryable: true },
  ERR_NO_SPACE: { status: 507, title: 'The server has no room for this file right now.', retryable: true },

  // The client only: nothing on the wire carries these
  ERR_NETWORK: { status: 0, title: 'The server could not be reached.', retryable: true },
  ERR_STALLED: { status: 0, title: 'The connection stopped moving.', retryable: true },
  ERR_GAVE_UP: { status: 0, title: 'The upload made no progress for too long. Try again to go on.', retryable: true },
  ERR_SOURCE_UNREADABLE: { status: 0, title: 'The file could not be read.', retryable: false },
  ERR_CANCELLED: { status: 0, title: 'The upload was cancelled.', retryable: false },
  ERR_UNEXPECTED_RESPONSE: { status: 0, title: 'The server answered something unexpected.', retryable: false },
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
 * const tooLong: Rejection = { code: 'ERR_CHECK_REFUSED', detail: 'The film runs for 3 hours; 2 are the most.' };
 * ```
 */
export interface Rejection {
  /** `ERR_CHECK_REFUSED` is the code for checks of your own. */
  code: ErrorCode;
  /** What is special about this file, for the person who reads it. */
  detail?: string;
}

/**
 * How often something may be done, and how much of that is left: the fields `RateLimit-Policy` and `RateLimit`.
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
  /** How often in a window. */
  limit: number;
  /** Length of the window, in seconds. */
  windowSeconds: number;
  /** How often still in this window. */
  remaining: number;
  /** Seconds until all of it is there again. */
  resetSeconds: number;
}

/**
 * What an `UploadError` says beside its code.
 *
 * @example
 * ```ts
 * import { UploadError } from 'landfall-server';
 *
 * throw new UploadError('ERR_TOO_MANY_REQUESTS', { detail: 'Ten files an hour.', retryAfterSeconds: 600 });
 * ```
 */
export interface UploadErrorOptions {
  /** What is special about this case, for the person who reads it. Never a path, a stack or an errno. */
  detail?: string;
  /** Seconds after which to ask again; becomes `Retry-After`. */
  retryAfterSeconds?: number;
  /** What was used too often. */
  rate?: Rate;
  /** The HTTP status that was answered, where it is not the table's. */
  status?: number;
  /** What a check of the application's attached to the verdict: JSON. */
  result?: unknown;
  /** The error beneath, for the log. */
  cause?: unknown;
}

/**
 * The one error that both sides throw. The server writes it as a problem document, the client rebuilds it from that.
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
  /** What went wrong, as a name that does not change. */
  readonly code: ErrorCode;
  /** HTTP status; 0 where no server answered. */
  readonly status: number;
  /** The sentence of the table, for the person who uploads. */
  readonly title: string;
  /** What is special about this case. */
  readonly detail: string | undefined;
  /** Whether the same request can succeed later. */
  readonly retryable: boolean;
  /** Seconds after which the server asked to come again. */
  readonly retryAfterSeconds: number | undefined;
  /** What was used too often; only where the server said so. */
  readonly rate: Rate | undefined;
  /** What a check of the application's attached to the verdict: JSON; undefined where none did. */
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

/** `application/problem+json` (RFC 9457) with our `code`. */
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
 * The error a response carries, or undefined when its body is not one of our problem documents
 * (a proxy's page, say).
 */
export function fromProblem(body: unknown, options: UploadErrorOptions = {}): UploadError | undefined {
  if (typeof body !== 'object' || body === null || !('code' in body) || !isErrorCode(body.code)) return undefined;
  const detail = 'detail' in body && typeof body.detail === 'string' ? { detail: body.detail } : {};
  const result = 'result' in body ? { result: body.result } : {};
  return new UploadError(body.code, { ...options, ...detail, ...result });
}
