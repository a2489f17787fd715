// Landfall as a library: routes, start and close.
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import express, { type NextFunction, type Request } from 'express';
import { pino } from 'pino';
import { UploadError } from '../shared/errors.ts';
import { parseDuration } from '../shared/units.ts';
import { isLoopbackName, Origins } from './access/origins.ts';
import { assemble, type Parts } from './assembly.ts';
import { type Config, type ConfigInput, isResolved, resolveConfig } from './config/config.ts';
import type { LandfallHooks } from './hooks.ts';
import { cors } from './http/cors.ts';
import { signedDownload } from './http/download.ts';
import { announceVersion, answerFiles } from './http/files.ts';
import { answerLive } from './http/health.ts';
import { type Handler, isTarget, mountAt, mountOf, redirectToPage } from './http/mount.ts';
import { OpenResponses } from './http/open-responses.ts';
import { page } from './http/page.ts';
import { claim, cutAnsweredBody, guardRequests } from './http/request-guard.ts';
import { requestLog } from './http/request-log.ts';
import { answerTerms } from './http/terms.ts';
import { answerThrown } from './http/thrown.ts';
import { parseUploadId } from './ledger/upload-id.ts';
import { liftBodies } from './lift/lift.ts';
import type { FeedOptions } from './notify/event-feed.ts';
import type { UploadEvent } from './notify/event-handler.ts';
import { pause } from './runtime/pause.ts';
import { mayHaveBody } from './tus/headers.ts';

export type { LandfallHooks } from './hooks.ts';

/** Shown to a developer whose application has read the body before Landfall. */
const MOUNT_FIRST =
  'Mount the upload handler before any middleware that reads bodies: for example, `app.use(path, landfall.handler)` above `app.use(express.json())`.';

/**
 * A server made by `createLandfall`. Call `start()` before its first request, and `close()` at the end.
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
  /** The resolved settings: frozen, sizes in bytes, times in milliseconds. */
  readonly config: Config;
  /**
   * Mount it under any path: `app.use('/uploads', landfall.handler)`. It takes Node's request from any framework and answers it
   * completely (docs/operations.md shows how for each framework).
   */
  readonly handler: Handler;
  /**
   * Prepares the HTTP server that the handler is mounted on. Call it before the first request. Uploads may then take as long as they
   * need, every other request keeps the server's `requestTimeout`, and idle connections stay open longer than load balancers keep them.
   */
  attach(server: Server): void;
  /**
   * Opens the ledger, recovers interrupted uploads, and accepts requests. When it throws, it has closed everything that it opened, and
   * it may be called again.
   * @throws StartError with a `code`: `PackageMissing`, `LedgerInUse`, `LedgerElsewhere`, `LedgerTooNew`, `DatabaseUnusable`,
   * `BucketUnusable`, `StagedElsewhere`, `KeyFileUnusable`, `InternalAddressUnusable`; the operating system's error when a directory
   * cannot be written
   */
  start(): Promise<void>;
  /**
   * Returns an address at which anyone who has it can download one accepted file, ranges included, until the address expires. It is
   * absolute when `publicUrl` is set. Give it only to people who may have the file.
   *
   * @param options.expires when the address expires: a date, milliseconds from now, or a time such as `1h`. @default `downloadLifetime`
   * @throws UploadError 404 when no accepted file has this id, 410 when the file was removed, 403 when `downloads` is `off`
   */
  downloadUrl(id: string, options?: { expires?: Date | number | string }): Promise<string>;
  /**
   * Yields every event after a position, in order, then each new event, until `signal` is aborted or the server closes. A reader that
   * stores the position of the last event it handled misses no event, even after a crash (docs/events.md).
   * @throws UploadError ERR_EVENTS_FORGOTTEN: events after the position were deleted; ERR_BAD_REQUEST: the position never existed;
   *   ERR_SHUTTING_DOWN: the server was not started
   */
  events(options?: FeedOptions): AsyncIterable<UploadEvent>;
  /**
   * Answers new requests with "try again" and stops running uploads, whose stored bytes are kept. Running downloads may go on for
   * `shutdownGrace`, and are cut off then. Resolves when all work has ended.
   */
  close(): Promise<void>;
}

/** Paths of uploads and forms, which skip Express. */
const UPLOADS_PATH = /^\/files(?:[/?]|$)/;
const FORMS_PATH = /^\/upload(\/multiple)?(?:\?|$)/;
type DirectAnswer = (ready: Parts, collection: string) => Promise<void>;
/** Paths of the API, which are never files of the page. */
const API_PATH = /^\/(?:files|upload|link\/upload|get-upload-url|config)(?:\/|$)/;

/**
 * Creates a server from settings. It opens nothing before `start()`.
 *
 * @param input the settings of docs/settings.md in camel case; numbers are bytes and milliseconds. @default {} (a directory `./data`)
 * @param hooks what the application adds: an access rule, checks, a listener for events. @default {}
 * @throws ConfigError naming the invalid setting
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
  const writes = new Set<Promise<void>>();
  const responses = new OpenResponses();
  /** Resolves at the end of the shutdown's grace time; undefined before the shutdown. */
  let graceEnd: Promise<unknown> | undefined;

  const origins = originsFor(config, hooks.isStandalone ?? false);
  const logRequest = requestLog(log);
  const allowPages = cors(origins, config.corsHeaders);
  const answerError = answerThrown(log);

  function begin(request: IncomingMessage, response: ServerResponse): void {
    claim(request);
    responses.add(response);
    cutAnsweredBody(request, response);
    logRequest(request, response);
    allowPages(request, response);
  }

  /** @throws UploadError 400 for an invalid target, 421 for an unknown host, 403 for a foreign page */
  function requireKnownSource(request: IncomingMessage): void {
    if (!isTarget(request.url)) throw new UploadError('ERR_BAD_REQUEST', { detail: 'The request target is not valid.' });
    origins.requireKnownHost(request);
    if (!isSafe(request.method ?? '')) origins.requireAllowedOrigin(request);
  }

  /** @throws UploadError while the server does not serve, or when something else has read the body */
  function requireReady(request: IncomingMessage, response: ServerResponse): Parts {
    if (drain.signal.aborted || parts === undefined) throw new UploadError('ERR_SHUTTING_DOWN', { retryAfterSeconds: 2 });
    if (request.readableDidRead && mayHaveBody(request)) throw new UploadError('ERR_BODY_ALREADY_READ', { detail: MOUNT_FIRST });
    response.setHeader('X-Content-Type-Options', 'nosniff');
    return parts;
  }

  /** Nearly all requests are for uploads. They skip Express, whose routing costs about as much CPU time as a ledger statement. */
  function answerDirectly(request: IncomingMessage, response: ServerResponse, work: DirectAnswer): void {
    const refuse = (thrown: unknown) => answerError(thrown, request, response);
    try {
      begin(request, response);
      requireKnownSource(request);
      track(request, work(requireReady(request, response), collectionUrl(config, request))).catch(refuse);
    } catch (thrown) {
      refuse(thrown);
    }
  }

  app.use((request, response, next) => {
    begin(request, response);
    next();
  });
  app.use('/health/live', (_request, response) => answerLive(response));
  app.use('/health/ready', async (_request, response) => {
    if (parts) await parts.readiness.answer(response);
    else response.status(503).json({ status: 'starting' });
  });
  app.use((request, _response, next) => {
    requireKnownSource(request);
    next();
  });
  app.use(redirectToPage());
  const servePage = page();
  // API paths skip the page's files: that lookup reads the disk, and the framework may change the request's address meanwhile.
  app.use((request, response, next) => (API_PATH.test(request.path) ? next() : servePage(request, response, next)));
  app.use((request, response, next) => {
    requireReady(request, response);
    next();
  });
  app.use('/config', async (request, response) => {
    if (parts) await answerTerms({ ...parts, maxUploadBytes: config.maxUploadBytes }, request, response);
  });
  app.use(['/upload/multiple', '/upload'], async (request, response) => {
    const isMultiple = request.baseUrl.endsWith('/multiple');
    if (parts) await track(request, parts.forms.answer(request, response, isMultiple, collectionUrl(config, request)));
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
  app.use((thrown: unknown, request: Request, response: ServerResponse, _next: NextFunction) => answerError(thrown, request, response));

  /** Before it closes anything, `close` waits for requests that may write. */
  function track(request: IncomingMessage, work: Promise<void>): Promise<void> {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      const end = () => writes.delete(work);
      writes.add(work);
      work.then(end, end);
    }
    return work;
  }

  const answer: RequestListener = (request, response) => {
    const { url = '' } = request;
    const form = FORMS_PATH.exec(url);
    const isUpload = UPLOADS_PATH.test(url);
    // Express parses targets that are no path, too, each in its own way.
    if (!isUpload && form === null && isTarget(url)) return app(request, response);
    if (isUpload) announceVersion(request, response);
    const work: DirectAnswer = (ready, collection) =>
      isUpload
        ? answerFiles(ready, request, response, url.slice('/files'.length), collection)
        : ready.forms.answer(request, response, form?.[1] !== undefined, collection);
    answerDirectly(request, response, work);
  };

  return {
    config,
    handler: mountAt(hooks.mountPath ?? '', answer),
    attach(server) {
      guardRequests(server);
      if (config.fastBodies) {
        liftBodies(server, {
          onMissing: () => log.warn('this version of Node lacks the internals that fast bodies need; its parser reads them'),
          onFault: (error) => log.error({ err: error }, 'fault while reading a body'),
        });
      }
    },
    async start() {
      const awaitResponses = async () => graceEnd && responses.end(graceEnd);
      starting ??= assemble({ config, hooks, log, draining: drain.signal, awaitResponses });
      parts = await starting.catch((error: unknown) => {
        starting = undefined;
        throw error;
      });
    },
    async downloadUrl(id, { expires = config.downloadLifetimeMs } = {}) {
      if (parts === undefined) throw new UploadError('ERR_SHUTTING_DOWN');
      const uploadId = parseUploadId(id);
      if (uploadId === undefined) throw new UploadError('ERR_UPLOAD_NOT_FOUND');
      return signedDownload(parts, uploadId, `${config.publicUrl || (hooks.mountPath ?? '')}/files`, expiryOf(expires));
    },
    events(options) {
      if (parts === undefined) throw new UploadError('ERR_SHUTTING_DOWN', { detail: 'The server was not started.' });
      return parts.eventDelivery.read(options);
    },
    close() {
      closing ??= (async () => {
        graceEnd = pause(config.shutdownGraceMs);
        drain.abort(new UploadError('ERR_SHUTTING_DOWN', { retryAfterSeconds: 2 }));
        const assembled = await starting?.catch(() => undefined);
        await Promise.allSettled(writes);
        await assembled?.close();
      })();
      return closing;
    },
  };
}

function originsFor(config: Config, isStandalone: boolean): Origins {
  const isLoopback = isStandalone && isLoopbackName(config.host);
  const { hosts, publicUrl, corsOrigins } = config;
  const publicName = URL.parse(publicUrl)?.hostname;
  const isNamed = isStandalone && (isLoopback || hosts.length > 0 || publicName !== undefined);
  const names = publicName === undefined ? hosts : [...hosts, publicName];
  return new Origins({ hosts: isNamed ? names : undefined, origins: corsOrigins, publicUrl, isLoopback });
}

/** Milliseconds since the epoch, by the wall clock. @throws TypeError, or the error of `parseDuration` */
function expiryOf(expires: Date | number | string): number {
  const endsAt =
    expires instanceof Date ? expires.getTime() : Date.now() + (typeof expires === 'string' ? parseDuration(expires) : expires);
  if (!Number.isFinite(endsAt)) throw new TypeError('`expires` is not a date, a number of milliseconds or a time such as 1h.');
  return endsAt;
}

/** The safe methods of RFC 9110, 9.2.1, that Landfall answers. */
function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
}

/** The collection's address, from `publicUrl` or the mount path; never from the client's Host header. */
function collectionUrl(config: Config, request: IncomingMessage): string {
  if (config.publicUrl !== '') return `${config.publicUrl}/files`;
  return `${mountOf(request)}/files`;
}
