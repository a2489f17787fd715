import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';

const REQUEST_ID = /^[\w.:-]{1,64}$/;

/** Logs a line for each answered request, with an id that the answer carries, too: the client's own id if it is valid. */
export function requestLog(log: Logger): (request: IncomingMessage & { originalUrl?: string }, response: ServerResponse) => void {
  return (request, response) => {
    const given = request.headers['x-request-id'];
    const requestId = typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
    response.setHeader('X-Request-ID', requestId);
    const startedAt = performance.now();
    response.on('close', () => {
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
