// Delivers an accepted file from S3 to a client: by a redirect to a signed address, or passed through.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { UploadError } from '../../shared/errors.ts';
import type { Bucket } from '../s3/bucket.ts';
import { isMissing } from '../s3/fault.ts';
import { streamObject } from '../s3/object-stream.ts';
import { answerWithoutBytes, requireRange, type Validators } from './preconditions.ts';

export interface Delivery {
  mode: 'stream' | 'redirect';
  /** Seconds for which a signed address is valid. */
  linkSeconds: number;
}

/**
 * Answers a GET or HEAD. The caller has set type, disposition, ETag and policy headers on the response.
 * @throws UploadError 404, 412, 416; S3Fault
 */
export async function deliverObject(
  bucket: Bucket,
  { mode, linkSeconds }: Delivery,
  request: IncomingMessage,
  response: ServerResponse,
  key: string,
): Promise<void> {
  const { method } = request;
  const file = method === 'HEAD' || isConditional(request) ? await findFile(bucket, key, response) : undefined;
  // Also a HEAD of an object that is redirected to: a signed address is valid for one method, and a HEAD has no body to redirect for.
  if (file !== undefined && answerWithoutBytes(request, response, file)) return;
  if (mode === 'redirect') {
    const get = new GetObjectCommand({
      ...bucket.at(key),
      // The object has both headers; but other programs that write to the bucket must not decide how a browser opens the file.
      ResponseContentType: String(response.getHeader('Content-Type') ?? 'application/octet-stream'),
      ResponseContentDisposition: String(response.getHeader('Content-Disposition') ?? 'attachment'),
    });
    const address = await getSignedUrl(bucket.signing, get, { expiresIn: linkSeconds });
    for (const name of ['Content-Type', 'Content-Disposition', 'ETag']) response.removeHeader(name);
    response.writeHead(302, { Location: address, 'Cache-Control': 'no-store' }).end();
    return;
  }
  const range = file && requireRange(request, response, file);
  const wanted = range && `bytes=${range.start}-${range.end - 1}`;
  const { body, size, contentRange, lastModified } = await bucket.get(key, wanted).catch((error: unknown) => {
    throw isMissing(error) ? new UploadError('ERR_NOT_FOUND', { cause: error }) : error;
  });
  response.writeHead(contentRange === undefined ? 200 : 206, {
    'Content-Length': size,
    'Accept-Ranges': 'bytes',
    ...(lastModified && { 'Last-Modified': lastModified.toUTCString() }),
    ...(contentRange === undefined ? {} : { 'Content-Range': contentRange }),
  });
  const start = range?.start ?? 0;
  const closed = new AbortController();
  response.once('close', () => closed.abort());
  const bytes = streamObject(bucket, key, start, start + size, { first: body, signal: closed.signal });
  await pipeline(bytes, response).catch(() => response.destroy());
}

/** True when the answer depends on more than the address: then the object's properties are read first. */
function isConditional({ headers }: IncomingMessage): boolean {
  return headers.range !== undefined || Object.keys(headers).some((name) => name.startsWith('if-'));
}

/** @throws UploadError 404 */
async function findFile(bucket: Bucket, key: string, response: ServerResponse): Promise<Validators> {
  const found = await bucket.head(key);
  if (found === undefined) throw new UploadError('ERR_NOT_FOUND');
  return { size: found.size, etag: String(response.getHeader('ETag') ?? ''), lastModified: found.lastModified };
}
