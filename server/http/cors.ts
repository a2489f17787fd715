import type { RequestHandler } from 'express';

const ALLOWED_METHODS = 'GET, HEAD, POST, PATCH, DELETE, OPTIONS';
const ALLOWED_HEADERS = [
  'Authorization',
  'Content-Type',
  'Idempotency-Key',
  'Landfall-Checksum',
  'Tus-Resumable',
  'Upload-Checksum',
  'Upload-Concat',
  'Upload-Defer-Length',
  'Upload-Length',
  'Upload-Metadata',
  'Upload-Offset',
  'X-HTTP-Method-Override',
  'X-Request-ID',
  'X-Requested-With',
].join(', ');
const EXPOSED_HEADERS = [
  'Content-Disposition',
  'ETag',
  'Location',
  'Retry-After',
  'Tus-Checksum-Algorithm',
  'Tus-Extension',
  'Tus-Max-Size',
  'Tus-Resumable',
  'Tus-Version',
  'Upload-Concat',
  'Upload-Defer-Length',
  'Upload-Expires',
  'Upload-Length',
  'Upload-Metadata',
  'Upload-Offset',
  'X-Request-ID',
].join(', ');
const PREFLIGHT_SECONDS = '86400';

/** On every answer, refusals included: without them a page can't even read the status. `*` allows any origin, without credentials. */
export function cors(origins: readonly string[]): RequestHandler {
  const any = origins.includes('*');
  return (request, response, next) => {
    const { origin } = request.headers;
    if (origin !== undefined) {
      if (!any) response.vary('Origin');
      if (any || origins.includes(origin)) {
        response.setHeader('Access-Control-Allow-Origin', any ? '*' : origin);
        response.setHeader('Access-Control-Expose-Headers', EXPOSED_HEADERS);
        if (request.method === 'OPTIONS') {
          response.setHeader('Access-Control-Allow-Methods', ALLOWED_METHODS);
          response.setHeader('Access-Control-Allow-Headers', ALLOWED_HEADERS);
          response.setHeader('Access-Control-Max-Age', PREFLIGHT_SECONDS);
        }
      }
    }
    next();
  };
}
