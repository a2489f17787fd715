// What a permitted sender could abuse: the signed addresses it gets, and the endpoint that gives them out.
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, inject, it, vi } from 'vitest';
import { nodeStore } from '../../client/node/store.ts';
import { upload } from '../../client/node.ts';
import { videoBytes, writeVideo } from '../support/content.ts';
import { head, rawRequest } from '../support/raw-http.ts';
import { embedLandfallOnS3, isTaken, JSON_TYPE, MIB, postJson } from '../support/s3-landfall.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, idOf, patchUpload, readRecord } from '../support/tus-requests.ts';

/** Runs where the S3 server at hand can refuse headers that were not signed. */
const guarded = it.skipIf(inject('s3HeaderGuard') === null);

interface Links {
  id: string;
  parts: { number: number; url: string }[];
}

async function linksFor(url: string, length: number): Promise<Links> {
  const response = await fetch(`${url}/get-upload-url`, postJson({ name: 'film.mp4', length }));
  expect(response.status).toBe(201);
  return (await response.json()) as Links;
}

guarded.for([MIB, 6 * MIB])('an address for %i bytes copies nothing that is another’s', async (length) => {
  const { url, s3 } = await embedLandfallOnS3();
  const secret = await videoBytes(MIB);
  await s3.bucket.put('files/secret', secret);
  const { parts } = await linksFor(url, length);
  const part = parts.at(-1);
  const own = Buffer.alloc(MIB, 'o');
  for (const source of [s3.bucket.source('files/secret'), `/${s3.bucket.source('files/secret')}`]) {
    for (const name of ['x-amz-copy-source', 'x_amz_copy_source']) {
      const headers = { [name]: source, 'x-amz-copy-source-range': `bytes=0-${MIB - 1}` };
      const copied = await fetch(part?.url ?? '', { method: 'PUT', body: own, headers }).catch(() => undefined);
      expect(copied?.ok && (await copied.text()).includes('Copy')).not.toBe(true);
      const plain = await fetch(part?.url ?? '', { method: 'PUT', body: own, headers: { [name]: source } }).catch(() => undefined);
      expect(plain?.ok && (await plain.text()).includes('Copy')).not.toBe(true);
    }
  }
  for (const key of await s3.keys('staging/')) {
    const { size = 0 } = (await s3.bucket.head(key)) ?? {};
    expect((await s3.bucket.read(key, 0, size)).equals(secret)).toBe(false);
  }
  expect(await isTaken(fetch(part?.url ?? '', { method: 'PUT', body: own, headers: { 'x-amz-acl': 'public-read' } }))).toBe(false);
  expect((await fetch(part?.url ?? '', { method: 'PUT', body: own })).status).toBe(200);
});

it('a server gives out no addresses when its S3 ignores the header guard', async () => {
  const { url, files } = await embedLandfallOnS3(({ method, path }) =>
    method === 'GET' && path.includes('/probe')
      ? { kind: 'answer', status: 206, headers: { 'Content-Length': '1' }, body: 'a' }
      : undefined,
  );
  const response = await fetch(`${url}/get-upload-url`, postJson({ name: 'film.mp4', length: MIB }));
  expect(response.status).toBe(404);
  const directory = testDirectory();
  await writeVideo(join(directory, 'film.mp4'), MIB);
  const options = { endpoint: files, store: nodeStore(join(directory, 'state')), via: 'direct' } as const;
  expect(await upload(join(directory, 'film.mp4'), options).done).toMatchObject({ size: MIB });
});

guarded("the server probes an address again when a sweep deleted the probe's source, and does not take it for safe", async () => {
  let sweeps = 0;
  const { url, s3 } = await embedLandfallOnS3(({ method, path, headers }) => {
    if (method !== 'PUT' || headers['x-amz-copy-source'] === undefined || sweeps++ > 0) return undefined;
    const key = new URL(path, 'http://s3').pathname.replace(`/${s3.name}/${s3.options.prefix}`, '');
    return { kind: 'hold', until: s3.bucket.remove([`${key}-source`]) };
  });
  await s3.bucket.put('files/secret', await videoBytes(MIB));
  const { parts } = await linksFor(url, MIB);
  expect(sweeps).toBeGreaterThan(1);
  const headers = { 'x-amz-copy-source': s3.bucket.source('files/secret') };
  const copied = await fetch(parts[0]?.url ?? '', { method: 'PUT', body: Buffer.alloc(MIB, 'o'), headers }).catch(() => undefined);
  expect(copied?.ok && (await copied.text()).includes('Copy')).not.toBe(true);
});

guarded('an upload whose parts a bucket rule deleted can be sent again, and does not keep another from being swept', async () => {
  const { url, files, s3, expectNothingStaged } = await embedLandfallOnS3(undefined, { expireAfter: 2000, sweepInterval: 200 });
  const { id, parts } = await linksFor(url, 6 * MIB);
  for await (const { key, uploadId } of s3.bucket.multiparts.list('staging/')) await s3.bucket.multiparts.abort(key, uploadId);
  expect(await isTaken(fetch(parts[0]?.url ?? '', { method: 'PUT', body: Buffer.alloc(5 * MIB) }))).toBe(false);
  expect((await fetch(`${url}/get-upload-url/${id}`, { method: 'POST' })).status).toBe(409);
  const anew = (await (await fetch(`${url}/get-upload-url/${id}`)).json()) as Links;
  expect(anew.parts.map(({ number }) => number)).toEqual([1, 2]);
  expect((await fetch(anew.parts[0]?.url ?? '', { method: 'PUT', body: Buffer.alloc(5 * MIB) })).status).toBe(200);
  for await (const { key, uploadId } of s3.bucket.multiparts.list('staging/')) await s3.bucket.multiparts.abort(key, uploadId);
  const { url: later } = await createUpload(files, { length: 100 });
  const state = async (address: string) => (await readRecord(address)).state;
  await vi.waitFor(async () => expect([await state(`${files}/${id}`), await state(later)]).toEqual(['expired', 'expired']), 60_000);
  await expectNothingStaged();
});

guarded('a request that never ends gets an answer, and does not delay shutdown', async () => {
  const { url, landfall } = await embedLandfallOnS3(undefined, { bodyTimeout: 500 });
  const begin = head('POST /get-upload-url HTTP/1.1', 'Host: localhost', 'Content-Type: application/json', 'Content-Length: 100');
  expect((await rawRequest(url, [begin, '{'], 5000)).status).toBe(408);
  const waiting = rawRequest(url, [begin, '{'], 5000);
  await sleep(100);
  await landfall.close();
  expect([408, 503]).toContain((await waiting).status);
});

guarded.for<[string, { body: string; headers?: Record<string, string> }]>([
  ['no JSON', { body: '{' }],
  ['more than 64 KiB', { body: JSON.stringify({ name: 'x'.repeat(70_000), length: 1 }) }],
  ['an overlong name', { body: JSON.stringify({ name: 'x'.repeat(5000), length: 1 }) }],
  ['a length below 0', { body: JSON.stringify({ length: -1 }) }],
  ['half a byte', { body: JSON.stringify({ length: 1.5 }) }],
  ['a length that no number holds', { body: '{"length":1e30}' }],
  ['a length in quotes', { body: '{"length":"5"}' }],
  ['an unknown wish', { body: '{"length":5,"owner":"root"}' }],
  ['an Idempotency-Key that two could share once it is cut', { body: '{"length":5}', headers: { 'Idempotency-Key': 'k'.repeat(300) } }],
])('a request with %s is refused with 400', async ([, { body, headers }]) => {
  const { url } = await embedLandfallOnS3();
  expect((await fetch(`${url}/get-upload-url`, { method: 'POST', body, headers: { ...JSON_TYPE, ...headers } })).status).toBe(400);
});

guarded('a file name with characters that no database can store is kept without them', async () => {
  const { url, files } = await embedLandfallOnS3();
  const wanted = { name: 'fi\0lm\ud800.mp4', type: 'video/\0mp4', length: MIB };
  const response = await fetch(`${url}/get-upload-url`, postJson(wanted));
  const { id } = (await response.json()) as Links;
  expect(await readRecord(`${files}/${id}`)).toMatchObject({ name: 'film.mp4', originalName: 'fi\uFFFDlm\uFFFD.mp4' });
});

guarded('the server inspects bytes that were replaced in S3, and keeps no checksum of the earlier bytes', async () => {
  const { url, files, onlyFile } = await embedLandfallOnS3();
  const bytes = await videoBytes(6 * MIB);
  const replaced = Buffer.concat([bytes.subarray(0, MIB), Buffer.alloc(4 * MIB, 'r'), bytes.subarray(5 * MIB)]);
  const upload = async (first: Uint8Array<ArrayBuffer>) => {
    const { url: address } = await createUpload(files, { length: bytes.length, name: 'film.mp4' });
    const answer = await fetch(`${url}/get-upload-url/${idOf(address)}`);
    const [link] = ((await answer.json()) as Links).parts;
    await patchUpload(address, 0, bytes.subarray(0, -1));
    expect((await fetch(link?.url ?? '', { method: 'PUT', body: first })).status).toBe(200);
    return { address, status: (await patchUpload(address, bytes.length - 1, bytes.subarray(-1))).status };
  };
  const accepted = await upload(replaced.subarray(0, 5 * MIB));
  expect(accepted.status).toBe(204);
  expect(await readRecord(accepted.address)).toMatchObject({ state: 'accepted', checksum: null });
  expect((await onlyFile()).bytes.equals(replaced)).toBe(true);
  expect((await upload(Buffer.alloc(5 * MIB, 'MZ'))).status).toBe(422);
});

guarded('an address is of no use to anybody but its owner', async () => {
  const authenticate = ({ headers }: IncomingMessage) => headers.authorization ?? null;
  const { url } = await embedLandfallOnS3(undefined, {}, { authenticate });
  const ask = (method: string, path: string, authorization?: string) =>
    fetch(`${url}/get-upload-url${path}`, {
      method,
      headers: { ...JSON_TYPE, ...(authorization !== undefined && { authorization }) },
      ...(path === '' ? { body: JSON.stringify({ name: 'film.mp4', length: MIB }) } : {}),
    });
  expect((await ask('POST', '')).status).toBe(401);
  const { id } = (await (await ask('POST', '', 'a')).json()) as Links;
  for (const method of ['GET', 'POST']) {
    expect((await ask(method, `/${id}`)).status).toBe(401);
    expect((await ask(method, `/${id}`, 'b')).status).toBe(404);
  }
  expect((await ask('GET', `/${id}`, 'a')).status).toBe(200);
  expect((await ask('GET', `/${id}?from=0`, 'a')).status).toBe(404);
});

guarded('a request with a content type that a page of any site could send is refused with 415', async () => {
  const { url } = await embedLandfallOnS3();
  for (const type of [undefined, 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
    const headers = type === undefined ? {} : { 'Content-Type': type };
    const answer = await fetch(`${url}/get-upload-url`, { method: 'POST', headers, body: Buffer.from('{"length":5}') });
    expect(answer.status, type).toBe(415);
  }
});
