import type { IncomingMessage, ServerResponse } from 'node:http';
import { toProblem, type UploadError } from '../../shared/errors.ts';
import { PROBLEM_CONTENT_TYPE } from '../../shared/protocol.ts';
import { writeRetryAfter } from '../../shared/retry-after.ts';
import { bearerChallenge } from '../access/identity.ts';
import { mayHaveBody } from '../tus/headers.ts';
import { closeAfterAnswer } from './request-guard.ts';

/** How long senders wait after a fault that names no time of its own. */
const WAIT_SECONDS = 5;

/**
 * Answers with an error as `application/problem+json` (RFC 9457). When the request's body is still coming, the connection is closed
 * after the answer.
 */
export function sendProblem(request: IncomingMessage, response: ServerResponse, error: UploadError): void {
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
  setErrorFields(request, response, error);
  response.end(request.method === 'HEAD' ? undefined : body);
}

/**
 * Sets the headers that belong to the error: its own, when to ask again, how to sign in, and the rate limit that was exceeded
 * (draft-ietf-httpapi-ratelimit-headers-10).
 */
export function setErrorFields(request: IncomingMessage, response: ServerResponse, error: UploadError): void {
  const { status, headers, rate, retryAfterSeconds } = error;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  // An application's error may have any number.
  const retryAfter = writeRetryAfter(retryAfterSeconds) ?? (status === 503 ? String(WAIT_SECONDS) : undefined);
  if (retryAfter !== undefined) response.setHeader('Retry-After', retryAfter);
  // RFC 9110, 15.5.2: every 401 has a challenge. An application may have set one of its own.
  if (status === 401 && !response.hasHeader('WWW-Authenticate'))
    response.setHeader('WWW-Authenticate', bearerChallenge(request, 'invalid_token'));
  if (rate === undefined) return;
  response.setHeader('RateLimit-Policy', `"creations";q=${rate.limit};w=${rate.windowSeconds}`);
  response.setHeader('RateLimit', `"creations";r=${rate.remaining};t=${rate.resetSeconds}`);
}
