// Landfall as a library: routes, start and close.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import express, { type ErrorRequestHandler, type Request } from 'express';
import { type Logger, pino } from 'pino';
import { UploadError } from '../shared/errors.ts';
import { TUS_VERSION } from '../shared/protocol.ts';
import { parseDuration } from '../shared/units.ts';
import { isLoopbackName, Origins } from './access/origins.ts';
import { assemble, type Parts } from './assembly.ts';
import { type Config, type ConfigInput, isResolved, resolveConfig } from './config/config.ts';
import type { LandfallHooks } from './hooks.ts';
import { cors } from './http/cors.ts';
import { signedDownload } from './http/download.ts';
import { answerFiles, methodOf } from './http/files.ts';
import { answerLive } from './http/health.ts';
import { below, type Handler, mountOf, redirectToPage } from './http/mount.ts';
import { page } from './http/page.ts';
import { sendProblem } from './http/problem.ts';
import { claim, cutAnsweredBody, guardRequests } from './http/request-guard.ts';
import { requestLog } from './http/request-log.ts';
import { answerTerms } from './http/terms.ts';
import { parseUploadId } from './ledger/upload-id.ts';
import { liftBodies } from './lift/lift.ts';
import type { FeedOptions } from './notify/event-feed.ts';
import type { UploadEvent } from './notify/event-handler.ts';
import { S3Fault } from './s3/fault.ts';
import { faultOf } from './staging/faults.ts';
import { mayHaveBody } from './tus/headers.ts';

export type { LandfallHooks } from './hooks.ts';

/** For whoever mounts it, and sees his first upload refused. */
const MOUNT_FIRST =
  'Mount the upload handler in front of everything that reads bodies: `app.use(path, landfall.handler)` above `app.use(express.json())`, say.';

/**
 * A server that `createLandfall` made. `start()` it before its first request, `close()` it at the end.
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http';
 * import { createLandfall, type Landfall } from 'landfall-server';
 *
 * const landfall: Landfall = createLandfall({ dataDir: './data' });
 * await landfall.start();
 * const server = createServer(landfall.handler).listen(3000);
 * landfall.attach(server);
 * process.once('SIGTERM', async () => {
 *   await landfall.close();
 *   server.close();
 * });
 * ```
 */
export interface Landfall {
  /** The settings as they were read: frozen, in bytes and milliseconds. */
  readonly config: Config;
  /**
   * Mount it under any path: `app.use('/uploads', landfall.handler)`. It takes a request of Node's, whatever hands it on, and answers
   * it to the end (docs/operations.md has how, for each framework).
   */
  readonly handler: Handler;
  /**
   * Prepares the HTTP server that the handler is mounted on, before its first request: uploads may take as long as they need, every
   * other request keeps the server's `requestTimeout`, and idle connections are kept for longer than load balancers keep them.
   */
  attach(server: Server): void;
  /**
   * Opens the ledger, takes up what was interrupted, and lets requests in. When it throws, all that it had opened is closed,
   * and it may be called again.
   * @throws StartError with a `code`: `PackageMissing`, `LedgerInUse`, `LedgerElsewhere`, `LedgerTooNew`, `DatabaseUnusable`,
   * `BucketUnusable`, `StagedElsewhere`, `KeyFileUnusable`, `InternalAddressUnusable`. And the error of the operating system where a directory cannot be written.
   */
  start(): Promise<void>;
  /**
   * An address by which anybody who has it downloads one accepted file, ranges included, until it ends; absolute where `publicUrl`
   * is set. Whoever may not be given the file must not be given the address.
   *
   * @param options.expires when it ends: a date, or so many milliseconds from now, or a time such as `1h`; default: `downloadLifetime`
   * @throws UploadError 404 when there is no accepted file of that id, 410 once it was removed, 403 where `downloads` is `off`
   */
  downloadUrl(id: string, options?: { expires?: Date | number | string }): Promise<string>;
  /**
   * Every event after a position, in order, and then each that comes, until `signal` is aborted or the server is closed. A reader that
   * keeps the position of what it has dealt with misses nothing, whatever crashes (docs/events.md).
   * @throws UploadError ERR_EVENTS_FORGOTTEN: what came after the position is no longer kept; ERR_BAD_REQUEST: there was never such
   *   a position; ERR_SHUTTING_DOWN: it was not started
   */
  events(options?: FeedOptions): AsyncIterable<UploadEvent>;
  /** Requests are answered "try again" from now on; running ones keep what they have. Resolves when the work at hand has ended. */
  close(): Promise<void>;
}

/** Addresses that are no file of the page. */
const OWN_ADDRESS = /^\/(?:files|upload|link\/upload|get-upload-url|config)(?:\/|$)/;

/**
 * Makes a server out of settings. It opens nothing before `start()`.
 *
 * @param input the settings of docs/settings.md in camel case; numbers are bytes and milliseconds. @default {} (a directory `./data`)
 * @param hooks what the application adds: who may upload, checks, a function that is told of events. @default {}
 * @throws ConfigError with a sentence that names the setting
 *
 * @example
 * ```ts
 * import express from 'express';
 * import { createLandfall } from 'landfall-server';
 *
 * const landfall = createLandfall({ dataDir: '/var/lib/uploads', allow: 'images,video', maxUploadSize: '50 GiB' });
 * await landfall.start();
 * landfall.attach(express().use('/uploads', landfall.handler).listen(3000));
 * ```
 */
export function createLandfall(input: ConfigInput | Config = {}, hooks: LandfallHooks = {}): Landfall {
  const config = isResolved(input) ? input : resolveConfig(input);
  const log = hooks.logger ?? pino({ level: config.logLevel });
  const drain = new AbortController();
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('case sensitive routing', true);
  let starting: Promise<Parts> | undefined;
  let closing: Promise<void> | undefined;
  let parts: Parts | undefined;
  const changing = new Set<Promise<void>>();

  app.use((request, response, next) => {
    claim(request);
    cutAnsweredBody(request, response);
    next();
  });
  app.use(requestLog(log));
  const origins = originsFor(config, hooks.isStandalone ?? false);
  app.use(cors(origins, config.corsHeaders));
  app.use('/health/live', (_request, response) => answerLive(response));
  app.use('/health/ready', async (_request, response) => {
    if (parts) await parts.readiness.answer(response);
    else response.status(503).json({ status: 'starting' });
  });
  app.use((request, _response, next) => {
    origins.requireKnownHost(request);
    if (!isSafe(request.method)) origins.requireAllowedOrigin(request);
    next();
  });
  app.use(redirectToPage());
  const servePage = page();
  // Not asked for what is none of its files: it looks on the disk, and what handed the request on may have changed its address by then.
  app.use((request, response, next) => (OWN_ADDRESS.test(request.path) ? next() : servePage(request, response, next)));
  app.use((request, response, next) => {
    if (drain.signal.aborted || parts === undefined) throw new UploadError('ERR_SHUTTING_DOWN', { retryAfterSeconds: 2 });
    if (request.readableDidRead && mayHaveBody(request)) throw new UploadError('ERR_BODY_ALREADY_READ', { detail: MOUNT_FIRST });
    response.setHeader('X-Content-Type-Options', 'nosniff');
    next();
  });
  app.use('/config', async (request, response) => {
    if (parts) await answerTerms({ ...parts, maxUploadBytes: config.maxUploadBytes }, request, response);
  });
  app.use('/files', async (request, response) => {
    if (parts) await track(request, answerFiles(parts, request, response, request.url, collectionUrl(config, request)));
  });
  app.use(['/upload/multiple', '/upload'], async (request, response) => {
    if (parts) await track(request, parts.forms.answer(request, response, collectionUrl(config, request)));
  });
  app.use('/link/upload', async (request, response) => {
    if (parts) await track(request, parts.forms.answerLink(request, response, collectionUrl(config, request)));
  });
  app.use('/get-upload-url', async (request, response) => {
    if (parts) await track(request, parts.direct.answer(request, response, request.url, collectionUrl(config, request)));
  });
  app.use(() => {
    throw new UploadError('ERR_NOT_FOUND');
  });
  app.use(answerError(log));

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
    handler: below(hooks.mountPath ?? '', app),
    attach(server) {
      guardRequests(server);
      if (config.fastBodies) {
        liftBodies(server, {
          onMissing: () => log.warn('this Node is not one that fast bodies are made for: they are read as any other'),
          onFault: (error) => log.error({ err: error }, 'fault while reading a body'),
        });
      }
    },
    async start() {
      starting ??= assemble({ config, hooks, log, draining: drain.signal });
      parts = await starting.catch((error: unknown) => {
        starting = undefined;
        throw error;
      });
    },
    async downloadUrl(id, { expires = config.downloadLifetimeMs } = {}) {
      if (parts === undefined) throw new UploadError('ERR_SHUTTING_DOWN');
      const uploadId = parseUploadId(id);
      if (uploadId === undefined) throw new UploadError('ERR_UPLOAD_NOT_FOUND');
      return signedDownload(parts, uploadId, `${config.publicUrl || (hooks.mountPath ?? '')}/files`, endOf(expires));
    },
    events(options) {
      if (parts === undefined) throw new UploadError('ERR_SHUTTING_DOWN', { detail: 'It was not started yet.' });
      return parts.telling.read(options);
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
    logFault(log, thrown, error, request, response);
    if (methodOf(request) === 'HEAD' && error.status >= 500) {
      error = new UploadError('ERR_NOT_AVAILABLE', { retryAfterSeconds: error.retryAfterSeconds ?? 2 });
    }
    sendProblem(request, response, error, error.code === 'ERR_UNSUPPORTED_VERSION' ? { 'Tus-Version': TUS_VERSION } : {});
  };
}

/** What is a fault of ours is an error, with its stack. What is part of the day's work is none. */
function logFault(log: Logger, thrown: unknown, error: UploadError, request: IncomingMessage, response: ServerResponse): void {
  if (error.status < 500 && error.code !== 'ERR_BODY_ALREADY_READ') return;
  const line = { requestId: response.getHeader('X-Request-ID'), code: error.code };
  if (error.code === 'ERR_SHUTTING_DOWN' || error.code === 'ERR_INSPECTION_PENDING') log.debug(line, error.title);
  else if (request.destroyed && !request.complete) log.debug({ ...line, err: thrown }, 'the sender left');
  else if (error.code === 'ERR_NO_SPACE') log.warn(line, error.title);
  else if (error.code === 'ERR_BODY_ALREADY_READ') log.error(line, error.message);
  else log.error({ ...line, err: error.cause ?? thrown }, error.title);
}

function asUploadError(thrown: unknown): UploadError {
  // What Express itself refuses, a malformed escape in the path for one, says so with a status of 400. What S3 refuses us is
  // another matter: it would tell senders that their uploads are gone.
  const status = thrown instanceof Error && !(thrown instanceof S3Fault) && 'status' in thrown ? thrown.status : undefined;
  if (!(thrown instanceof UploadError) && typeof status === 'number' && status >= 400 && status < 500)
    return new UploadError('ERR_NOT_FOUND');
  return faultOf(thrown);
}

function originsFor(config: Config, isStandalone: boolean): Origins {
  const isLoopback = isStandalone && isLoopbackName(config.host);
  const { hosts, publicUrl, corsOrigins } = config;
  const publicName = URL.parse(publicUrl)?.hostname;
  const isNamed = isStandalone && (isLoopback || hosts.length > 0 || publicName !== undefined);
  const names = publicName === undefined ? hosts : [...hosts, publicName];
  return new Origins({ hosts: isNamed ? names : undefined, origins: corsOrigins, publicUrl, isLoopback });
}

/** By the wall's clock, in milliseconds. @throws TypeError, or what is wrong with the text */
function endOf(expires: Date | number | string): number {
  const endsAt =
    expires instanceof Date ? expires.getTime() : Date.now() + (typeof expires === 'string' ? parseDuration(expires) : expires);
  if (!Number.isFinite(endsAt)) throw new TypeError('`expires` is a date, a number of milliseconds or a time such as 1h.');
  return endsAt;
}

/** RFC 9110, 9.2.1. */
function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
}

/** The address of the collection, from the mount path or the configured one; never from what a client says of the host. */
function collectionUrl(config: Config, request: Request): string {
  if (config.publicUrl !== '') return `${config.publicUrl}/files`;
  return `${mountOf(request)}/files`;
}
