// The composition root: the one place that knows all parts and puts them together.
import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import { policyText } from '../shared/policy.ts';
import { AccessUrl } from './access/access-url.ts';
import { ClientAddresses } from './access/anonymous.ts';
import { Downloads, downloadSecret } from './access/downloads.ts';
import { givenRights } from './access/finish-permission.ts';
import type { Access } from './access/identity.ts';
import { openAccess, requireWholeAccess } from './access/open-access.ts';
import type { Config } from './config/config.ts';
import type { Beginning } from './finish/beginnings.ts';
import { DirectCompletion } from './finish/direct-completion.ts';
import { Finisher } from './finish/finisher.ts';
import { applicationRecord, toRecord } from './finish/record.ts';
import { Removal } from './finish/removal.ts';
import { serve } from './finish/serving.ts';
import { Sweeper } from './finish/sweeper.ts';
import { Forms } from './forms/forms.ts';
import type { LandfallHooks } from './hooks.ts';
import { Direct } from './http/direct.ts';
import { Readiness } from './http/health.ts';
import { createDefaultChecks } from './inspection/checks/default-checks.ts';
import { checkHead } from './inspection/checks/early.ts';
import { startMalwareCheck } from './inspection/checks/start-malware-check.ts';
import { Detector } from './inspection/detector.ts';
import { Sha256 } from './inspection/sha256.ts';
import { AdoptedIds } from './ledger/adopted-ids.ts';
import { Credentials } from './ledger/credentials.ts';
import { DirectUploads } from './ledger/direct-uploads.ts';
import type { Engine } from './ledger/engine.ts';
import { Facts } from './ledger/facts.ts';
import { Ledger } from './ledger/ledger.ts';
import { limitsOf, Policies } from './ledger/limits.ts';
import { openEngine } from './ledger/open.ts';
import type { PostgresNotices } from './ledger/postgres-notices.ts';
import { Quotas } from './ledger/quotas.ts';
import type { Upload } from './ledger/upload.ts';
import { startHttpCheck } from './notify/start-http-check.ts';
import { Telling } from './notify/telling.ts';
import { CreationRates } from './staging/creation-rates.ts';
import { Receiver } from './staging/receiver.ts';
import { Reservations, reservationLimits } from './staging/reservations.ts';
import { requireSamePlace } from './staging/staged-elsewhere.ts';
import type { Staging } from './staging/staging.ts';
import { Unproved } from './staging/unproved.ts';
import { openBackend } from './storage/backend.ts';
import type { Storage } from './storage/storage.ts';
import { Uploads } from './tus/uploads.ts';

export interface AssemblyOptions {
  config: Config;
  hooks: LandfallHooks;
  log: Logger;
  /** Aborted with the reason when the server shuts down. */
  draining: AbortSignal;
}

/** What requests are answered with. */
export interface Parts {
  access: Access;
  downloads: Downloads;
  policies: Policies;
  quotas: Quotas;
  ledger: Ledger;
  adopted: AdoptedIds;
  staging: Staging;
  receiver: Receiver;
  storage: Storage;
  removal: Removal;
  uploads: Uploads;
  forms: Forms;
  direct: Direct;
  readiness: Readiness;
  telling: Telling;
  draining: AbortSignal;
  /** Lets the work at hand end, then closes everything, the last that was opened first. */
  close(): Promise<void>;
}

/** Puts the parts together, and to work. @throws what one of them can't be opened by; then all that were opened are closed */
export async function assemble(options: AssemblyOptions): Promise<Parts> {
  const opened = new AsyncDisposableStack();
  try {
    return await assembleOn(opened, options);
  } catch (error) {
    // The caller is told why the start failed, whatever else fails after that.
    await opened.disposeAsync().catch((fault: unknown) => options.log.error({ err: fault }, 'fault while a failed start was undone'));
    throw error;
  }
}

async function assembleOn(opened: AsyncDisposableStack, { config, hooks, log, draining }: AssemblyOptions): Promise<Parts> {
  const { policy, maxUploadBytes, databaseUrl, keepRecordsForMs } = config;
  const policies = new Policies(policy);
  const policyHash = createHash('sha256')
    .update(`${policyText(policy)}\n${maxUploadBytes}`)
    .digest('hex')
    .slice(0, 16);

  requireWholeAccess(config);
  // First what may not be installed: a start that fails for it leaves no ledger behind.
  const backend = await openBackend(config, {
    onFault: (error) => log.error({ err: error }, 'staged bytes can not be taken away yet'),
    dataStore: hooks.dataStore,
    engine: () => engine,
  });
  opened.defer(() => backend.close());
  const engine = await openEngine(config, true);
  const notices = databaseUrl === '' ? undefined : await openNotices(databaseUrl, engine, log);
  const ledger = new Ledger(engine, notices);
  opened.defer(() => ledger.close());
  await ledger.migrate();

  await backend.prepare();
  await requireSamePlace(engine, ledger, backend.staging, backend.place);
  const { staging, storage } = backend;

  const unproved = new Unproved(ledger);
  const aboutToBegin = new Map<string, Beginning>();
  const { leaseMs, lockTimeoutMs, durability } = config;
  const serving = await serve(opened, {
    engine,
    ledger,
    notices,
    staging,
    durability,
    unproved,
    leaseMs,
    lockTimeoutMs,
    aboutToBegin,
    log,
  });
  const { locker, holder } = serving;

  const detector = new Detector({ timeLimitMs: config.signatureTimeoutMs });
  opened.defer(() => detector.close());
  const sha256 = config.sha256 ? new Sha256() : undefined;
  opened.defer(() => sha256?.close());

  const addresses = new ClientAddresses(config.trustedProxies);
  const credentials = new Credentials(engine);
  const { accessUrl: url, accessOwnerHeader: ownerHeader } = config;
  const accessUrl = config.access.includes('url') ? new AccessUrl({ url, ownerHeader, ledger, addresses }) : undefined;

  const malware = config.clamd === '' ? [] : [startMalwareCheck(opened, config, log)];
  const application = config.checkUrl === '' ? [] : [await startHttpCheck(opened, config)];

  const describe = (upload: Upload) =>
    applicationRecord(upload, toRecord(ledger, upload, 0, `${config.publicUrl}/files/${upload.id}`), backend.placeOf);
  const finisher = new Finisher({
    aboutToBegin,
    ledger,
    holder,
    staging,
    storage,
    unproved,
    checks: [...createDefaultChecks(detector), ...malware, ...(hooks.checks ?? []), ...application],
    policies,
    policyHash,
    checkTimeoutMs: config.checkTimeoutMs,
    keepRecordsForMs,
    keepFilesForMs: (upload) => limitsOf(upload).keepFilesForMs ?? config.keepFilesForMs,
    lock: locker,
    log,
    permission: config.accessRecheck ? givenRights({ credentials, accessUrl }) : undefined,
    describe,
    ...(sha256 && { digest: (content: AsyncIterable<Uint8Array>) => sha256.digest(content) }),
  });
  opened.defer(() => finisher.close());
  const { beginnings, verdicts } = finisher;

  const quotas = new Quotas(engine);
  const reservations = new Reservations({
    ledger,
    quotas,
    staging,
    storageFreeBytes: backend.storageFreeBytes,
    ...reservationLimits(config),
  });
  const receiver = new Receiver({
    ledger,
    staging,
    policies,
    reservations,
    rates: new CreationRates({ ownerMax: config.ownerMaxRate, addressMax: config.anonymousMaxRate }),
    policyHash,
    maxUploadBytes,
    expireAfterMs: config.expireAfterMs,
    keepRecordsForMs,
    bodyTimeoutMs: config.bodyTimeoutMs,
    durability,
    unproved,
    announce: (upload) => verdicts.announce(upload),
    isWrittenElsewhere: (id) => locker.isWrittenElsewhere(id),
    checkHead: (head, upload) =>
      checkHead(detector, {
        head,
        safeName: upload.name,
        claimedType: upload.claimedType,
        length: upload.length,
        policy: policies.of(upload),
      }),
  });
  const access = await openAccess({
    config,
    authenticate: hooks.authenticate,
    addresses,
    credentials,
    accessUrl,
    isStandalone: hooks.isStandalone ?? false,
  });
  const downloads = new Downloads({
    rule: config.downloads,
    secret: await downloadSecret(new Facts(engine)),
    lifetimeMs: config.downloadLifetimeMs,
  });
  const shared = {
    ledger,
    staging,
    storage,
    receiver,
    beginnings,
    maxUploadBytes,
    patienceMs: config.patienceMs,
    keepRecordsForMs,
    draining,
  };
  const uploads = new Uploads({ ...shared, locker, policyHash });
  const forms = new Forms({ ...shared, locker, access, downloads, bodyTimeoutMs: config.bodyTimeoutMs });
  const door = backend.direct && {
    staging: backend.direct,
    completion: new DirectCompletion({
      ledger,
      uploads: new DirectUploads(engine),
      staging: backend.direct,
      beginnings,
      lock: locker,
      expireAfterMs: config.expireAfterMs,
      log,
    }),
  };
  const direct = new Direct({
    ...shared,
    door,
    access,
    downloads,
    locker,
    expireAfterMs: config.expireAfterMs,
    bodyTimeoutMs: config.bodyTimeoutMs,
    log,
  });
  const { webhookUrl, webhookSecret, keepEventsForMs } = config;
  const telling = new Telling({
    engine,
    ledger,
    holder,
    describe,
    keepEventsForMs,
    ...(webhookUrl !== '' && { webhook: { url: webhookUrl, secrets: webhookSecret } }),
    ...(hooks.onEvent && { onEvent: hooks.onEvent }),
    log,
  });
  const readiness = new Readiness({
    ledger,
    checkStaging: backend.check,
    isWebhookStopped: () => telling.isWebhookStopped,
    draining,
    log,
  });

  const removal = new Removal({ ledger, storage, keepRecordsForMs, lingerMs: backend.lingerMs });
  const sweeper = new Sweeper({
    ledger,
    staging,
    storage,
    ...(door && { direct: door.completion }),
    lock: locker,
    isBeginning: (id) => beginnings.has(id),
    intervalMs: config.sweepIntervalMs,
    keepRecordsForMs,
    lapse: async () => {
      await reservations.lapse();
      await quotas.prune();
    },
    removal,
    log,
  });
  opened.defer(() => sweeper.close());
  opened.defer(() => telling.close());
  await telling.start();
  await serving.takeUp(finisher);
  sweeper.start();

  return {
    access,
    downloads,
    policies,
    quotas,
    ledger,
    adopted: new AdoptedIds(engine),
    staging,
    receiver,
    storage,
    removal,
    uploads,
    forms,
    direct,
    readiness,
    telling,
    draining,
    close: () => opened.disposeAsync(),
  };
}

/** Loaded where it is asked for, as its package is; the engine that is open by now saw to it that it is installed. */
async function openNotices(databaseUrl: string, engine: Engine, log: Logger): Promise<PostgresNotices> {
  const { PostgresNotices } = await import('./ledger/postgres-notices.ts');
  return new PostgresNotices(databaseUrl, engine, log);
}
