// Single requests of tus 1.0.0, for tests that read like a transcript.
import { OFFSET_CONTENT_TYPE, TUS_VERSION } from '../../shared/protocol.ts';
import type { UploadRecord } from '../../shared/upload.ts';

export interface Answer {
  status: number;
  headers: Headers;
  /** `Upload-Offset`, or undefined. */
  offset: number | undefined;
  text: string;
  /** The `code` of the problem document, or undefined. */
  code: string | undefined;
}

export type ExtraHeaders = Record<string, string>;

export interface Creation {
  length?: number;
  /** The sender's name of the file. */
  name?: string;
  metadata?: Record<string, string>;
  /** Bytes to send with the creation. */
  body?: Uint8Array<ArrayBuffer>;
  headers?: ExtraHeaders;
}

export interface CreationAnswer extends Answer {
  /** Absolute address of the upload; empty when there is none. */
  url: string;
}

/** `Upload-Metadata` for these pairs. */
export function encodeMetadata(pairs: Record<string, string>): string {
  return Object.entries(pairs)
    .map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`)
    .join(',');
}

/** A request as tus clients send it: only the version is added. */
export async function tusRequest(method: string, url: string, headers: ExtraHeaders = {}, body?: BodyInit): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: { 'Tus-Resumable': TUS_VERSION, ...headers },
    ...(body === undefined ? {} : { body, duplex: 'half' }),
  });
  const text = await response.text();
  const offset = response.headers.get('Upload-Offset');
  return {
    status: response.status,
    headers: response.headers,
    offset: offset === null ? undefined : Number(offset),
    text,
    code: codeOf(text),
  };
}

/** POST: a new upload below `files`. */
export async function createUpload(files: string, creation: Creation): Promise<CreationAnswer> {
  const { length, name, metadata = {}, body, headers = {} } = creation;
  const pairs = { ...(name === undefined ? {} : { filename: name }), ...metadata };
  const answer = await tusRequest(
    'POST',
    files,
    {
      ...(length === undefined ? {} : { 'Upload-Length': String(length) }),
      ...(Object.keys(pairs).length > 0 ? { 'Upload-Metadata': encodeMetadata(pairs) } : {}),
      ...(body === undefined ? {} : { 'Content-Type': OFFSET_CONTENT_TYPE }),
      ...headers,
    },
    body,
  );
  const location = answer.headers.get('Location');
  return { ...answer, url: location === null ? '' : new URL(location, files).href };
}

export function patchUpload(url: string, offset: number, body: BodyInit, headers: ExtraHeaders = {}): Promise<Answer> {
  return tusRequest('PATCH', url, { 'Upload-Offset': String(offset), 'Content-Type': OFFSET_CONTENT_TYPE, ...headers }, body);
}

export function headUpload(url: string, headers: ExtraHeaders = {}): Promise<Answer> {
  return tusRequest('HEAD', url, headers);
}

export function terminateUpload(url: string, headers: ExtraHeaders = {}): Promise<Answer> {
  return tusRequest('DELETE', url, headers);
}

/** @throws when there is no record */
export async function readRecord(url: string, headers: ExtraHeaders = {}): Promise<UploadRecord> {
  const response = await fetch(`${url}/status`, { headers });
  if (!response.ok) throw new Error(`${url}/status answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as UploadRecord;
}

/** The id in an upload's address. */
export function idOf(url: string): string {
  return new URL(url).pathname.split('/').at(-1) ?? '';
}

function codeOf(text: string): string | undefined {
  try {
    const problem: unknown = JSON.parse(text);
    return typeof problem === 'object' && problem !== null && 'code' in problem ? String(problem.code) : undefined;
  } catch {
    return undefined;
  }
}
