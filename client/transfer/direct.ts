// One attempt of a direct upload: the client requests signed part URLs from the server, sends the parts to S3, and then requests the
// server's verdict. Parts that S3 already has are not sent again.
import { UploadError } from '../../shared/errors.ts';
import { areCounts, areTexts, fieldsOf, parseJson } from '../json.ts';
import type { RequestBody, TransportResponse } from '../ports.ts';
import { abortable } from './abortable.ts';
import type { AttemptOptions, AttemptOutcome } from './attempt.ts';
import { Failure } from './failure.ts';
import type { GuardedHttp } from './guarded-http.ts';

export interface DirectAttemptOptions extends Omit<AttemptOptions, 'chunkSize'> {
  /** Sends no headers of the application: S3 refuses a request with headers that the signature does not cover. */
  storage: GuardedHttp;
}

interface PartLinks {
  url: string;
  partSize: number;
  parts: { number: number; url: string }[];
}

/** The server does not offer direct uploads, because it stores files on a disk. */
export class DirectUploadsUnavailable extends Error {
  override readonly name = 'NoDirectUploads';
}

/** @throws Failure, NoDirectUploads, or the reason of the signal */
export async function attemptDirectly(options: DirectAttemptOptions): Promise<AttemptOutcome> {
  const { source, signal, reader } = options;
  const { size } = source;
  // A signed part URL requires a known size.
  if (size === null || size === 0) throw new DirectUploadsUnavailable();
  const linksEndpoint = new URL('get-upload-url', options.endpoint).href;
  let links =
    options.url === null
      ? await createUpload(options, linksEndpoint, size)
      : await missingParts(options, `${linksEndpoint}/${idOf(options.url)}`);
  const uploadAddress = `${linksEndpoint}/${idOf(links.url)}`;
  for (;;) {
    const [first] = links.parts;
    options.onConfirmed(first === undefined ? size : (first.number - 1) * links.partSize);
    for (const { number, url } of links.parts) {
      const start = (number - 1) * links.partSize;
      const end = Math.min(start + links.partSize, size);
      options.onSending(start);
      // A stream may have no bytes for a long time.
      await sendPart(options, url, start, end, await abortable(reader.part(start, end), signal));
      options.onConfirmed(end);
    }
    if (links.parts.length === 0) break;
    signal.throwIfAborted();
    links = await missingParts(options, uploadAddress);
  }
  await reader.verify();
  signal.throwIfAborted();
  options.onSent(size, true);
  const verdict = await options.http.send({ method: 'POST', url: uploadAddress, headers: {}, signal });
  return verdict.status === 202 ? 'inspecting' : 'acknowledged';
}

async function createUpload(options: DirectAttemptOptions, linksEndpoint: string, length: number): Promise<PartLinks> {
  const { filename: name, filetype: type, relativePath } = options.metadata;
  const declared = { name, ...(type ? { type } : {}), ...(relativePath ? { relativePath } : {}), length };
  const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': options.idempotencyKey };
  const body = bodyOf(new TextEncoder().encode(JSON.stringify(declared)));
  const response = await options.http
    .send({ method: 'POST', url: linksEndpoint, headers, body, signal: options.signal })
    .catch((error: unknown) => {
      if (error instanceof Failure && (error.status === 404 || error.status === 405)) throw new DirectUploadsUnavailable();
      throw error;
    });
  const links = parseLinks(response);
  await options.onCreated(new URL(links.url, linksEndpoint).href);
  return links;
}

async function missingParts({ http, signal }: DirectAttemptOptions, url: string): Promise<PartLinks> {
  return parseLinks(await http.send({ method: 'GET', url, headers: {}, signal }));
}

async function sendPart(
  { storage, signal, onSent, source }: DirectAttemptOptions,
  url: string,
  start: number,
  end: number,
  body: RequestBody,
) {
  try {
    await storage.send({ method: 'PUT', url, headers: {}, body, signal, onSent: (sent) => onSent(start + sent, false) });
  } catch (error) {
    // S3 refuses an expired URL; the next attempt requests a new one. A response of S3 is never a verdict on the file.
    if (!(error instanceof Failure) || error.reason !== 'refused') throw error;
    const cause = error.status >= 500 ? error.error : new UploadError('ERR_NETWORK', { detail: `The storage answered ${error.status}.` });
    throw new Failure(cause, { cause: 'interrupted', method: 'PUT', bodyBytes: end - start });
  } finally {
    source.release(start);
  }
}

function parseLinks(response: TransportResponse): PartLinks {
  const links = parseJson(response.text);
  if (isPartLinks(links)) return links;
  const error = new UploadError('ERR_UNEXPECTED_RESPONSE', { detail: 'The response lists no URLs for the parts.' });
  throw new Failure(error, { cause: 'unexpected', method: 'POST' });
}

function isPartLinks(value: unknown): value is PartLinks {
  const { url, partSize, parts } = fieldsOf(value);
  return areTexts(url) && areCounts(partSize) && Array.isArray(parts) && parts.every(isPart);
}

function isPart(value: unknown): boolean {
  const { number, url } = fieldsOf(value);
  return areCounts(number) && areTexts(url);
}

function bodyOf(bytes: Uint8Array<ArrayBuffer>): RequestBody {
  return { size: bytes.length, read: async (start, end) => bytes.subarray(start, end) };
}

function idOf(url: string): string {
  return new URL(url, 'http://landfall').pathname.split('/').at(-1) ?? '';
}
