// RFC 9110, 13 and 14: whether the client needs the file, and which range of it.
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import fresh from 'fresh';
import parseRange from 'range-parser';
import { UploadError } from '../../shared/errors.ts';

/** Properties of the file that conditions and ranges are compared with. */
export interface Validators {
  size: number;
  /** A strong one. */
  etag: string;
  /** Without milliseconds, which HTTP's dates cannot express. */
  lastModified: Date | undefined;
}

/** Bytes [start, end). */
export interface ByteRange {
  start: number;
  end: number;
}

/**
 * Answers a GET or HEAD that gets no bytes of the file. Returns false when the file is to be sent.
 * @throws UploadError 412
 */
export function answerWithoutBytes(request: IncomingMessage, response: ServerResponse, file: Validators): boolean {
  const refused = refusedBy(request.headers, file);
  if (refused === 412) throw new UploadError('ERR_PRECONDITION_FAILED');
  if (file.lastModified !== undefined) response.setHeader('Last-Modified', file.lastModified.toUTCString());
  if (refused === 304) {
    response.removeHeader('Content-Type');
    response.writeHead(304).end();
    return true;
  }
  // RFC 9110, 14.2: a range is for GET alone.
  if (request.method === 'HEAD') response.writeHead(200, { 'Content-Length': file.size, 'Accept-Ranges': 'bytes' }).end();
  return request.method === 'HEAD';
}

/** The requested range; undefined: everything. @throws UploadError 416, and sets its `Content-Range` */
export function requireRange(request: IncomingMessage, response: ServerResponse, file: Validators): ByteRange | undefined {
  const range = rangeOf(request.headers, file);
  if (range !== 'none') return range;
  response.setHeader('Content-Range', `bytes */${file.size}`);
  throw new UploadError('ERR_RANGE_NOT_SATISFIABLE');
}

/** The status of an answer without the file; undefined: the answer has the file. */
function refusedBy(headers: IncomingHttpHeaders, { etag, lastModified }: Validators): 304 | 412 | undefined {
  const match = headers['if-match'];
  if (match !== undefined && match !== '*' && !hasTag(match, etag)) return 412;
  const unmodifiedSince = Date.parse(headers['if-unmodified-since'] ?? '');
  if (match === undefined && lastModified !== undefined && lastModified.getTime() > unmodifiedSince) return 412;
  return fresh(headers, { etag, 'last-modified': lastModified?.toUTCString() ?? '' }) ? 304 : undefined;
}

/** The requested range; undefined for several ranges or another unit, which are answered with everything. `none`: no byte is in range. */
export function rangeOf(headers: IncomingHttpHeaders, file: Validators): ByteRange | 'none' | undefined {
  const { range } = headers;
  if (range === undefined || !/^bytes=/i.test(range) || !isSame(headers['if-range'], file)) return undefined;
  const ranges = parseRange(file.size, satisfiable(range, file.size), { combine: true });
  if (ranges === -1) return 'none';
  const [first] = ranges === -2 ? [] : ranges;
  return first === undefined || (ranges !== -2 && ranges.length > 1) ? undefined : { start: first.start, end: first.end + 1 };
}

/** RFC 9110, 14.1.2: a suffix longer than the file means all of it. `range-parser` calls it unsatisfiable. */
function satisfiable(range: string, size: number): string {
  if (size === 0) return range;
  return range.replace(/(?<=[=,]\s*)-(\d+)/g, (suffix, bytes) => (Number(bytes) > size ? '0-' : suffix));
}

/** RFC 9110, 13.1.5: exactly the tag, or exactly the date of the last change. */
function isSame(condition: string | string[] | undefined, { etag, lastModified }: Validators): boolean {
  return condition === undefined || condition === etag || condition === lastModified?.toUTCString();
}

/** RFC 9110, 13.1.1: compared strongly, so that a weak tag is never the same. */
function hasTag(list: string, etag: string): boolean {
  return list.split(',').some((item) => item.trim() === etag);
}
