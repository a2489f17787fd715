// Responses about uploads, by their state. The last byte, or the declaration of the length, is acknowledged only with the verdict: until
// then a client that sends HEAD must not see success.
import { isErrorCode, UploadError } from '../../shared/errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload, UploadIn } from '../ledger/upload.ts';

type Headers = Record<string, string>;

/** Retry-After while a service that the inspection needs is unreachable. The server retries by itself, so senders need not ask often. */
const FAULT_RETRY_SECONDS = 5;

/** The offset that an unfinished upload reports for this number of stored bytes. */
export function acknowledgedOffset(upload: Upload, stored: number): number {
  if (upload.length === null) return stored;
  return Math.min(stored, Math.max(upload.length - 1, 0));
}

/**
 * The headers of a HEAD.
 * @throws UploadError 410 when the upload has ended without a file, 423 when there is no offset to report yet
 */
export function describeForHead(ledger: Ledger, upload: Upload, stored: number, policyHash: string): Headers {
  const headers: Headers = {};
  if (upload.metadata !== '') headers['Upload-Metadata'] = upload.metadata;
  switch (upload.state) {
    case 'receiving':
      return { ...headers, ...expiry(ledger, upload), ...lengthOf(upload), 'Upload-Offset': String(acknowledgedOffset(upload, stored)) };
    case 'inspecting':
      return { ...headers, ...held(upload) };
    case 'accepted':
      return { ...headers, ...lengthOf(upload), 'Upload-Offset': String(upload.length) };
    case 'rejected':
      if (upload.policyHash !== policyHash) throw new UploadError('ERR_POLICY_CHANGED');
      if (upload.length === 0 && upload.held === 'byte') throw storedRejection(upload);
      return { ...headers, ...held(upload) };
    default:
      throw gone(upload);
  }
}

/** Headers while the inspection runs, and after a rejection. */
function held(upload: Upload): Headers {
  const offset = { 'Upload-Offset': String(heldOffset(upload)) };
  if (upload.length === null || upload.held === 'length') return { 'Upload-Defer-Length': '1', ...offset };
  // An empty upload has no byte to hold back. Its sender waits for the answer to the creation; other requests are asked to try again.
  if (upload.length === 0) throw new UploadError('ERR_INSPECTING', { retryAfterSeconds: 1 });
  return { 'Upload-Length': String(upload.length), ...offset };
}

function lengthOf(upload: Upload): Headers {
  return upload.length === null ? { 'Upload-Defer-Length': '1' } : { 'Upload-Length': String(upload.length) };
}

/** tus 1.0.0, Expiration: an HTTP date in each response about an unfinished upload. */
export function expiry(ledger: Ledger, upload: Upload): Headers {
  if (upload.state !== 'receiving' || upload.expiresAt === null) return {};
  return { 'Upload-Expires': ledger.wallTime(upload.expiresAt).toUTCString() };
}

/** The acknowledged offset while the inspection runs, and after a rejection. */
export function heldOffset(upload: Upload): number {
  if (upload.length === null) return knownOffset(upload);
  return upload.held === 'length' ? upload.length : Math.max(upload.length - 1, 0);
}

/** The last offset in the row, for an upload whose staged bytes are deleted. */
export function knownOffset(upload: Upload): number {
  return acknowledgedOffset(upload, Math.max(upload.provenOffset, upload.checksumOffset, 0));
}

/** The rejection of a refused upload, the same in each response. */
export function storedRejection(upload: UploadIn<'rejected'>): UploadError {
  const code = isErrorCode(upload.errorCode) ? upload.errorCode : 'ERR_CHECK_REFUSED';
  const details = {
    ...(upload.errorDetail !== null && { detail: upload.errorDetail }),
    ...(upload.result !== null && { result: JSON.parse(upload.result) as unknown }),
  };
  const rejection = new UploadError(code, details);
  // An application's check may choose a code with any status. A rejection is always sent with a 4xx status that clients do not retry.
  return rejection.status === 413 || rejection.status === 422 ? rejection : new UploadError(code, { ...details, status: 422 });
}

export function gone(upload: Upload): UploadError {
  switch (upload.state) {
    case 'expired':
      return new UploadError('ERR_UPLOAD_EXPIRED');
    case 'removed':
      return new UploadError('ERR_UPLOAD_REMOVED');
    default:
      return new UploadError('ERR_UPLOAD_TERMINATED');
  }
}

/**
 * Requires an upload that is `accepted` or `inspecting`.
 * @throws UploadError the rejection; 410 when it has ended without a file; 409 when its bytes turned out not to be durable; 404 when it
 *   has no row any more
 */
export function requireNotRefused(upload: Upload | undefined): UploadIn<'accepted' | 'inspecting'> {
  if (upload === undefined) throw new UploadError('ERR_UPLOAD_NOT_FOUND');
  switch (upload.state) {
    case 'accepted':
    case 'inspecting':
      return upload;
    case 'rejected':
      throw storedRejection(upload);
    case 'receiving':
      throw new UploadError('ERR_MISMATCHED_OFFSET');
    default:
      throw gone(upload);
  }
}

/**
 * The acknowledgement after waiting for the verdict.
 *
 * @param sentHeldOnly true when the request carried only the held byte. At the patience limit such a request is answered with the
 *   unchanged offset, and the client asks again. A request that carried more is answered 503: its client would take the unchanged offset
 *   for a lost chunk.
 * @throws UploadError 503 at the patience limit, and when a service that the inspection needs is unreachable; as `requireNotRefused`
 */
export function acknowledge(upload: Upload | undefined, sentHeldOnly: boolean): Headers {
  const settled = requireNotRefused(upload);
  if (settled.state === 'inspecting') {
    if (isErrorCode(settled.fault)) throw new UploadError(settled.fault, { retryAfterSeconds: FAULT_RETRY_SECONDS });
    if (!sentHeldOnly) throw new UploadError('ERR_INSPECTION_PENDING', { retryAfterSeconds: 1 });
  }
  return acknowledgeCreation(settled);
}

/** The acknowledgement of a creation, also before the verdict: its client can ask again at the Location. @throws as `requireNotRefused` */
export function acknowledgeCreation(upload: Upload | undefined): Headers {
  const settled = requireNotRefused(upload);
  return { 'Upload-Offset': String(settled.state === 'accepted' ? settled.length : heldOffset(settled)) };
}
