// Where bytes are kept, by configuration: the disk of this machine, or a bucket.
import { join } from 'node:path';
import type { FilePlace } from '../../shared/upload.ts';
import type { Config } from '../config/config.ts';
import { loadWith } from '../runtime/optional-packages.ts';
import type { BucketOptions } from '../s3/bucket.ts';
import { DiskStaging } from '../staging/disk/disk-staging.ts';
import type { S3Direct } from '../staging/s3/s3-direct.ts';
import type { Place } from '../staging/staged-elsewhere.ts';
import type { Staging } from '../staging/staging.ts';
import { DiskStorage } from './disk-storage.ts';
import type { Storage } from './storage.ts';

export interface Backend {
  staging: Staging;
  storage: Storage;
  /** That bytes in progress are in. */
  place: Place;
  /** For senders that bring their bytes there themselves. */
  direct?: S3Direct;
  /** Bytes free for final files; Infinity where they are on the file system of what is staged. */
  storageFreeBytes?: () => Promise<number>;
  /** Before the first upload. @throws what the system says when it can't be used, or BucketUnusable */
  prepare(): Promise<void>;
  /** Whether bytes can be kept now; asked every few seconds, for as long as the signal lets it. @throws when they can't */
  check(signal: AbortSignal): Promise<void>;
  /**
   * So long the bytes of a removed file stay for those who read them. 0: an open file outlives its name. In a bucket a download goes
   * on with a new request where it broke or paused, and of a directory that machines share another machine may take it away.
   */
  lingerMs: number;
  /** Where the application finds a final file. */
  placeOf(directory: string, name: string): FilePlace;
  /** Where an operator finds a final file. */
  describe(directory: string, name: string): string;
  close(): Promise<void>;
}

/** Whoever still reads says so several times in it. */
const LINGER_MS = 60_000;

/**
 * @param onFault told of what can't be taken away now
 * @throws PackageMissing
 */
export async function openBackend(config: Config, onFault?: (error: unknown) => void): Promise<Backend> {
  return config.storageBackend === 's3' ? openS3(config, onFault) : openDisk(config, onFault);
}

function openDisk(config: Config, onFault?: (error: unknown) => void): Backend {
  const staging = new DiskStaging(join(config.dataDir, 'staging'), onFault);
  const storage = new DiskStorage(config.storageDir, staging);
  return {
    staging,
    storage,
    // The ledger's own, or one that every process may have by another path.
    place: { name: 'the data directory', server: '' },
    storageFreeBytes: () => storage.freeBytesBeside(config.dataDir),
    async prepare() {
      await staging.prepare();
      await storage.prepare();
    },
    check: async () => void (await staging.freeBytes()),
    lingerMs: config.databaseUrl === '' ? 0 : LINGER_MS,
    placeOf: (directory, name) => ({ path: `${directory}/${name}` }),
    describe: (directory, name) => join(config.storageDir, directory, name),
    close: () => staging.close(),
  };
}

const SDK = ['@aws-sdk/client-s3', '@aws-sdk/s3-request-presigner'];

async function openS3(config: Config, onFault?: (error: unknown) => void): Promise<Backend> {
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
    bucket: s3Bucket,
    region: config.s3Region,
    endpoint: config.s3Endpoint,
    publicEndpoint: config.s3PublicEndpoint,
    prefix: s3Prefix,
    forcePathStyle: config.s3ForcePathStyle,
    connections: config.s3Connections,
    timeoutMs: config.s3TimeoutMs,
    checksums: config.s3Checksums,
  };
  const bucket = new Bucket(options);
  const check = new BucketCheck(options);
  const { s3PartBytes: partBytes, s3Concurrency: concurrency, s3MemoryBytes: memoryBytes } = config;
  const staging = new S3Staging({ bucket, partBytes, concurrency, memoryBytes, maxUploadBytes, ...(onFault && { onFault }) });
  const linkSeconds = Math.floor(config.s3LinkLifetimeMs / 1000);
  const delivery = { how: config.s3Downloads, linkSeconds };
  const storage = new S3Storage({ bucket, staging, copyThresholdBytes: config.s3CopyThresholdBytes, delivery });
  return {
    staging,
    storage,
    place: { name: `s3://${s3Bucket}/${s3Prefix}`, server: config.s3Endpoint },
    direct: new S3Direct({ bucket, partBytes, linkSeconds }),
    prepare: () => check.requireUsable(),
    check: (signal) => check.look(signal),
    lingerMs: config.s3Downloads === 'redirect' ? Math.max(LINGER_MS, config.s3LinkLifetimeMs) : LINGER_MS,
    placeOf: (directory, name) => ({ bucket: s3Bucket, key: `${s3Prefix}files/${directory}/${name}` }),
    describe: (directory, name) => `s3://${s3Bucket}/${s3Prefix}files/${directory}/${name}`,
    async close() {
      await staging.close();
      check.close();
      bucket.close();
    },
  };
}
