// The finish and the sweeper on a real ledger and a real disk, without HTTP.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { pino } from 'pino';
import { onTestFinished, vi } from 'vitest';
import { Finisher, type FinisherOptions } from '../../server/finish/finisher.ts';
import { applicationRecord, toRecord } from '../../server/finish/record.ts';
import { Removal } from '../../server/finish/removal.ts';
import { Sweeper } from '../../server/finish/sweeper.ts';
import type { Check } from '../../server/inspection/check.ts';
import type { Engine } from '../../server/ledger/engine.ts';
import { Ledger } from '../../server/ledger/ledger.ts';
import { Policies } from '../../server/ledger/limits.ts';
import { openSqlite } from '../../server/ledger/sqlite.ts';
import type { Upload, UploadRow } from '../../server/ledger/upload.ts';
import type { UploadId } from '../../server/ledger/upload-id.ts';
import { QueueingLocker } from '../../server/locking/queueing-locker.ts';
import { DiskStaging } from '../../server/staging/disk/disk-staging.ts';
import { SyncFailures } from '../../server/staging/sync-failures.ts';
import { DiskStorage } from '../../server/storage/disk-storage.ts';
import { parsePolicy } from '../../shared/policy.ts';
import { newUpload } from '../contract/new-upload.ts';
import { filesBelow } from '../support/content.ts';
import { ledgerEvents } from '../support/sqlite-ledger.ts';
import { testDirectory } from '../support/temp-dir.ts';

export const DAY = '2020/01/02';

export interface FinishBed {
  dataDir: string;
  ledger: Ledger;
  staging: DiskStaging;
  storage: DiskStorage;
  locker: QueueingLocker;
  syncFailures: SyncFailures;
  finisher: Finisher;
  sweeper: Sweeper;
  removal: Removal;
  /** Ids of the uploads with a verdict event, in order. */
  verdictEvents(): string[];
  /** Adds a row and its staged bytes, as a crash may have left them. */
  put(content: Uint8Array | undefined, values?: Partial<UploadRow>): Promise<UploadId>;
  /** Paths of final files, relative to their directory. */
  published(): Promise<string[]>;
  staged(): Promise<string[]>;
  /** The row once its inspection has ended. */
  verdict(id: UploadId): Promise<Upload>;
}

export interface FinishBedOptions {
  dataDir?: string;
  /** SQLite in the data directory by default; `verdictEvents` needs it. */
  engine?: Engine;
  storageDir?: string;
  checks?: readonly Check[];
  checkTimeoutMs?: number;
  digest?: FinisherOptions['digest'];
  permission?: FinisherOptions['permission'];
  /** Aborts when the process loses its lease. */
  lost?: AbortSignal;
  keepRecordsForMs?: number;
  keepFilesForMs?: number;
  lingerMs?: number;
}

export async function openFinishBed(options: FinishBedOptions = {}): Promise<FinishBed> {
  const dataDir = options.dataDir ?? testDirectory();
  const storageDir = options.storageDir ?? join(dataDir, 'files');
  const ledger = new Ledger(options.engine ?? (await openSqlite(dataDir, { exclusive: false })));
  await ledger.migrate();
  const staging = new DiskStaging(join(dataDir, 'staging'));
  const storage = new DiskStorage(storageDir, staging);
  await staging.prepare();
  await storage.prepare();
  const locker = new QueueingLocker(5000);
  const syncFailures = new SyncFailures(ledger);
  const log = pino({ level: 'silent' });
  const keepRecordsForMs = options.keepRecordsForMs ?? 3_600_000;
  const finisher = new Finisher({
    startingInspections: new Map(),
    ledger,
    staging,
    storage,
    syncFailures,
    permission: options.permission,
    holder: { isAlone: true, name: 'this process', lost: options.lost ?? new AbortController().signal },
    lock: locker,
    checks: options.checks ?? [],
    policies: new Policies(parsePolicy('text')),
    policyHash: 'a policy',
    checkTimeoutMs: options.checkTimeoutMs ?? 60_000,
    digest: options.digest,
    describe: (upload) =>
      applicationRecord(upload, toRecord(ledger, upload, 0, `/files/${upload.id}`), (directory, name) => ({
        path: `${directory}/${name}`,
      })),
    keepRecordsForMs,
    keepFilesForMs: () => options.keepFilesForMs ?? null,
    log,
  });
  const removal = new Removal({ ledger, storage, keepRecordsForMs, lingerMs: options.lingerMs ?? 0 });
  const sweeper = new Sweeper({
    ledger,
    staging,
    storage,
    lock: locker,
    isStarting: (id) => finisher.inspectionStarts.has(id),
    intervalMs: 1_000_000,
    keepRecordsForMs,
    releaseReservations: async () => {},
    removal,
    log,
  });
  onTestFinished(async () => {
    await sweeper.close();
    await finisher.close();
    await staging.close();
    await ledger.close();
  });
  return {
    dataDir,
    ledger,
    staging,
    storage,
    locker,
    syncFailures,
    finisher,
    sweeper,
    removal,
    verdictEvents: () => [...ledgerEvents(dataDir)].flatMap(([id, states]) => states.map(() => id)),
    async put(content, values = {}) {
      const length = content?.byteLength ?? 100;
      const checksum = content === undefined ? {} : { checksum: crc32(content), checksumOffset: length };
      const upload = newUpload({ length, name: 'name.txt', ...checksum, ...values });
      if (content !== undefined) await writeFile(staging.path(upload.id), content, { mode: 0o640 });
      await ledger.create(upload, true);
      return upload.id;
    },
    published: () => filesBelow(storageDir),
    staged: () => filesBelow(join(dataDir, 'staging')),
    verdict: (id) =>
      vi.waitFor(
        async () => {
          const upload = await ledger.get(id);
          if (upload === undefined || upload.state === 'receiving' || upload.state === 'inspecting') throw new Error('no verdict yet');
          return upload;
        },
        { timeout: 60_000, interval: 20 },
      ),
  };
}

/** An upload that a crash left during its first inspection. */
export function interrupted(id: UploadId, values: Partial<UploadRow> = {}): Partial<UploadRow> {
  const lease = { leaseOwner: 'a process that is no more' };
  return { id, state: 'inspecting', attempt: 1, strikes: 1, target: `${DAY}/${id}`, expiresAt: null, ...lease, ...values };
}
