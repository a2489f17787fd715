// Landfall on the run's S3 server, behind a proxy that makes faults.
import { expect, onTestFinished, vi } from 'vitest';
import type { ConfigInput, LandfallHooks } from '../../server/index.ts';
import { gathered } from './content.ts';
import { type Exchange, type Fault, type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { type EmbeddedLandfall, embedLandfall } from './landfall-embedded.ts';
import { type TestBucket, testBucket } from './s3-test-bucket.ts';

export const MIB: number = 1024 * 1024;

export interface S3Landfall extends EmbeddedLandfall {
  s3: TestBucket;
  proxy: FaultProxy;
  /** Settings for the same bucket. */
  config: ConfigInput;
  /** The only final file. */
  onlyFile(): Promise<{ key: string; bytes: Buffer }>;
  /** Fails until nothing is staged and no multipart upload is left. */
  expectNothingStaged(): Promise<void>;
}

export async function embedLandfallOnS3(
  plan: (exchange: Exchange) => Fault | undefined = () => undefined,
  more: ConfigInput = {},
  hooks: LandfallHooks = {},
): Promise<S3Landfall> {
  const s3 = await testBucket();
  const proxy = await startFaultProxy({ upstream: s3.options.endpoint, onRequest: plan });
  onTestFinished(() => proxy.close());
  const config = { ...s3Config(s3, proxy.url), ...more };
  const embedded = await embedLandfall(config, hooks);
  return {
    ...embedded,
    s3,
    proxy,
    config: { ...config, dataDir: embedded.dataDir },
    async onlyFile() {
      const keys = await s3.keys('files/');
      expect(keys).toHaveLength(1);
      const key = keys[0] ?? '';
      return { key, bytes: await gathered(await s3.bucket.stream(key)) };
    },
    expectNothingStaged: () =>
      vi.waitFor(
        async () => {
          expect(await s3.keys('staging/')).toEqual([]);
          expect(await s3.unfinished()).toEqual([]);
        },
        { timeout: 60_000, interval: 50 },
      ),
  };
}

/** Small parts and little memory, so that a few megabytes show what happens to large files. */
export function s3Config({ name, options }: TestBucket, endpoint: string = options.endpoint): ConfigInput {
  return {
    storageBackend: 's3',
    s3Bucket: name,
    s3Region: options.region,
    s3Endpoint: endpoint,
    s3Prefix: options.prefix,
    s3ForcePathStyle: true,
    s3PartSize: 5 * MIB,
    s3Memory: 64 * MIB,
    maxUploadSize: 1024 * MIB,
  };
}

export const JSON_TYPE = { 'Content-Type': 'application/json' };

/** A request for routes that only accept JSON. */
export function postJson(value: unknown): { method: 'POST'; headers: Record<string, string>; body: string } {
  return { method: 'POST', headers: JSON_TYPE, body: JSON.stringify(value) };
}

/** Whether S3 accepted what was sent to a signed address. A reset connection is a refusal: not every server reads on after one. */
export async function isTaken(sending: Promise<Response>): Promise<boolean> {
  const response = await sending.catch(() => undefined);
  await response?.arrayBuffer().catch(() => undefined);
  return response?.ok ?? false;
}

/** The kind of a request to S3, as far as tests distinguish them. */
export function operationOf({ method, path, headers }: Pick<Exchange, 'method' | 'path' | 'headers'>): string {
  const query = new URL(path, 'http://s3').searchParams;
  const isCopy = headers['x-amz-copy-source'] !== undefined;
  if (query.has('partNumber')) return isCopy ? 'UploadPartCopy' : 'UploadPart';
  if (isCopy) return 'CopyObject';
  if (query.has('uploads')) return method === 'POST' ? 'CreateMultipartUpload' : 'ListMultipartUploads';
  if (query.has('uploadId')) return { POST: 'CompleteMultipartUpload', GET: 'ListParts', DELETE: 'AbortMultipartUpload' }[method] ?? method;
  if (query.has('list-type')) return 'ListObjects';
  return `${method[0]}${method.slice(1).toLowerCase()}Object`;
}

export function partNumberOf({ path }: Pick<Exchange, 'path'>): number {
  return Number(new URL(path, 'http://s3').searchParams.get('partNumber'));
}

/** An error response of S3 to a request that S3 does not get. */
export function s3Error(status: number, code: string, ms = 0): Fault {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>For the test.</Message></Error>`;
  return { kind: 'answer', status, headers: { 'Content-Type': 'application/xml' }, body, ms };
}
