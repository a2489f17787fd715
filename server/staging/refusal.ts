import { UploadError } from '../../shared/errors.ts';
import type { BodyEnd } from './body-source.ts';

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
