// Uploads a file to S3 by the AWS SDK's own `Upload` on each request: GET /?path=…&key=…
import { createReadStream } from 'node:fs';
import { S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { listen } from './listen.ts';

const { BENCH_S3_ENDPOINT: endpoint = '', BENCH_S3_BUCKET: Bucket = '', BENCH_S3_PART_SIZE: partSize = '' } = process.env;
const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED' });

listen((request, response) => {
  const { searchParams } = new URL(request.url ?? '', 'http://localhost');
  const Body = createReadStream(searchParams.get('path') ?? '');
  const Key = searchParams.get('key') ?? '';
  new Upload({ client, params: { Bucket, Key, Body }, partSize: Number(partSize), queueSize: 4 }).done().then(
    () => response.end(),
    (error: unknown) => response.writeHead(500).end(String(error)),
  );
});
