import type { IncomingMessage, ServerResponse } from 'node:http';
import { toProblem, type UploadError } from '../../shared/errors.ts';
import { PROBLEM_CONTENT_TYPE } from '../../shared/protocol.ts';
import { mayHaveBody } from '../tus/headers.ts';
import { closeAfterAnswer } from './request-guard.ts';

/** Headers of a refusal that the table of codes does not give. */
export type ProblemHeaders = Readonly<Record<string, string>>;

/**
 * Answers an error as `application/problem+json` (RFC 9457). When the request's body is still coming, the connection is
 * closed behind the answer.
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
  if (error.retryAfterSeconds !== undefined) response.setHeader('Retry-After', String(error.retryAfterSeconds));
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.end(request.method === 'HEAD' ? undefined : body);
}
