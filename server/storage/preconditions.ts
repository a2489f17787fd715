// RFC 9110, 13 and 14: whether the client needs the file, and which range of it. Decides as `send` does for files on disk, for
// storages without such logic.
import type { IncomingHttpHeaders } from 'node:http';
import fresh from 'fresh';
import parseRange from 'range-parser';

/** Properties of the file that conditions and ranges are compared with. */
export interface Validators {
  size: number;
  etag: string;
  lastModified: Date | undefined;
}

/** Bytes [start, end). */
export interface ByteRange {
  start: number;
  end: number;
}

/** The status of an answer without the file; undefined: the answer has the file. */
export function refusedBy(headers: IncomingHttpHeaders, { etag, lastModified }: Validators): 304 | 412 | undefined {
  const match = headers['if-match'];
  if (match !== undefined && match !== '*' && !tagsIn(match).includes(etag)) return 412;
  const unmodifiedSince = Date.parse(headers['if-unmodified-since'] ?? '');
  if (match === undefined && lastModified !== undefined && lastModified.getTime() > unmodifiedSince) return 412;
  return fresh(headers, { etag, 'last-modified': lastModified?.toUTCString() ?? '' }) ? 304 : undefined;
}

/** The requested range; undefined for several ranges or another unit, which are answered with everything. `none`: no byte is in range. */
export function rangeOf(headers: IncomingHttpHeaders, file: Validators): ByteRange | 'none' | undefined {
  const { range } = headers;
  if (range === undefined || !range.startsWith('bytes=') || !isSame(headers['if-range'], file)) return undefined;
  const ranges = parseRange(file.size, satisfiable(range, file.size), { combine: true });
  if (ranges === -1) return 'none';
  const [first] = ranges === -2 ? [] : ranges;
  return first === undefined || (ranges !== -2 && ranges.length > 1) ? undefined : { start: first.start, end: first.end + 1 };
}

/** RFC 9110, 14.1.2: a suffix longer than the file means all of it. `range-parser`, which `send` uses too, calls it unsatisfiable. */
export function satisfiable(range: string, size: number): string {
  const [, suffix] = /^bytes=-(\d+)$/.exec(range) ?? [];
  return suffix !== undefined && Number(suffix) > size && size > 0 ? 'bytes=0-' : range;
}

/** If-Range: a tag, or the date of the last change. */
function isSame(condition: string | string[] | undefined, { etag, lastModified }: Validators): boolean {
  if (condition === undefined) return true;
  const text = String(condition);
  return text.includes('"') ? text.includes(etag) : lastModified !== undefined && lastModified.getTime() <= Date.parse(text);
}

function tagsIn(list: string): string[] {
  return list.split(',').map((item) => item.trim().replace(/^W\//, ''));
}
