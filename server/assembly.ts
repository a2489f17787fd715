// The composition root: the only file that knows all parts, and connects them.
import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import { policyText } from '../shared/policy.ts';
import { AccessUrl } from './access/access-url.ts';
import { ClientAddresses } from './access/anonymous.ts';
import { Downloads, downloadSecret } from './access/downloads.ts';
import { createFinishPermission } from './access/finish-permission.ts';
import type { Access } from './access/identity.ts';
import { openAccess, requireAccessSettings } from './access/open-access.ts';
import type { Config } from './config/config.ts';
import { DirectCompletion } from './finish/direct-completion.ts';
import { Finisher } from './finish/finisher.ts';
import type { StartingInspection } from './finish/inspection-starts.ts';
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
import { EventDelivery } from './notify/event-delivery.ts';
import { startHttpCheck } from './notify/start-http-check.ts';
import { CreationRates } from './staging/creation-rates.ts';
import { Receiver } from './staging/receiver.ts';
import { Reservations, reservationLimits } from './staging/reservations.ts';
import { requireSameLocation } from './staging/staged-elsewhere.ts';
import type { Staging } from './staging/staging.ts';
import { SyncFailures } from './staging/sync-failures.ts';
import { openBackend } from './storage/backend.ts';
import type { Storage } from './storage/storage.ts';
import { Uploads } from './tus/uploads.ts';

export interface AssemblyOptions {
  config: Config;
  hooks: LandfallHooks;
  log: Logger;
  /** Aborted, with the reason, when the server shuts down. */
  draining: AbortSignal;
  /** Waits for responses that still read from the ledger or the storage. */
  awaitResponses(): Promise<void>;
}

/** The parts that answer requests. */
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
  eventDelivery: EventDelivery;
  draining: AbortSignal;
  /** Waits for running work, then closes everything in reverse order of opening. */
  close(): Promise<void>;
}

/** Opens and starts all parts. @throws the error of the part that failed, after closing all parts that were opened */
export async function assemble(options: AssemblyOptions): Promise<Parts> {
  const opened = new AsyncDisposableStack();
  try {
    return await assembleOn(opened, options);
  } catch (error) {
    // The caller learns why the start failed, even when closing fails, too.
    await opened.disposeAsync().catch((fault: unknown) => options.log.error({ err: fault }, 'closing the parts of a failed start failed'));
    throw error;
  }
}

async function assembleOn(opened: AsyncDisposableStack, { config, hooks, log, draining, awaitResponses }: AssemblyOptions): Promise<Parts> {
  const { policy, maxUploadBytes, databaseUrl, keepRecordsForMs } = config;
  const policies = new Policies(policy);
  const policyHash = createHash('sha256')
    .update(`${policyText(policy)}\n${maxUploadBytes}`)
    .digest('hex')
    .slice(0, 16);

  requireAccessSettings(config);
  // Optional packages come first: a start that fails for a missing package leaves no ledger behind.
  const backend = await openBackend(config, {
    onFault: (error) => log.error({ err: error }, 'removing staged bytes failed; it is tried again'),
    dataStore: hooks.dataStore,
    engine: () => engine,
  });
  opened.defer(() => backend.close());
  const engine = await openEngine(config, true);
  const notices = databaseUrl === '' ? undefined : await openNotices(databaseUrl, engine, log);
  const ledger = new Ledger(engine, notices);
  opened.defer(() => ledger.close());
  // Only these two wait for downloads: other processes take over the locks and inspections meanwhile.
  opened.defer(awaitResponses);
  await ledger.migrate();

  await backend.prepare();
  await requireSameLocation(engine, ledger, backend.staging, backend.stagingLocation);
  const { staging, storage } = backend;

  const syncFailures = new SyncFailures(ledger);
  const startingInspections = new Map<string, StartingInspection>();
  const { leaseMs, lockTimeoutMs, durability } = config;
  const serving = await serve(opened, {
    engine,
    ledger,
    notices,
    staging,
    durability,
    syncFailures,
    leaseMs,
    lockTimeoutMs,
    startingInspections,
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
    startingInspections,
    ledger,
    holder,
    staging,
    storage,
    syncFailures,
    checks: [...createDefaultChecks(detector), ...malware, ...(hooks.checks ?? []), ...application],
    policies,
    policyHash,
    checkTimeoutMs: config.checkTimeoutMs,
    keepRecordsForMs,
    keepFilesForMs: (upload) => limitsOf(upload).keepFilesForMs ?? config.keepFilesForMs,
    lock: locker,
    log,
    permission: config.accessRecheck ? createFinishPermission({ credentials, accessUrl }) : undefined,
    describe,
    ...(sha256 && { digest: (content: AsyncIterable<Uint8Array>) => sha256.digest(content) }),
  });
  opened.defer(() => finisher.close());
  const { inspectionStarts, verdicts } = finisher;

  const quotas = new Quotas(engine, () => ledger.now());
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
    syncFailures,
    logVerdict: (upload) => verdicts.logVerdict(upload),
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
    inspectionStarts,
    maxUploadBytes,
    patienceMs: config.patienceMs,
    keepRecordsForMs,
    draining,
  };
  const uploads = new Uploads({ ...shared, locker, policyHash });
  const forms = new Forms({ ...shared, locker, access, downloads, bodyTimeoutMs: config.bodyTimeoutMs });
  const directBackend = backend.direct && {
    staging: backend.direct,
    completion: new DirectCompletion({
      ledger,
      uploads: new DirectUploads(engine),
      staging: backend.direct,
      inspectionStarts,
      lock: locker,
      expireAfterMs: config.expireAfterMs,
      log,
    }),
  };
  const direct = new Direct({
    ...shared,
    backend: directBackend,
    access,
    downloads,
    locker,
    expireAfterMs: config.expireAfterMs,
    bodyTimeoutMs: config.bodyTimeoutMs,
    log,
  });
  const { webhookUrl, webhookSecret, keepEventsForMs } = config;
  const eventDelivery = new EventDelivery({
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
    isWebhookStopped: () => eventDelivery.isWebhookStopped,
    draining,
    log,
  });

  const removal = new Removal({ ledger, storage, keepRecordsForMs, lingerMs: backend.lingerMs });
  const sweeper = new Sweeper({
    ledger,
    staging,
    storage,
    ...(directBackend && { direct: directBackend.completion }),
    lock: locker,
    isStarting: (id) => inspectionStarts.has(id),
    intervalMs: config.sweepIntervalMs,
    keepRecordsForMs,
    releaseReservations: async () => {
      await reservations.releaseExpired();
      await quotas.prune();
    },
    removal,
    log,
  });
  opened.defer(() => sweeper.close());
  opened.defer(() => eventDelivery.close());
  await eventDelivery.start();
  await serving.recover(finisher);
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
    eventDelivery,
    draining,
    close: () => opened.disposeAsync(),
  };
}

/** Imported on demand, because its package is optional. The package is installed, since the engine is open. */
async function openNotices(databaseUrl: string, engine: Engine, log: Logger): Promise<PostgresNotices> {
  const { PostgresNotices } = await import('./ledger/postgres-notices.ts');
  return new PostgresNotices(databaseUrl, engine, log);
}
