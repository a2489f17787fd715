import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';

const REQUEST_ID = /^[\w.:-]{1,64}$/;

/** A line for each request once it is answered, under an id that the answer carries; the client's own id where it sent a sane one. */
export function requestLog(log: Logger): (request: IncomingMessage & { originalUrl?: string }, response: ServerResponse) => void {
  return (request, response) => {
    const given = request.headers['x-request-id'];
    const requestId = typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
    response.setHeader('X-Request-ID', requestId);
    const startedAt = performance.now();
    response.once('close', () => {
      log.debug(
        {
          requestId,
          method: request.method,
          path: (request.originalUrl ?? request.url)?.split('?', 1)[0],
          status: response.statusCode,
          durationMs: Math.round(performance.now() - startedAt),
          ...(response.writableFinished ? {} : { cut: true }),
        },
        'request',
      );
    });
  };
}
