// Where bytes are kept, by configuration: on the disk of this machine, or in a bucket.
import { join } from 'node:path';
import type { FilePlace } from '../../shared/upload.ts';
import type { Config } from '../config/config.ts';
import type { Engine } from '../ledger/engine.ts';
import { StagedNames } from '../ledger/staged-names.ts';
import { loadWith } from '../runtime/optional-packages.ts';
import type { BucketOptions } from '../s3/bucket.ts';
import type { ClientOptions } from '../s3/client.ts';
import { DiskStaging } from '../staging/disk/disk-staging.ts';
import type { S3Direct } from '../staging/s3/s3-direct.ts';
import type { StagingLocation } from '../staging/staged-elsewhere.ts';
import type { Staging } from '../staging/staging.ts';
import { type OpenedStore, openFileStore, openS3Store } from '../staging/store/known-stores.ts';
import type { DataStore } from '../staging/store/store-access.ts';
import { StoreStaging } from '../staging/store/store-staging.ts';
import { DiskStorage } from './disk-storage.ts';
import type { Storage } from './storage.ts';

export interface Backend {
  staging: Staging;
  storage: Storage;
  /** The location of bytes in progress. */
  stagingLocation: StagingLocation;
  /** For senders that upload directly to S3. */
  direct?: S3Direct;
  /** Free bytes for final files; Infinity when they share a file system with staged bytes. */
  storageFreeBytes?: () => Promise<number>;
  /** Call before the first upload. @throws the system's error when the backend is not usable, or BucketUnusable */
  prepare(): Promise<void>;
  /** Checks whether bytes can be stored now, until the signal is aborted. Called every few seconds. @throws when they cannot */
  check(signal: AbortSignal): Promise<void>;
  /**
   * How long the bytes of a removed file stay for running downloads. 0: an open file outlives its name. In a bucket, a download that
   * broke or paused continues with a new request; and in a directory that machines share, another machine may remove the file.
   */
  lingerMs: number;
  /** The location of a final file for the application. */
  placeOf(directory: string, name: string): FilePlace;
  /** The location of a final file for an operator. */
  describe(directory: string, name: string): string;
  close(): Promise<void>;
}

/** Running downloads mark their file several times in this time. */
const LINGER_MS = 60_000;

export interface BackendOptions {
  /** Called with the error of a removal that will be retried. */
  onFault?: (error: unknown) => void;
  /** The store for bytes in progress that an embedding application chose. */
  dataStore?: DataStore | undefined;
  /** The ledger's engine, which is open before anything is staged. */
  engine: () => Engine;
}

/** Staging in a store that is not Landfall's own. */
interface StoreBackend {
  staging: StoreStaging;
  location: StagingLocation;
  close(): Promise<void>;
}

/** @throws PackageMissing */
export async function openBackend(config: Config, options: BackendOptions): Promise<Backend> {
  const inStore = await openStore(config, options);
  return config.storageBackend === 's3' ? openS3(config, inStore, options.onFault) : openDisk(config, inStore, options.onFault);
}

async function openStore(config: Config, { dataStore, engine, onFault }: BackendOptions): Promise<StoreBackend | undefined> {
  const { dataDir, fileStoreDir, s3Bucket, s3Prefix, maxUploadBytes } = config;
  const prefix = `${s3Prefix}tus/`;
  let opened: OpenedStore;
  let location: StagingLocation;
  let options: { prefix?: string } = {};
  if (dataStore !== undefined) {
    opened = { store: dataStore, close() {} };
    location = { name: `the application's ${dataStore.constructor.name}`, server: '' };
  } else if (config.staging === 'file-store') {
    opened = await openFileStore(fileStoreDir);
    location = { name: `the store ${fileStoreDir}`, server: '' };
  } else if (config.staging === 's3-store') {
    opened = await openS3Store(s3Bucket, config.s3PartBytes, clientOptions(config), config.s3Connections);
    options = { prefix };
    location = { name: `the store s3://${s3Bucket}/${prefix}`, server: config.s3Endpoint };
  } else return undefined;
  const staging = new StoreStaging({
    store: opened.store,
    names: new StagedNames(engine),
    spoolDir: join(dataDir, 'spool'),
    maxUploadBytes,
    ...options,
    ...(onFault && { onFault }),
  });
  return {
    staging,
    location,
    async close() {
      await staging.close();
      opened.close();
    },
  };
}

function openDisk(config: Config, inStore: StoreBackend | undefined, onFault?: (error: unknown) => void): Backend {
  const staging = inStore?.staging ?? new DiskStaging(join(config.dataDir, 'staging'), onFault);
  const storage = new DiskStorage(config.storageDir, staging);
  return {
    staging,
    storage,
    // The ledger's own directory, or one that each process may reach by another path.
    stagingLocation: inStore?.location ?? { name: 'the data directory', server: '' },
    storageFreeBytes: () => storage.freeBytesBeside(config.dataDir),
    async prepare() {
      await staging.prepare();
      await storage.prepare();
    },
    check: async () => void (await staging.freeBytes()),
    lingerMs: config.databaseUrl === '' ? 0 : LINGER_MS,
    placeOf: (directory, name) => ({ path: `${directory}/${name}` }),
    describe: (directory, name) => join(config.storageDir, directory, name),
    close: () => (inStore ?? staging).close(),
  };
}

/** The options of an S3 client, from the settings. */
export function clientOptions(config: Config): ClientOptions {
  return {
    region: config.s3Region,
    endpoint: config.s3Endpoint,
    forcePathStyle: config.s3ForcePathStyle,
    timeoutMs: config.s3TimeoutMs,
    checksums: config.s3Checksums,
  };
}

const SDK = ['@aws-sdk/client-s3', '@aws-sdk/s3-request-presigner'];

async function openS3(config: Config, inStore: StoreBackend | undefined, onFault?: (error: unknown) => void): Promise<Backend> {
  const [{ Bucket }, { BucketCheck }, { S3Direct }, { S3Staging }, { S3Storage }] = await loadWith(SDK, 'LANDFALL_STORAGE_BACKEND=s3', () =>
    Promise.all([
      import('../s3/bucket.ts'),
      import('../s3/bucket-check.ts'),
      import('../staging/s3/s3-direct.ts'),
      import('../staging/s3/s3-staging.ts'),
      import('./s3-storage.ts'),
    ]),
  );
  const { s3Bucket, s3Prefix, maxUploadBytes } = config;
  const options: BucketOptions = {
    ...clientOptions(config),
    bucket: s3Bucket,
    publicEndpoint: config.s3PublicEndpoint,
    prefix: s3Prefix,
    connections: config.s3Connections,
  };
  const bucket = new Bucket(options);
  const check = new BucketCheck(options);
  const { s3PartBytes: partBytes, s3Concurrency: concurrency, s3MemoryBytes: memoryBytes } = config;
  const staging =
    inStore?.staging ?? new S3Staging({ bucket, partBytes, concurrency, memoryBytes, maxUploadBytes, ...(onFault && { onFault }) });
  const linkSeconds = Math.floor(config.s3LinkLifetimeMs / 1000);
  const delivery = { mode: config.s3Downloads, linkSeconds };
  const storage = new S3Storage({ bucket, staging, copyThresholdBytes: config.s3CopyThresholdBytes, delivery });
  return {
    staging,
    storage,
    stagingLocation: inStore?.location ?? { name: `s3://${s3Bucket}/${s3Prefix}`, server: config.s3Endpoint },
    // Direct uploads go to Landfall's own parts.
    ...(inStore ? {} : { direct: new S3Direct({ bucket, partBytes, linkSeconds }) }),
    async prepare() {
      await check.requireUsable();
      await inStore?.staging.prepare();
    },
    check: (signal) => check.look(signal),
    lingerMs: config.s3Downloads === 'redirect' ? Math.max(LINGER_MS, config.s3LinkLifetimeMs) : LINGER_MS,
    placeOf: (directory, name) => ({ bucket: s3Bucket, key: `${s3Prefix}files/${directory}/${name}` }),
    describe: (directory, name) => `s3://${s3Bucket}/${s3Prefix}files/${directory}/${name}`,
    async close() {
      await (inStore ?? staging).close();
      check.close();
      bucket.close();
    },
  };
}
