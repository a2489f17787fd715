// Answers and logs errors that were thrown while a request was handled.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { UploadError } from '../../shared/errors.ts';
import { S3Fault } from '../s3/fault.ts';
import { faultOf } from '../staging/faults.ts';
import { methodOf } from './files.ts';
import { sendProblem } from './problem.ts';

/** Answers every thrown error. HEAD is never answered with 5xx: clients take that for a lost upload and start over at byte 0. */
export function answerThrown(log: Logger): (thrown: unknown, request: IncomingMessage, response: ServerResponse) => void {
  return (thrown, request, response) => {
    try {
      let error = asUploadError(thrown);
      logFault(log, thrown, error, request, response);
      if (methodOf(request) === 'HEAD' && error.status >= 500) {
        error = new UploadError('ERR_NOT_AVAILABLE', { retryAfterSeconds: error.retryAfterSeconds ?? 2 });
      }
      sendProblem(request, response, error);
    } catch {
      // For instance an application's logger fails. Nobody else answers this request.
      response.destroy();
    }
  };
}

/** Logs the server's own faults as errors with their stack. Expected refusals are not logged. */
function logFault(log: Logger, thrown: unknown, error: UploadError, request: IncomingMessage, response: ServerResponse): void {
  if (error.status < 500 && error.code !== 'ERR_BODY_ALREADY_READ') return;
  const line = { requestId: response.getHeader('X-Request-ID'), code: error.code };
  if (error.code === 'ERR_SHUTTING_DOWN' || error.code === 'ERR_INSPECTION_PENDING') log.debug(line, error.title);
  else if (request.destroyed && !request.complete) log.debug({ ...line, err: thrown }, 'the sender disconnected');
  else if (error.code === 'ERR_NO_SPACE') log.warn(line, error.title);
  else if (error.code === 'ERR_BODY_ALREADY_READ') log.error(line, error.message);
  else log.error({ ...line, err: error.cause ?? thrown }, error.title);
}

function asUploadError(thrown: unknown): UploadError {
  // Express refuses some requests itself, for example a malformed escape in the path, and gives its error a 4xx status. An S3
  // fault has a status, too, which must not reach senders: a 404 would tell them that their uploads are gone.
  const status = thrown instanceof Error && !(thrown instanceof S3Fault) && 'status' in thrown ? thrown.status : undefined;
  if (!(thrown instanceof UploadError) && typeof status === 'number' && status >= 400 && status < 500)
    return new UploadError('ERR_NOT_FOUND');
  return faultOf(thrown);
}
