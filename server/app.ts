// The composition root: the one place that knows all parts and puts them together.
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { type ErrorRequestHandler, type Express, type Request } from 'express';
import { type Logger, pino } from 'pino';
import { UploadError } from '../shared/errors.ts';
import { policyText } from '../shared/policy.ts';
import { TUS_VERSION } from '../shared/protocol.ts';
import type { UploadRecord } from '../shared/upload.ts';
import { type Access, type Authenticate, accessBy, anonymous } from './access/access.ts';
import { openBackend } from './backend.ts';
import { type Config, type ConfigInput, isResolved, resolveConfig } from './config.ts';
import type { Check } from './finish/check.ts';
import { createDefaultChecks } from './finish/checks/default-checks.ts';
import { checkHead } from './finish/checks/early.ts';
import { Detector } from './finish/detector.ts';
import { DirectCompletion } from './finish/direct-completion.ts';
import { Finisher } from './finish/finisher.ts';
import { Sha256 } from './finish/sha256.ts';
import { Sweeper } from './finish/sweeper.ts';
import { cors } from './http/cors.ts';
import { Direct } from './http/direct.ts';
import { answerFiles, methodOf } from './http/files.ts';
import { Forms } from './http/forms.ts';
import { answerLive, Readiness } from './http/health.ts';
import { page } from './http/page.ts';
import { sendProblem } from './http/problem.ts';
import { toRecord } from './http/record.ts';
import { requestLog } from './http/request-log.ts';
import { DirectUploads } from './ledger/direct-uploads.ts';
import type { Ledger } from './ledger/ledger.ts';
import { openEngine } from './ledger/open.ts';
import { serve } from './processes/serving.ts';
import { S3Fault } from './s3/fault.ts';
import { faultOf } from './staging/faults.ts';
import { Receiver } from './staging/receiver.ts';
import type { Staging } from './staging/staging.ts';
import type { Storage } from './storage/storage.ts';
import { mayHaveBody } from './tus/headers.ts';
import { Uploads } from './tus/uploads.ts';

/** What an embedding application adds. */
export interface LandfallHooks {
  /** Who asks: an owner, or null for nobody (401). Without it everyone is one and the same. */
  authenticate?: Authenticate;
  /** Run after Landfall's own, in order. */
  checks?: readonly Check[];
  /**
   * Called with the record after every verdict (`accepted` or `rejected`), when it is durable. A crash in between loses the
   * call, never the verdict: ask the record where it matters. Without `publicUrl` its `url` is that of an unmounted server.
   */
  onVerdict?: (record: UploadRecord) => Promise<void> | void;
  /** Where log lines go; pino's options decide otherwise. */
  logger?: Logger;
}

export interface Landfall {
  readonly config: Config;
  /** Mount it under any path: `app.use('/uploads', landfall.handler)`. */
  readonly handler: Express;
  /** Opens the ledger, takes up what was interrupted, and lets requests in. @throws LedgerInUse, LedgerElsewhere, LedgerTooNew, BucketUnusable, or what the system says */
  start(): Promise<void>;
  /** Requests are answered "try again" from now on; running ones keep what they have. Resolves when the work at hand has ended. */
  close(): Promise<void>;
}

/** @throws ConfigError */
export function createLandfall(input: ConfigInput | Config = {}, hooks: LandfallHooks = {}): Landfall {
  const config = isResolved(input) ? input : resolveConfig(input);
  const log = hooks.logger ?? pino({ level: config.logLevel });
  const access: Access = hooks.authenticate ? accessBy(hooks.authenticate) : anonymous;
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
      starting ??= assemble(config, hooks, access, log, drain.signal);
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

interface Parts {
  access: Access;
  ledger: Ledger;
  staging: Staging;
  receiver: Receiver;
  storage: Storage;
  uploads: Uploads;
  forms: Forms;
  direct: Direct;
  readiness: Readiness;
  draining: AbortSignal;
  close(): Promise<void>;
}

async function assemble(config: Config, hooks: LandfallHooks, access: Access, log: Logger, draining: AbortSignal): Promise<Parts> {
  const { policy, maxUploadSize, keepRecordsFor: keepRecordsForMs } = config;
  const policyHash = createHash('sha256')
    .update(`${policyText(policy)}\n${maxUploadSize}`)
    .digest('hex')
    .slice(0, 16);
  const engine = await openEngine(config, true);
  const backend = openBackend(config);
  const { staging, storage } = backend;
  const { databaseUrl, lease: leaseMs, lockTimeout: lockTimeoutMs } = config;
  const serving = await serve({ engine, databaseUrl, leaseMs, staging, lockTimeoutMs, log, finisher: () => finisher });
  const { ledger, locker, holder, unproved } = serving;
  try {
    await ledger.migrate();
    await backend.prepare();
  } catch (error) {
    // Another start in this process must not find the directory taken.
    await backend.close();
    await ledger.close();
    throw error;
  }
  const detector = new Detector({ timeLimitMs: config.signatureTimeout });
  const sha256 = config.sha256 ? new Sha256() : undefined;
  const { onVerdict } = hooks;
  const finisher: Finisher = new Finisher({
    ledger,
    holder,
    staging,
    storage,
    unproved,
    checks: [...createDefaultChecks(detector), ...(hooks.checks ?? [])],
    policy,
    policyHash,
    checkTimeoutMs: config.checkTimeout,
    keepRecordsForMs,
    lock: locker,
    log,
    ...(sha256 && { digest: (content: AsyncIterable<Uint8Array>) => sha256.digest(content) }),
    ...(onVerdict && { onVerdict: (upload) => onVerdict(toRecord(upload, 0, `${config.publicUrl}/files/${upload.id}`)) }),
  });
  const receiver = new Receiver({
    ledger,
    staging,
    policy,
    policyHash,
    maxUploadSize,
    expireAfterMs: config.expireAfter,
    keepRecordsForMs,
    bodyTimeoutMs: config.bodyTimeout,
    durability: config.durability,
    unproved,
    announce: (upload) => finisher.announce(upload),
    isWrittenElsewhere: (id) => locker.isWrittenElsewhere(id),
    checkHead: (head, upload) =>
      checkHead(detector, { head, safeName: upload.name, claimedType: upload.claimedType, length: upload.length, policy }),
  });
  const shared = { ledger, staging, storage, receiver, finisher, maxUploadSize, patienceMs: config.patience, keepRecordsForMs, draining };
  const uploads = new Uploads({ ...shared, locker, policyHash });
  const forms = new Forms({ ...shared, access, bodyTimeoutMs: config.bodyTimeout });
  const door = backend.direct && {
    staging: backend.direct,
    completion: new DirectCompletion({
      ledger,
      uploads: new DirectUploads(engine),
      staging: backend.direct,
      finisher,
      lock: locker,
      log,
    }),
  };
  const direct = new Direct({ ...shared, door, access, locker, expireAfterMs: config.expireAfter, bodyTimeoutMs: config.bodyTimeout, log });
  const sweeper = new Sweeper({
    ledger,
    staging,
    storage,
    ...(door && { direct: door.completion }),
    lock: locker,
    isBeginning: (id) => finisher.isBeginning(id),
    intervalMs: config.sweepInterval,
    keepRecordsForMs,
    log,
  });
  await sweeper.clearLeftovers();
  await serving.start();
  sweeper.start();
  return {
    access,
    ledger,
    staging,
    receiver,
    storage,
    uploads,
    forms,
    direct,
    readiness: new Readiness({ ledger, checkStaging: backend.check, draining, log }),
    draining,
    async close() {
      await sweeper.close();
      await finisher.close();
      await serving.close();
      await Promise.all([detector.close(), sha256?.close()]);
      await backend.close();
      await ledger.close();
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
