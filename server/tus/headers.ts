// The headers of tus requests, parsed strictly: an invalid header is refused with the status that the protocol asks for.
import type { IncomingMessage } from 'node:http';
import { UploadError } from '../../shared/errors.ts';
import { type Metadata, parseMetadata } from '../../shared/metadata.ts';
import { CHECKSUM_ALGORITHMS, OFFSET_CONTENT_TYPE, parseByteCount, TUS_VERSION } from '../../shared/protocol.ts';
import { type Checksums, readChecksums } from './checksums.ts';

/** Printable ASCII, long enough for a UUID in quotes. */
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,128}$/;

/** @throws UploadError 412 */
export function requireVersion(request: IncomingMessage): void {
  if (header(request, 'tus-resumable') !== TUS_VERSION)
    throw new UploadError('ERR_UNSUPPORTED_VERSION', { headers: { 'Tus-Version': TUS_VERSION } });
}

export interface Creation {
  /** Null while the length is deferred. */
  length: number | null;
  metadata: Metadata;
  rawMetadata: string;
  idempotencyKey: string | null;
  /** The request's Content-Length; 0 for a body of unknown length. */
  bodyBytes: number;
  checksums: Checksums;
}

/** tus 1.0.0, Creation: exactly one of Upload-Length and Upload-Defer-Length: 1. @throws UploadError */
export function readCreation(request: IncomingMessage): Creation {
  const length = readLength(request);
  const deferred = header(request, 'upload-defer-length');
  if (deferred !== undefined && deferred !== '1')
    throw new UploadError('ERR_INVALID_UPLOAD_LENGTH', { detail: 'Upload-Defer-Length can only be 1.' });
  if ((length === undefined) === (deferred === undefined)) {
    throw new UploadError('ERR_INVALID_UPLOAD_LENGTH', { detail: 'Send exactly one of Upload-Length and Upload-Defer-Length.' });
  }
  if (header(request, 'upload-concat') !== undefined)
    throw new UploadError('ERR_BAD_REQUEST', { detail: 'This server does not support concatenation.' });
  const rawMetadata = header(request, 'upload-metadata') ?? '';
  const idempotencyKey = readIdempotencyKey(request);
  const bodyBytes = Number(header(request, 'content-length') ?? 0);
  // Creation With Upload asks for the offset content type. Some clients send another type with an empty POST, where it means nothing.
  if (bodyBytes > 0 && !isMediaType(request, OFFSET_CONTENT_TYPE)) throw wrongMediaType(OFFSET_CONTENT_TYPE);
  const metadata = parseMetadata(rawMetadata);
  return { length: length ?? null, metadata, rawMetadata, idempotencyKey, bodyBytes, checksums: readChecksums(request) };
}

export interface Append {
  offset: number;
  /** The length that this request declares; undefined when it declares none. */
  length: number | undefined;
  checksums: Checksums;
}

/** @throws UploadError 415 for another content type, 400 for an invalid number */
export function readAppend(request: IncomingMessage): Append {
  if (!isMediaType(request, OFFSET_CONTENT_TYPE)) throw wrongMediaType(OFFSET_CONTENT_TYPE, 'Accept-Patch');
  const offset = parseByteCount(header(request, 'upload-offset') ?? '');
  if (offset === undefined) throw new UploadError('ERR_INVALID_OFFSET');
  return { offset, length: readLength(request), checksums: readChecksums(request) };
}

/** Null when the request has no key. @throws UploadError 400 */
export function readIdempotencyKey(request: IncomingMessage): string | null {
  const key = header(request, 'idempotency-key');
  if (key !== undefined && !IDEMPOTENCY_KEY.test(key))
    throw new UploadError('ERR_BAD_REQUEST', { detail: 'Idempotency-Key is not valid.' });
  return key ?? null;
}

function readLength(request: IncomingMessage): number | undefined {
  const text = header(request, 'upload-length');
  if (text === undefined) return undefined;
  const length = parseByteCount(text);
  if (length === undefined) throw new UploadError('ERR_INVALID_UPLOAD_LENGTH');
  return length;
}

/** RFC 9110, 8.3.1: media types ignore case, and parameters may follow. */
export function isMediaType(request: IncomingMessage, type: string): boolean {
  return header(request, 'content-type')?.split(';', 1)[0]?.trim().toLowerCase() === type;
}

/** RFC 9110, 15.5.16, and RFC 5789, 2.2: a 415 names the media type that the address accepts. */
export function wrongMediaType(accepted: string, field: 'Accept' | 'Accept-Patch' = 'Accept'): UploadError {
  return new UploadError('ERR_INVALID_CONTENT_TYPE', { headers: { [field]: accepted } });
}

/** RFC 9112, 6.3: a request has a body when it has a Content-Length or a Transfer-Encoding. */
export function mayHaveBody(request: IncomingMessage): boolean {
  return header(request, 'transfer-encoding') !== undefined || Number(header(request, 'content-length') ?? 0) > 0;
}

/** Node joins a repeated header with commas, which no rule above accepts. */
function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

/** tus 1.0.0 asks for this header in the response to OPTIONS. In responses to creations and HEAD it saves the client that request. */
export const ANNOUNCEMENT: Readonly<Record<string, string>> = { 'Tus-Checksum-Algorithm': CHECKSUM_ALGORITHMS.join(',') };
