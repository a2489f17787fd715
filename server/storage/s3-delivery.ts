// How an accepted file gets from S3 to who asks for it: sent away to a signed address, or passed through.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { UploadError } from '../../shared/errors.ts';
import type { Bucket } from '../s3/bucket.ts';
import { isMissing, S3Fault } from '../s3/fault.ts';
import { streamObject } from '../s3/object-stream.ts';

export interface Delivery {
  how: 'stream' | 'redirect';
  /** Seconds that a signed address is good for. */
  linkSeconds: number;
}

/**
 * Answers a GET or HEAD. Type, disposition, ETag and policy headers are set on the response already.
 * @throws UploadError 404, 416; S3Fault
 */
export async function deliverObject(
  bucket: Bucket,
  { how, linkSeconds }: Delivery,
  request: IncomingMessage,
  response: ServerResponse,
  key: string,
): Promise<void> {
  const etag = String(response.getHeader('ETag') ?? '');
  if (etag !== '' && matches(request.headers['if-none-match'], etag)) {
    response.writeHead(304).end();
    return;
  }
  if (request.method === 'HEAD') {
    // An address is signed for one method, and this answer has no body to send from elsewhere.
    const found = await bucket.head(key);
    if (found === undefined) throw new UploadError('ERR_NOT_FOUND');
    response.writeHead(200, { 'Content-Length': found.size, 'Accept-Ranges': 'bytes' }).end();
    return;
  }
  if (how === 'redirect') {
    const get = new GetObjectCommand({
      ...bucket.at(key),
      // The object carries both; but what opens it in a browser must not depend on what else writes to the bucket.
      ResponseContentType: String(response.getHeader('Content-Type') ?? 'application/octet-stream'),
      ResponseContentDisposition: String(response.getHeader('Content-Disposition') ?? 'attachment'),
    });
    const address = await getSignedUrl(bucket.signing, get, { expiresIn: linkSeconds });
    for (const name of ['Content-Type', 'Content-Disposition', 'ETag']) response.removeHeader(name);
    response.writeHead(302, { Location: address, 'Cache-Control': 'no-store' }).end();
    return;
  }
  const range = rangeOf(request, etag);
  const { body, size, contentRange } = await bucket.get(key, range).catch((error: unknown) => {
    if (isMissing(error)) throw new UploadError('ERR_NOT_FOUND', { cause: error });
    if (error instanceof S3Fault && error.status === 416) throw new UploadError('ERR_BAD_REQUEST', { status: 416, cause: error });
    throw error;
  });
  response.writeHead(contentRange === undefined ? 200 : 206, {
    'Content-Length': size,
    'Accept-Ranges': 'bytes',
    ...(contentRange === undefined ? {} : { 'Content-Range': contentRange }),
  });
  const start = Number(/^bytes (\d+)-/.exec(contentRange ?? '')?.[1] ?? 0);
  const closed = new AbortController();
  response.once('close', () => closed.abort());
  const bytes = streamObject(bucket, key, start, start + size, { first: body, signal: closed.signal });
  await pipeline(bytes, response).catch(() => response.destroy());
}

/** RFC 9110, 14.2: one range of bytes; several, or another unit, are answered with everything. */
function rangeOf(request: IncomingMessage, etag: string): string | undefined {
  const { range } = request.headers;
  if (range === undefined || !/^bytes=(?:\d+-\d*|-\d+)$/.test(range)) return undefined;
  const condition = request.headers['if-range'];
  return condition === undefined || condition === etag ? range : undefined;
}

function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.trim() === '*' || header.split(',').some((item) => item.trim().replace(/^W\//, '') === etag);
}
