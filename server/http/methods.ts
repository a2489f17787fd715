// What is said of the methods that an address supports, as a list such as `OPTIONS, POST`.
import type { ServerResponse } from 'node:http';
import { UploadError } from '../../shared/errors.ts';

/** Answers OPTIONS. */
export function answerOptions(response: ServerResponse, allow: string): void {
  response.writeHead(200, { Allow: allow, 'Content-Length': 0 }).end();
}

/** RFC 9110, 15.5.6: a 405 names the methods. */
export function methodNotAllowed(allow: string): UploadError {
  return new UploadError('ERR_METHOD_NOT_ALLOWED', { headers: { Allow: allow } });
}
