import { UploadError } from '../../shared/errors.ts';
import type { BodyEnd } from './body-source.ts';

const NO_ROOM = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 'SQLITE_FULL']);

/**
 * Maps an error to the response for the sender. An unknown error is a fault of the server's own: 503, and no acknowledged byte is lost.
 * The cause goes to the log only.
 */
export function faultOf(error: unknown): UploadError {
  if (error instanceof UploadError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const sqliteFull = error instanceof Error && 'errcode' in error && error.errcode === 13;
  if (NO_ROOM.has(code) || sqliteFull) return new UploadError('ERR_NO_SPACE', { cause: error, retryAfterSeconds: 30 });
  if (code.startsWith('E')) return new UploadError('ERR_STORAGE_UNAVAILABLE', { cause: error, retryAfterSeconds: 5 });
  return new UploadError('ERR_INTERNAL', { cause: error, retryAfterSeconds: 5 });
}

/** The error for a body that did not end whole. @param signal its reason tells why the body was interrupted */
export function refusalOf(end: Exclude<BodyEnd, 'whole'>, signal: AbortSignal): UploadError {
  switch (end) {
    case 'too-long':
      return new UploadError('ERR_UPLOAD_LENGTH_EXCEEDED');
    case 'too-slow':
      return new UploadError('ERR_BODY_TIMEOUT');
    case 'cut':
      return new UploadError('ERR_BAD_REQUEST', { detail: 'The body was cut off.' });
    case 'interrupted':
      return signal.reason instanceof UploadError ? signal.reason : new UploadError('ERR_UPLOAD_LOCKED', { retryAfterSeconds: 1 });
  }
}
