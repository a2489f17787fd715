import type { IncomingMessage, ServerResponse } from 'node:http';
import { toProblem, type UploadError } from '../../shared/errors.ts';
import { PROBLEM_CONTENT_TYPE } from '../../shared/protocol.ts';
import { writeRetryAfter } from '../../shared/retry-after.ts';
import { mayHaveBody } from '../tus/headers.ts';
import { closeAfterAnswer } from './request-guard.ts';

/** Headers that the table of error codes does not have. */
export type ProblemHeaders = Readonly<Record<string, string>>;

/**
 * Answers with an error as `application/problem+json` (RFC 9457). When the request's body is still coming, the connection is closed
 * after the answer.
 */
export function sendProblem(request: IncomingMessage, response: ServerResponse, error: UploadError, headers: ProblemHeaders = {}): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  if (!request.complete && mayHaveBody(request)) closeAfterAnswer(request, response);
  const body = Buffer.from(JSON.stringify(toProblem(error)));
  response.statusCode = error.status;
  response.setHeader('Content-Type', PROBLEM_CONTENT_TYPE);
  response.setHeader('Content-Length', body.byteLength);
  response.setHeader('Cache-Control', 'no-store');
  setWait(response, error);
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** Sets the headers for when to ask again, and for the rate limit that was exceeded: draft-ietf-httpapi-ratelimit-headers-10. */
export function setWait(response: ServerResponse, { retryAfterSeconds, rate }: UploadError): void {
  // An application's error may have any number.
  const retryAfter = writeRetryAfter(retryAfterSeconds);
  if (retryAfter !== undefined) response.setHeader('Retry-After', retryAfter);
  if (rate === undefined) return;
  response.setHeader('RateLimit-Policy', `"creations";q=${rate.limit};w=${rate.windowSeconds}`);
  response.setHeader('RateLimit', `"creations";r=${rate.remaining};t=${rate.resetSeconds}`);
}
