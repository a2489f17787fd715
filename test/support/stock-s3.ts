// @tus/server with @tus/s3-store, as their README describes, on the run's S3 server, behind a proxy that makes faults.
import { createServer } from 'node:http';
import { S3Store, type Options as StoreOptions } from '@tus/s3-store';
import { Server } from '@tus/server';
import { onTestFinished } from 'vitest';
import { type Exchange, type Fault, startFaultProxy } from './fault-proxy.ts';
import { listenForTest } from './listen.ts';
import { type TestBucket, testBucket } from './s3-test-bucket.ts';

const MIB = 1024 * 1024;

/** Resolves to the address at which uploads are created, and the bucket. */
export async function startStockOnS3(
  plan: (exchange: Exchange) => Fault | undefined = () => undefined,
  options: Pick<StoreOptions, 'cache' | 'maxConcurrentPartUploads'> = {},
  requestChecksumCalculation: 'WHEN_REQUIRED' | 'WHEN_SUPPORTED' = 'WHEN_REQUIRED',
): Promise<{ files: string; s3: TestBucket; finished: string[] }> {
  const s3 = await testBucket();
  const { endpoint, region } = s3.options;
  const proxy = await startFaultProxy({ upstream: endpoint, onRequest: plan });
  onTestFinished(() => proxy.close());
  const datastore = new S3Store({
    partSize: 5 * MIB,
    ...options,
    s3ClientConfig: { bucket: s3.name, endpoint: proxy.url, region, forcePathStyle: true, requestChecksumCalculation },
  });
  const finished: string[] = [];
  const tus = new Server({
    path: '/files',
    datastore,
    onUploadFinish: async (_request, upload) => {
      finished.push(upload.id);
      return {};
    },
  });
  const server = createServer((request, response) => void tus.handle(request, response));
  const origin = await listenForTest(server);
  return { files: `${origin}/files`, s3, finished };
}
