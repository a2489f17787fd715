// One attempt of an upload that goes to S3 past the server: the server says where each part goes, the parts are sent there, and
// the server is asked for its verdict. What it has no part of is sent; what S3 has already is not sent again.
import { UploadError } from '../../shared/errors.ts';
import { areCounts, areTexts, fieldsOf, parseJson } from '../json.ts';
import type { RequestBody, TransportResponse } from '../ports.ts';
import type { AttemptOptions, AttemptOutcome } from './attempt.ts';
import { Failure } from './failure.ts';
import type { GuardedHttp } from './guarded-http.ts';

export interface DirectAttemptOptions extends Omit<AttemptOptions, 'chunkSize'> {
  /** Without the application's headers: they are for the server, and S3 refuses what it did not sign. */
  storage: GuardedHttp;
}

interface Links {
  url: string;
  partSize: number;
  parts: { number: number; url: string }[];
}

/** The server has no such door; its files go to a disk. */
export class NoDirectUploads extends Error {
  override readonly name = 'NoDirectUploads';
}

/** @throws Failure, NoDirectUploads, or the reason of the signal */
export async function attemptDirectly(options: DirectAttemptOptions): Promise<AttemptOutcome> {
  const { source, signal, reader } = options;
  const { size } = source;
  // A part's address is for a part of a known size.
  if (size === null || size === 0) throw new NoDirectUploads();
  const door = new URL('get-upload-url', options.endpoint).href;
  let links = options.url === null ? await create(options, door, size) : await ask(options, `${door}/${idOf(options.url)}`);
  const address = `${door}/${idOf(links.url)}`;
  for (;;) {
    const [first] = links.parts;
    options.onConfirmed(first === undefined ? size : (first.number - 1) * links.partSize);
    for (const { number, url } of links.parts) {
      const start = (number - 1) * links.partSize;
      const end = Math.min(start + links.partSize, size);
      options.onSending(start);
      await sendPart(options, url, start, end, await reader.part(start, end));
      options.onConfirmed(end);
    }
    if (links.parts.length === 0) break;
    signal.throwIfAborted();
    links = await ask(options, address);
  }
  await reader.verify();
  signal.throwIfAborted();
  options.onSent(size, true);
  const verdict = await options.http.send({ method: 'POST', url: address, headers: {}, signal });
  return verdict.status === 202 ? 'inspecting' : 'acknowledged';
}

async function create(options: DirectAttemptOptions, door: string, length: number): Promise<Links> {
  const { filename: name, filetype: type, relativePath } = options.metadata;
  const wanted = { name, ...(type ? { type } : {}), ...(relativePath ? { relativePath } : {}), length };
  const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': options.idempotencyKey };
  const body = bodyOf(new TextEncoder().encode(JSON.stringify(wanted)));
  const response = await options.http.send({ method: 'POST', url: door, headers, body, signal: options.signal }).catch((error: unknown) => {
    if (error instanceof Failure && (error.status === 404 || error.status === 405)) throw new NoDirectUploads();
    throw error;
  });
  const links = read(response);
  await options.onCreated(new URL(links.url, door).href);
  return links;
}

async function ask({ http, signal }: DirectAttemptOptions, url: string): Promise<Links> {
  return read(await http.send({ method: 'GET', url, headers: {}, signal }));
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
    // An address that is too old is refused: the next attempt asks for a new one. No answer of S3's is a verdict on the file.
    if (!(error instanceof Failure) || error.reason !== 'refused') throw error;
    const cause = error.status >= 500 ? error.error : new UploadError('ERR_NETWORK', { detail: `The storage answered ${error.status}.` });
    throw new Failure(cause, { cause: 'interrupted', method: 'PUT', bodyBytes: end - start });
  } finally {
    source.release(start);
  }
}

function read(response: TransportResponse): Links {
  const links = parseJson(response.text);
  if (isLinks(links)) return links;
  const error = new UploadError('ERR_UNEXPECTED_RESPONSE', { detail: 'It did not say where the parts go.' });
  throw new Failure(error, { cause: 'nonsense', method: 'POST' });
}

function isLinks(value: unknown): value is Links {
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
