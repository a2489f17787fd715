// Landfall as a library: routes, start and close.
import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { type ErrorRequestHandler, type Express, type Request } from 'express';
import { type Logger, pino } from 'pino';
import { UploadError } from '../shared/errors.ts';
import { TUS_VERSION } from '../shared/protocol.ts';
import { assemble, type LandfallHooks, type Parts } from './assembly.ts';
import { type Config, type ConfigInput, isResolved, resolveConfig } from './config.ts';
import { cors } from './http/cors.ts';
import { answerFiles, methodOf } from './http/files.ts';
import { answerLive } from './http/health.ts';
import { page } from './http/page.ts';
import { sendProblem } from './http/problem.ts';
import { requestLog } from './http/request-log.ts';
import { S3Fault } from './s3/fault.ts';
import { faultOf } from './staging/faults.ts';
import { mayHaveBody } from './tus/headers.ts';

export type { LandfallHooks } from './assembly.ts';

export interface Landfall {
  readonly config: Config;
  /** Mount it under any path: `app.use('/uploads', landfall.handler)`. */
  readonly handler: Express;
  /**
   * Opens the ledger, takes up what was interrupted, and lets requests in. When it throws, all that it had opened is closed,
   * and it may be called again.
   * @throws LedgerInUse, LedgerElsewhere, LedgerTooNew, BucketUnusable, or what the system says
   */
  start(): Promise<void>;
  /** Requests are answered "try again" from now on; running ones keep what they have. Resolves when the work at hand has ended. */
  close(): Promise<void>;
}

/** @throws ConfigError */
export function createLandfall(input: ConfigInput | Config = {}, hooks: LandfallHooks = {}): Landfall {
  const config = isResolved(input) ? input : resolveConfig(input);
  const log = hooks.logger ?? pino({ level: config.logLevel });
  const drain = new AbortController();
  const handler = express();
  handler.disable('x-powered-by');
  handler.set('etag', false);
  handler.set('case sensitive routing', true);
  let starting: Promise<Parts> | undefined;
  let closing: Promise<void> | undefined;
  let parts: Parts | undefined;
  const changing = new Set<Promise<void>>();

  handler.use(requestLog(log));
  handler.use(cors(config.corsOrigins));
  handler.use('/health/live', (_request, response) => answerLive(response));
  handler.use('/health/ready', async (_request, response) => {
    if (parts) await parts.readiness.answer(response);
    else response.status(503).json({ status: 'starting' });
  });
  handler.use(page());
  handler.use((request, response, next) => {
    if (drain.signal.aborted || parts === undefined) throw new UploadError('ERR_SHUTTING_DOWN', { retryAfterSeconds: 2 });
    if (request.readableDidRead && mayHaveBody(request)) {
      throw new Error('Another handler has read the body. Mount Landfall in front of body parsers.');
    }
    response.setHeader('X-Content-Type-Options', 'nosniff');
    next();
  });
  handler.use('/config', (_request, response) => {
    response.setHeader('Cache-Control', 'no-cache');
    response.json({ policy: config.policy, maxUploadSize: config.maxUploadSize });
  });
  handler.use('/files', async (request, response) => {
    if (parts) await track(request, answerFiles(parts, request, response, pathBelow(request), collectionUrl(config, request)));
  });
  handler.use(['/upload/multiple', '/upload'], async (request, response) => {
    if (parts) await track(request, parts.forms.answer(request, response, collectionUrl(config, request)));
  });
  handler.use('/get-upload-url', async (request, response) => {
    if (parts) await track(request, parts.direct.answer(request, response, pathBelow(request), collectionUrl(config, request)));
  });
  handler.use(() => {
    throw new UploadError('ERR_NOT_FOUND');
  });
  handler.use(answerError(log));

  /** What may still write is waited for at the end; a download is not. */
  function track(request: IncomingMessage, work: Promise<void>): Promise<void> {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      const done = work.finally(() => changing.delete(done));
      changing.add(done);
      return done;
    }
    return work;
  }

  return {
    config,
    handler,
    async start() {
      starting ??= assemble({ config, hooks, log, draining: drain.signal });
      parts = await starting.catch((error: unknown) => {
        starting = undefined;
        throw error;
      });
    },
    close() {
      closing ??= (async () => {
        drain.abort(new UploadError('ERR_SHUTTING_DOWN', { retryAfterSeconds: 2 }));
        const assembled = await starting?.catch(() => undefined);
        await Promise.allSettled(changing);
        await assembled?.close();
      })();
      return closing;
    },
  };
}

/** Everything that was thrown ends here. HEAD never answers 5xx: clients take that for a lost upload and start over at byte 0. */
function answerError(log: Logger): ErrorRequestHandler {
  return (thrown: unknown, request: IncomingMessage, response: ServerResponse, _next) => {
    let error = asUploadError(thrown);
    if (error.status >= 500) log.error({ err: thrown, requestId: response.getHeader('X-Request-ID') }, error.title);
    if (methodOf(request) === 'HEAD' && error.status >= 500) {
      error = new UploadError('ERR_NOT_AVAILABLE', { retryAfterSeconds: error.retryAfterSeconds ?? 2 });
    }
    sendProblem(request, response, error, error.code === 'ERR_UNSUPPORTED_VERSION' ? { 'Tus-Version': TUS_VERSION } : {});
  };
}

function asUploadError(thrown: unknown): UploadError {
  // What Express itself refuses, a malformed escape in the path for one, says so with a status of 400. What S3 refuses us is
  // another matter: it would tell senders that their uploads are gone.
  const status = thrown instanceof Error && !(thrown instanceof S3Fault) && 'status' in thrown ? thrown.status : undefined;
  if (!(thrown instanceof UploadError) && typeof status === 'number' && status >= 400 && status < 500)
    return new UploadError('ERR_NOT_FOUND');
  return faultOf(thrown);
}

/** What follows the mount path, query included. */
function pathBelow(request: Request): string {
  return request.originalUrl.slice(request.baseUrl.length);
}

/** The address of the collection, from the mount path or the configured one; never from what a client says of the host. */
function collectionUrl(config: Config, request: Request): string {
  if (config.publicUrl !== '') return `${config.publicUrl}/files`;
  return `${request.baseUrl.replace(/\/(?:files|upload|upload\/multiple|get-upload-url)$/, '')}/files`;
}
