// One S3 server, with one bucket, for all tests of a run that need it.
import { randomBytes } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  paginateListObjectsV2,
  S3Client,
} from '@aws-sdk/client-s3';
import type { TestProject } from 'vitest/node';
import { Bucket } from '../../server/s3/bucket.ts';
import type { HeaderGuard } from '../../server/s3/signed-put.ts';
import { findHeaderGuard } from '../../server/staging/s3/header-guard.ts';
import { outsideS3, type S3Endpoint, startS3Server } from './s3-server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    s3: S3Endpoint;
    s3Bucket: string;
    /** How this server's signed addresses are restricted to what was signed; null: not at all, and direct uploads are off. */
    s3HeaderGuard: HeaderGuard | null;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const outside = outsideS3();
  const server = outside ? undefined : await startS3Server();
  const { endpoint, region, accessKeyId, secretAccessKey } = outside ?? (server as S3Endpoint);
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED' });
  const bucket = `landfall-test-${randomBytes(6).toString('hex')}`;
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  project.provide('s3', { endpoint, region, accessKeyId, secretAccessKey });
  project.provide('s3Bucket', bucket);
  const guard = await guardOf({ endpoint, region, accessKeyId, secretAccessKey }, bucket);
  if (guard === null) console.error('Left out: direct uploads. This server obeys unsigned headers.');
  project.provide('s3HeaderGuard', guard);
  return async () => {
    // Ending our own server removes its data.
    if (outside) await remove(client, bucket);
    client.destroy();
    await server?.stop();
  };
}

async function guardOf({ endpoint, region, accessKeyId, secretAccessKey }: S3Endpoint, name: string): Promise<HeaderGuard | null> {
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey });
  const place = { bucket: name, region, endpoint, publicEndpoint: '', prefix: '', forcePathStyle: true } as const;
  const bucket = new Bucket({ ...place, connections: 1, timeoutMs: 20_000, checksums: 'required' });
  return findHeaderGuard(bucket)
    .then((guard) => guard ?? null)
    .finally(() => bucket.close());
}

async function remove(client: S3Client, Bucket: string): Promise<void> {
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }));
  for (const { Key, UploadId } of Uploads) await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
  for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket })) {
    for (const { Key } of Contents) await client.send(new DeleteObjectCommand({ Bucket, Key }));
  }
  await client.send(new DeleteBucketCommand({ Bucket }));
}
