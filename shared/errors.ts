interface ErrorEntry {
  status: number;
  title: string;
  retryable: boolean;
}

/**
 * Every error Landfall can answer, in one table: code → HTTP status, title (a sentence a person
 * understands), and whether sending the same request again later can succeed.
 * Codes that tusd has are tusd's. `docs/errors.md` is held against this table by a test.
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
  ERR_FILE_DAMAGED: { status: 422, title: 'The file did not arrive as it was read. Send it again.', retryable: false },

  // The server
  ERR_CHECKSUM_MISMATCH: { status: 460, title: 'A part of the file was damaged on its way. It is sent again.', retryable: true },
  ERR_BODY_TIMEOUT: { status: 408, title: 'The bytes came too slowly.', retryable: true },
  ERR_INTERNAL: { status: 503, title: 'Something went wrong on our side. Nothing is lost; try again.', retryable: true },
  ERR_ACCESS_UNAVAILABLE: { status: 503, title: 'It cannot be told right now whether you may do this. Try again.', retryable: true },
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

export type ErrorCode = keyof typeof ERRORS;

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERRORS, value);
}

/** Why a file is refused: final, and what the sender reads. */
export interface Rejection {
  code: ErrorCode;
  /** What is special about this file, for the person who reads it. */
  detail?: string;
}

/** How often something may be done, and how much of that is left: the fields `RateLimit-Policy` and `RateLimit`. */
export interface Rate {
  limit: number;
  windowSeconds: number;
  remaining: number;
  /** Until all of it is there again. */
  resetSeconds: number;
}

export interface UploadErrorOptions {
  /** What is special about this case, for the person who reads it. Never a path, a stack or an errno. */
  detail?: string;
  /** Seconds after which to ask again; becomes `Retry-After`. */
  retryAfterSeconds?: number;
  /** Of which too much was used. */
  rate?: Rate;
  /** The HTTP status that was answered, where it is not the table's. */
  status?: number;
  cause?: unknown;
}

/** The one error both sides throw: the server writes it as a problem document, the client rebuilds it. */
export class UploadError extends Error {
  override readonly name = 'UploadError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly title: string;
  readonly detail: string | undefined;
  readonly retryable: boolean;
  readonly retryAfterSeconds: number | undefined;
  readonly rate: Rate | undefined;

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
  }
}

/** `application/problem+json` (RFC 9457) with our `code`. */
export interface Problem {
  type: 'about:blank';
  status: number;
  code: ErrorCode;
  title: string;
  detail?: string;
}

export function toProblem(error: UploadError): Problem {
  return {
    type: 'about:blank',
    status: error.status,
    code: error.code,
    title: error.title,
    ...(error.detail === undefined ? {} : { detail: error.detail }),
  };
}

/**
 * The error a response carries, or undefined when its body is not one of our problem documents
 * (a proxy's page, say).
 */
export function fromProblem(body: unknown, options: UploadErrorOptions = {}): UploadError | undefined {
  if (typeof body !== 'object' || body === null || !('code' in body) || !isErrorCode(body.code)) return undefined;
  const detail = 'detail' in body && typeof body.detail === 'string' ? { detail: body.detail } : {};
  return new UploadError(body.code, { ...options, ...detail });
}
