// Sends one file to a rival by the rival's own protocol.
import type { Answer, Connection } from './connection.ts';
import { type Content, FILM, pieces } from './content.ts';

/** A file of `bytes`, sent in requests of at most `chunkBytes` if the protocol has chunks. */
export interface Sending {
  content: Content;
  bytes: number;
  chunkBytes: number;
}

/** @throws Error when the rival does not acknowledge the whole file */
export type Send = (connection: Connection, sending: Sending) => Promise<void>;

const TUS = { 'Tus-Resumable': '1.0.0' };
const OFFSET_TYPE = 'application/offset+octet-stream';
const BOUNDARY = 'landfall-benchmark-7MA4YWxkTrZu0gW';

/** tus 1.0.0: creation, then PATCH by PATCH. */
export const sendByTus: Send = async (connection, { content, bytes, chunkBytes }) => {
  const path = await createByTus(connection, bytes, content);
  for (let offset = 0; offset < bytes; offset += chunkBytes) {
    await appendByTus(connection, path, offset, Math.min(bytes, offset + chunkBytes), content);
  }
};

/** Creates an upload and resolves with its path. */
export async function createByTus(connection: Connection, bytes: number, content: Content = FILM): Promise<string> {
  const created = await connection.request('POST', '/files', creationHeaders(bytes, content));
  expectStatus(created, 201);
  return pathIn(created);
}

/** Sends bytes [from, to) in one PATCH, which the answer must acknowledge. */
export async function appendByTus(connection: Connection, path: string, from: number, to: number, content: Content = FILM): Promise<void> {
  const body = { bytes: to - from, pieces: pieces(content, from, to) };
  const answer = await connection.request('PATCH', path, appendHeaders(from), body);
  expectStatus(answer, 204);
  expectOffset(answer, to);
}

function creationHeaders(bytes: number, { name, type }: Content): Record<string, string> {
  const metadata = `filename ${Buffer.from(name).toString('base64')},filetype ${Buffer.from(type).toString('base64')}`;
  return { ...TUS, 'Upload-Length': String(bytes), 'Upload-Metadata': metadata };
}

export function appendHeaders(offset: number): Record<string, string> {
  return { ...TUS, 'Upload-Offset': String(offset), 'Content-Type': OFFSET_TYPE };
}

export async function headByTus(connection: Connection, path: string): Promise<void> {
  expectStatus(await connection.request('HEAD', path, TUS), 200);
}

/** tus 1.0.0, Creation With Upload: one request for the whole file. */
export const sendByCreation: Send = async (connection, { content, bytes }) => {
  const headers = { ...creationHeaders(bytes, content), 'Content-Type': OFFSET_TYPE };
  const answer = await connection.request('POST', '/files', headers, { bytes, pieces: pieces(content, 0, bytes) });
  // uploadx answers 200 here.
  expectStatus(answer, 201, 200);
  expectOffset(answer, bytes);
};

/** `multipart/form-data`, as a browser's form sends it. The answer is the received size. */
export const sendByForm: Send = async (connection, sending) => {
  const answer = await sendForm(connection, sending);
  expectStatus(answer, 200);
  if (answer.body !== String(sending.bytes)) throw new Error(`The server received ${answer.body} of ${sending.bytes} bytes.`);
};

/** Sends a form to Landfall, which answers with the record of the accepted file. */
export const sendByLandfallForm: Send = async (connection, sending) => {
  const answer = await sendForm(connection, sending);
  expectStatus(answer, 201);
  const { record } = JSON.parse(answer.body) as { record: { state: string; length: number } };
  if (record.state !== 'accepted' || record.length !== sending.bytes)
    throw new Error(`The upload is ${record.state} with ${record.length} bytes.`);
};

function sendForm(connection: Connection, { content, bytes }: Sending): Promise<Answer> {
  const { name, type } = content;
  const before = Buffer.from(
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\nContent-Type: ${type}\r\n\r\n`,
  );
  const after = Buffer.from(`\r\n--${BOUNDARY}--\r\n`);
  function* form(): Generator<Buffer> {
    yield before;
    yield* pieces(content, 0, bytes);
    yield after;
  }
  const headers = { 'Content-Type': `multipart/form-data; boundary=${BOUNDARY}` };
  const body = { bytes: before.byteLength + bytes + after.byteLength, pieces: form() };
  return connection.request('POST', '/upload', headers, body);
}

/** Gives each file its own name: uploadx takes two files of the same name and length for one. */
let names = 0;

/** RFC 9110, PUT of a new file. */
export const sendByPut: Send = async (connection, { content, bytes }) => {
  names += 1;
  expectStatus(await connection.request('PUT', `/files/${names}-${content.name}`, {}, { bytes, pieces: pieces(content, 0, bytes) }), 201);
};

/** uploadx's own protocol: creation, then PUT by PUT with Content-Range. */
export const sendByUploadx: Send = async (connection, { content, bytes, chunkBytes }) => {
  names += 1;
  const metadata = Buffer.from(JSON.stringify({ name: `${names}-${content.name}` }));
  const headers = { 'Content-Type': 'application/json', 'X-Upload-Content-Length': String(bytes), 'X-Upload-Content-Type': content.type };
  const created = await connection.request('POST', '/files', headers, { bytes: metadata.byteLength, pieces: [metadata] });
  expectStatus(created, 201);
  for (let from = 0; from < bytes; from += chunkBytes) {
    const to = Math.min(bytes, from + chunkBytes);
    const range = { 'Content-Range': `bytes ${from}-${to - 1}/${bytes}`, 'Content-Type': 'application/octet-stream' };
    const answer = await connection.request('PUT', pathIn(created), range, { bytes: to - from, pieces: pieces(content, from, to) });
    expectStatus(answer, to === bytes ? 200 : 308);
  }
};

function expectStatus(answer: Answer, ...expected: number[]): void {
  if (!expected.includes(answer.status))
    throw new Error(`The server answered ${answer.status} instead of ${expected[0]}: ${answer.body.slice(0, 400)}`);
}

function expectOffset(answer: Answer, offset: number): void {
  const got = answer.headers.get('upload-offset');
  if (got !== String(offset)) throw new Error(`The server acknowledged ${got} of ${offset} bytes.`);
}

function pathIn(answer: Answer): string {
  const { pathname, search } = new URL(answer.headers.get('location') ?? '', 'http://127.0.0.1');
  return pathname + search;
}
