// Where bytes are kept, by configuration: the disk of this machine, or a bucket.
import { join } from 'node:path';
import type { Config } from './config.ts';
import { Bucket, type BucketOptions } from './s3/bucket.ts';
import { BucketCheck } from './s3/bucket-check.ts';
import type { Place } from './staged-elsewhere.ts';
import { DiskStaging } from './staging/disk-staging.ts';
import { S3Direct } from './staging/s3-direct.ts';
import { S3Staging } from './staging/s3-staging.ts';
import type { Staging } from './staging/staging.ts';
import { DiskStorage } from './storage/disk-storage.ts';
import { S3Storage } from './storage/s3-storage.ts';
import type { Storage } from './storage/storage.ts';

export interface Backend {
  staging: Staging;
  storage: Storage;
  /** That bytes in progress are in. */
  place: Place;
  /** For senders that bring their bytes there themselves. */
  direct?: S3Direct;
  /** Before the first upload. @throws what the system says when it can't be used, or BucketUnusable */
  prepare(): Promise<void>;
  /** Whether bytes can be kept now; asked every few seconds, for as long as the signal lets it. @throws when they can't */
  check(signal: AbortSignal): Promise<void>;
  /** Where an operator finds a final file. */
  describe(directory: string, name: string): string;
  close(): Promise<void>;
}

export function openBackend(config: Config): Backend {
  return config.storageBackend === 's3' ? openS3(config) : openDisk(config);
}

function openDisk(config: Config): Backend {
  const staging = new DiskStaging(join(config.dataDir, 'staging'));
  const storage = new DiskStorage(config.storageDir, staging);
  return {
    staging,
    storage,
    // The ledger's own, or one that every process may have by another path.
    place: { name: 'the data directory', server: '' },
    async prepare() {
      await staging.prepare();
      await storage.prepare();
    },
    check: async () => void (await staging.freeBytes()),
    describe: (directory, name) => join(config.storageDir, directory, name),
    close: () => staging.close(),
  };
}

function openS3(config: Config): Backend {
  const { s3Bucket, s3Prefix, maxUploadSize } = config;
  const options: BucketOptions = {
    bucket: s3Bucket,
    region: config.s3Region,
    endpoint: config.s3Endpoint,
    publicEndpoint: config.s3PublicEndpoint,
    prefix: s3Prefix,
    forcePathStyle: config.s3ForcePathStyle,
    connections: config.s3Connections,
    timeoutMs: config.s3Timeout,
    checksums: config.s3Checksums,
  };
  const bucket = new Bucket(options);
  const check = new BucketCheck(options);
  const { s3PartSize: partSize, s3Concurrency: concurrency, s3Memory: memory } = config;
  const staging = new S3Staging({ bucket, partSize, concurrency, memory, maxUploadSize });
  const linkSeconds = Math.floor(config.s3LinkLifetime / 1000);
  const delivery = { how: config.s3Downloads, linkSeconds };
  const storage = new S3Storage({ bucket, staging, copyThreshold: config.s3CopyThreshold, delivery });
  return {
    staging,
    storage,
    place: { name: `s3://${s3Bucket}/${s3Prefix}`, server: config.s3Endpoint },
    direct: new S3Direct({ bucket, partSize, linkSeconds }),
    prepare: () => check.requireUsable(),
    check: (signal) => check.look(signal),
    describe: (directory, name) => `s3://${s3Bucket}/${s3Prefix}files/${directory}/${name}`,
    async close() {
      check.close();
      bucket.close();
    },
  };
}
