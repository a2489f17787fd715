import { UploadError } from '../../shared/errors.ts';
import type { BodyEnd } from './body-source.ts';

const NO_ROOM = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 'SQLITE_FULL']);

/**
 * What a failed call of the system means to the sender. Everything else is our fault and may pass: 503, nothing lost.
 * The cause is for the log alone.
 */
export function faultOf(error: unknown): UploadError {
  if (error instanceof UploadError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const sqliteFull = error instanceof Error && 'errcode' in error && error.errcode === 13;
  if (NO_ROOM.has(code) || sqliteFull) return new UploadError('ERR_NO_SPACE', { cause: error, retryAfterSeconds: 30 });
  if (code.startsWith('E')) return new UploadError('ERR_STORAGE_UNAVAILABLE', { cause: error, retryAfterSeconds: 5 });
  return new UploadError('ERR_INTERNAL', { cause: error, retryAfterSeconds: 5 });
}

/** What a sender is told of a body that did not come whole. @param signal whose reason tells why it was interrupted */
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
