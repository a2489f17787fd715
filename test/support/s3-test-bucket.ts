// A bucket prefix of the run's S3 server for one test, and its contents.
import { randomBytes } from 'node:crypto';
import { S3Client } from '@aws-sdk/client-s3';
import { inject, onTestFinished } from 'vitest';
import { Bucket, type BucketOptions } from '../../server/s3/bucket.ts';

export interface TestBucket {
  name: string;
  /** Directly to the server, without the proxy in front of the tested part. */
  bucket: Bucket;
  /** The SDK's own client, directly to the server. */
  client: S3Client;
  options: BucketOptions;
  /** `key` of every object, sorted. */
  keys(prefix?: string): Promise<string[]>;
  /** Keys of unfinished multipart uploads. */
  unfinished(): Promise<string[]>;
}

/**
 * An empty place in the run's bucket: a prefix of its own.
 * @param more options that differ for the tested part: `endpoint`, to put a proxy between
 */
export async function testBucket(more: Partial<BucketOptions> = {}): Promise<TestBucket> {
  const { endpoint, region, accessKeyId, secretAccessKey } = inject('s3');
  process.env.AWS_ACCESS_KEY_ID = accessKeyId;
  process.env.AWS_SECRET_ACCESS_KEY = secretAccessKey;
  const client = new S3Client({ endpoint, region, forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED' });
  const name = inject('s3Bucket');
  const straight: BucketOptions = {
    bucket: name,
    region,
    endpoint,
    publicEndpoint: '',
    prefix: `${randomBytes(4).toString('hex')}/`,
    forcePathStyle: true,
    connections: 16,
    timeoutMs: 20_000,
    checksums: 'required',
  };
  const bucket = new Bucket(straight);
  onTestFinished(() => {
    bucket.close();
    client.destroy();
  });
  return {
    name,
    bucket,
    client,
    options: { ...straight, ...more },
    async keys(prefix = '') {
      const keys: string[] = [];
      for await (const { key } of bucket.list(prefix)) keys.push(key);
      return keys.sort();
    },
    async unfinished() {
      const keys: string[] = [];
      for await (const { key } of bucket.multiparts.list('')) keys.push(key);
      return keys;
    },
  };
}
