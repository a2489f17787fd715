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
import { answerFiles } from './http/files.ts';
import { answerLive } from './http/health.ts';
import { below, type Handler, mountOf, redirectToPage } from './http/mount.ts';
import { page } from './http/page.ts';
import { claim, cutAnsweredBody, guardRequests } from './http/request-guard.ts';
import { requestLog } from './http/request-log.ts';
import { answerTerms } from './http/terms.ts';
import { answerThrown } from './http/thrown.ts';
import { parseUploadId } from './ledger/upload-id.ts';
import type { FeedOptions } from './notify/event-feed.ts';
import type { UploadEvent } from './notify/event-handler.ts';
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

/** The resource of uploads, and each of them. */
const UPLOADS = /^\/files(?:[/?]|$)/;
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

  const origins = originsFor(config, hooks.isStandalone ?? false);
  const logRequest = requestLog(log);
  const allowPages = cors(origins, config.corsHeaders);
  const answerError = answerThrown(log);

  function begin(request: IncomingMessage, response: ServerResponse): void {
    claim(request);
    cutAnsweredBody(request, response);
    logRequest(request, response);
    allowPages(request, response);
  }

  /** @throws UploadError for a name that is not the server's, and a foreign page */
  function requireOurs(request: IncomingMessage): void {
    origins.requireKnownHost(request);
    if (!isSafe(request.method ?? '')) origins.requireAllowedOrigin(request);
  }

  /** @throws UploadError where uploads can't be taken, now or at all */
  function requireReady(request: IncomingMessage, response: ServerResponse): Parts {
    if (drain.signal.aborted || parts === undefined) throw new UploadError('ERR_SHUTTING_DOWN', { retryAfterSeconds: 2 });
    if (request.readableDidRead && mayHaveBody(request)) throw new UploadError('ERR_BODY_ALREADY_READ', { detail: MOUNT_FIRST });
    response.setHeader('X-Content-Type-Options', 'nosniff');
    return parts;
  }

  /** The address that nearly all requests have: what Express does for the others would cost as much as a statement of the ledger. */
  async function answerUploads(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    try {
      begin(request, response);
      requireOurs(request);
      const ready = requireReady(request, response);
      await track(request, answerFiles(ready, request, response, path, collectionUrl(config, request)));
    } catch (thrown) {
      answerError(thrown, request, response);
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
    requireOurs(request);
    next();
  });
  app.use(redirectToPage());
  const servePage = page();
  // Not asked for what is none of its files: it looks on the disk, and what handed the request on may have changed its address by then.
  app.use((request, response, next) => (OWN_ADDRESS.test(request.path) ? next() : servePage(request, response, next)));
  app.use((request, response, next) => {
    requireReady(request, response);
    next();
  });
  app.use('/config', async (request, response) => {
    if (parts) await answerTerms({ ...parts, maxUploadBytes: config.maxUploadBytes }, request, response);
  });
  // As an absolute address, say.
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
  app.use((thrown: unknown, request: Request, response: ServerResponse, _next: NextFunction) => answerError(thrown, request, response));

  /** What may still write is waited for at the end; a download is not. */
  function track(request: IncomingMessage, work: Promise<void>): Promise<void> {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      const done = work.finally(() => changing.delete(done));
      changing.add(done);
      return done;
    }
    return work;
  }

  const answer: RequestListener = (request, response) => {
    const { url = '' } = request;
    if (UPLOADS.test(url)) answerUploads(request, response, url.slice('/files'.length)).catch(() => response.destroy());
    else app(request, response);
  };

  return {
    config,
    handler: below(hooks.mountPath ?? '', answer),
    attach: guardRequests,
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
function collectionUrl(config: Config, request: IncomingMessage): string {
  if (config.publicUrl !== '') return `${config.publicUrl}/files`;
  return `${mountOf(request)}/files`;
}
