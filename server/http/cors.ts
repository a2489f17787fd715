import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Origins } from '../access/origins.ts';

const ALLOWED_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
/** Headers of the protocols. With a list of other headers from the operator, these are allowed beside it. */
const PROTOCOL_HEADERS = [
  'Authorization',
  'Content-Digest',
  'Content-Disposition',
  'Content-Type',
  'Idempotency-Key',
  'If-Match',
  'If-None-Match',
  'Landfall-Checksum',
  'Range',
  'Repr-Digest',
  'Tus-Resumable',
  'Upload-Checksum',
  'Upload-Complete',
  'Upload-Concat',
  'Upload-Defer-Length',
  'Upload-Draft-Interop-Version',
  'Upload-Incomplete',
  'Upload-Length',
  'Upload-Metadata',
  'Upload-Offset',
  'Want-Repr-Digest',
  'X-HTTP-Method-Override',
  'X-Request-ID',
  'X-Requested-With',
];
const EXPOSED_HEADERS = [
  'Accept-Patch',
  'Accept-Ranges',
  'Allow',
  'Content-Digest',
  'Content-Disposition',
  'Content-Range',
  'ETag',
  'Location',
  'RateLimit',
  'RateLimit-Policy',
  'Repr-Digest',
  'Retry-After',
  'Tus-Checksum-Algorithm',
  'Tus-Extension',
  'Tus-Max-Size',
  'Tus-Resumable',
  'Tus-Version',
  'Upload-Complete',
  'Upload-Concat',
  'Upload-Defer-Length',
  'Upload-Draft-Interop-Version',
  'Upload-Expires',
  'Upload-Incomplete',
  'Upload-Length',
  'Upload-Limit',
  'Upload-Metadata',
  'Upload-Offset',
  'WWW-Authenticate',
  'X-Request-ID',
].join(', ');
const PREFLIGHT_SECONDS = '86400';
const FIELD_NAMES = /^[\w!#$%&'*+.^`|~-]+(?: *, *[\w!#$%&'*+.^`|~-]+)*$/;

/**
 * Sets CORS headers on every answer, refusals included: without them a page cannot even read the status. Pages of listed origins may
 * send cookies; pages that only `*` allows may not.
 *
 * @param headers request headers that applications add; empty: any that the preflight of an allowed origin asks for
 */
export function cors(origins: Origins, headers: readonly string[]): (request: IncomingMessage, response: ServerResponse) => void {
  const listed = headers.length === 0 ? undefined : [...PROTOCOL_HEADERS, ...headers].join(', ');
  return (request, response) => {
    // Also without an origin: a cache must not give this answer to a page.
    vary(response, 'Origin');
    const allowance = origins.allowanceOf(request);
    const { origin } = request.headers;
    if (allowance !== undefined && origin !== undefined) {
      response.setHeader('Access-Control-Allow-Origin', allowance === 'any' ? '*' : origin);
      if (allowance === 'listed') response.setHeader('Access-Control-Allow-Credentials', 'true');
      response.setHeader('Access-Control-Expose-Headers', EXPOSED_HEADERS);
      if (request.method === 'OPTIONS') {
        const asked = request.headers['access-control-request-headers'];
        if (listed === undefined) vary(response, 'Access-Control-Request-Headers');
        response.setHeader('Access-Control-Allow-Methods', ALLOWED_METHODS);
        response.setHeader(
          'Access-Control-Allow-Headers',
          listed ?? (asked !== undefined && FIELD_NAMES.test(asked) ? asked : PROTOCOL_HEADERS.join(', ')),
        );
        response.setHeader('Access-Control-Max-Age', PREFLIGHT_SECONDS);
      }
    }
  };
}

/** Keeps the names that an application in front has set. */
function vary(response: ServerResponse, name: string): void {
  if (response.hasHeader('Vary')) response.appendHeader('Vary', name);
  else response.setHeader('Vary', name);
}
