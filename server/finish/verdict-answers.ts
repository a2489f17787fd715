// What a client is told of an upload that no longer receives, and of one that waits for its verdict. The last byte, or the
// declaration of the length, is acknowledged only with the verdict: a client that asks HEAD must never read success early.
import { isErrorCode, UploadError } from '../../shared/errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload, UploadIn } from '../ledger/upload.ts';

type Headers = Record<string, string>;

/** What is away is asked again by us, sooner or later; a sender need not ask as often. */
const FAULT_RETRY_SECONDS = 5;

/** The offset an unfinished upload shows, given the bytes stored. */
export function acknowledgedOffset(upload: Upload, stored: number): number {
  if (upload.length === null) return stored;
  return Math.min(stored, Math.max(upload.length - 1, 0));
}

/**
 * The headers of a HEAD.
 * @throws UploadError 410 for what is gone, 423 where there is no offset to tell yet
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

/** What is shown while the inspection runs, and ever after a rejection. */
function held(upload: Upload): Headers {
  const offset = { 'Upload-Offset': String(heldOffset(upload)) };
  if (upload.length === null || upload.held === 'length') return { 'Upload-Defer-Length': '1', ...offset };
  // An empty upload has no byte to hold back: its sender waits in the creation request, and nobody else is told anything.
  if (upload.length === 0) throw new UploadError('ERR_INSPECTING', { retryAfterSeconds: 1 });
  return { 'Upload-Length': String(upload.length), ...offset };
}

function lengthOf(upload: Upload): Headers {
  return upload.length === null ? { 'Upload-Defer-Length': '1' } : { 'Upload-Length': String(upload.length) };
}

/** tus 1.0.0, Expiration: an HTTP date on every answer about an unfinished upload. */
export function expiry(ledger: Ledger, upload: Upload): Headers {
  if (upload.state !== 'receiving' || upload.expiresAt === null) return {};
  return { 'Upload-Expires': ledger.wallTime(upload.expiresAt).toUTCString() };
}

/** How far an acknowledged offset goes while the verdict is out, and after a rejection. */
export function heldOffset(upload: Upload): number {
  if (upload.length === null) return knownOffset(upload);
  return upload.held === 'length' ? upload.length : Math.max(upload.length - 1, 0);
}

/** How far an upload had come, as far as its row tells: whose bytes are gone, nobody can ask staging. */
export function knownOffset(upload: Upload): number {
  return acknowledgedOffset(upload, Math.max(upload.provenOffset, upload.checksumOffset, 0));
}

/** The verdict of an upload that was refused, the same each time. */
export function storedRejection(upload: UploadIn<'rejected'>): UploadError {
  const code = isErrorCode(upload.errorCode) ? upload.errorCode : 'ERR_CHECK_REFUSED';
  const told = {
    ...(upload.errorDetail !== null && { detail: upload.errorDetail }),
    ...(upload.result !== null && { result: JSON.parse(upload.result) as unknown }),
  };
  const rejection = new UploadError(code, told);
  // A code that an operator's own check chose may be of any class; a verdict on a file is always a 4xx that clients do not repeat.
  return rejection.status === 413 || rejection.status === 422 ? rejection : new UploadError(code, { ...told, status: 422 });
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
 * An upload whose bytes are all here, as every door may go on with it: accepted, or `inspecting` still.
 * @throws UploadError the rejection, 410, 409 when the bytes turned out unproved, 404 where there is no row any more
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
 * The acknowledgement after a wait for the verdict.
 *
 * @param sentHeldOnly the request carried nothing but what is held back: at the patience limit it is answered an unchanged
 *   offset, and the client goes on asking at the pace we set. One that carried more must not take that for a lost chunk.
 * @throws UploadError 503 at the patience limit, and where something that the inspection needs is away; as `requireNotRefused`
 */
export function acknowledge(upload: Upload | undefined, sentHeldOnly: boolean): Headers {
  const settled = requireNotRefused(upload);
  if (settled.state === 'inspecting') {
    if (isErrorCode(settled.fault)) throw new UploadError(settled.fault, { retryAfterSeconds: FAULT_RETRY_SECONDS });
    if (!sentHeldOnly) throw new UploadError('ERR_INSPECTION_PENDING', { retryAfterSeconds: 1 });
  }
  return acknowledgeCreation(settled);
}

/** Of a creation: it has a Location to ask again at, whatever it carried. @throws as `requireNotRefused` */
export function acknowledgeCreation(upload: Upload | undefined): Headers {
  const settled = requireNotRefused(upload);
  return { 'Upload-Offset': String(settled.state === 'accepted' ? settled.length : heldOffset(settled)) };
}
