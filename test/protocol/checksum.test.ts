import { createHash } from 'node:crypto';
import { request } from 'node:http';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { filesBelow, videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { startLandfall } from '../support/landfall-process.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, patchUpload, readRecord } from '../support/tus-requests.ts';

const LENGTH = 300_000;
const HALF = 150_000;

function sum(algorithm: 'sha1' | 'sha256', bytes: Uint8Array): string {
  return `${algorithm} ${createHash(algorithm).update(bytes).digest('base64')}`;
}

function crc32Sum(bytes: Uint8Array): string {
  const digest = Buffer.alloc(4);
  digest.writeUInt32BE(crc32(bytes));
  return `crc32 ${digest.toString('base64')}`;
}

async function withUpload() {
  const server = await embedLandfall({ patience: '20s' });
  const bytes = await videoBytes(LENGTH);
  const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
  return { server, bytes, url };
}

/** Sends a PATCH and cuts the connection after the body's first bytes, or sends the checksum in the trailer. */
function rawPatch(
  url: string,
  headers: Record<string, string>,
  body: Uint8Array,
  end: 'cut' | { trailer: string },
): Promise<number | undefined> {
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  const sent = request(url, {
    method: 'PATCH',
    headers: { 'Tus-Resumable': '1.0.0', 'Content-Type': 'application/offset+octet-stream', 'Upload-Offset': '0', ...headers },
  });
  sent.on('response', (response) => {
    response.resume();
    resolve(response.statusCode);
  });
  sent.on('error', () => resolve(undefined));
  sent.write(body, () => {
    if (end === 'cut') setTimeout(() => sent.destroy(), 200);
    else {
      sent.addTrailers({ 'Upload-Checksum': end.trailer });
      sent.end();
    }
  });
  return promise;
}

describe('the server with the checksum of a chunk', () => {
  it('offers sha1, sha256 and crc32', async () => {
    const server = await embedLandfall();
    const { headers } = await fetch(server.files, { method: 'OPTIONS' });
    expect(headers.get('Tus-Checksum-Algorithm')).toBe('sha1,sha256,crc32');
    expect(headers.get('Tus-Extension')?.split(',')).toEqual(expect.arrayContaining(['checksum', 'checksum-trailer']));
    // The answers to POST and HEAD offer them too, so that a client needs no OPTIONS request for this.
    const tus = { 'Tus-Resumable': '1.0.0' };
    const creation = { method: 'POST', headers: { ...tus, 'Upload-Length': '5', 'Idempotency-Key': 'one' } };
    for (const created of [await fetch(server.files, creation), await fetch(server.files, creation)]) {
      expect(created.headers.get('Tus-Checksum-Algorithm')).toBe('sha1,sha256,crc32');
      const asked = await fetch(new URL(created.headers.get('Location') ?? '', server.url), { method: 'HEAD', headers: tus });
      expect(asked.headers.get('Tus-Checksum-Algorithm')).toBe('sha1,sha256,crc32');
    }
  });

  it.each([
    ['sha1', (bytes: Uint8Array) => sum('sha1', bytes)],
    ['sha256', (bytes: Uint8Array) => sum('sha256', bytes)],
    ['crc32', crc32Sum],
  ])('accepts intact chunks, by %s, up to the complete file', async (_name, sumOf) => {
    const { bytes, url } = await withUpload();
    const [first, second] = [bytes.subarray(0, HALF), bytes.subarray(HALF)];
    expect(await patchUpload(url, 0, first, { 'Upload-Checksum': sumOf(first) })).toMatchObject({ status: 204, offset: HALF });
    expect(await patchUpload(url, HALF, second, { 'Upload-Checksum': sumOf(second) })).toMatchObject({ status: 204, offset: LENGTH });
    expect(await readRecord(url)).toMatchObject({ state: 'accepted' });
  });

  it('answers a damaged chunk with 460, keeps nothing of it, and takes it when the client sends it again', async () => {
    const { bytes, url } = await withUpload();
    const right = bytes.subarray(0, HALF);
    const damaged = Buffer.from(right);
    damaged[70_000] = (damaged[70_000] ?? 0) ^ 1;
    expect(await patchUpload(url, 0, damaged, { 'Upload-Checksum': sum('sha1', right) })).toMatchObject({
      status: 460,
      code: 'ERR_CHECKSUM_MISMATCH',
    });
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: 0 });
    expect(await patchUpload(url, 0, right, { 'Upload-Checksum': sum('sha1', right) })).toMatchObject({ status: 204, offset: HALF });
    const rest = bytes.subarray(HALF);
    expect(await patchUpload(url, HALF, Buffer.from(rest).fill(0, 5, 6), { 'Upload-Checksum': sum('sha1', rest) })).toMatchObject({
      status: 460,
    });
    expect(await headUpload(url)).toMatchObject({ offset: HALF });
    expect(await patchUpload(url, HALF, rest)).toMatchObject({ status: 204, offset: LENGTH });
    expect(await readRecord(url)).toMatchObject({ state: 'accepted', checksum: `crc32:${crc32(bytes).toString(16).padStart(8, '0')}` });
  });

  it('keeps nothing of a chunk that was cut off, unlike one without a checksum', async () => {
    const { bytes, url } = await withUpload();
    const headers = { 'Content-Length': String(HALF), 'Upload-Checksum': sum('sha1', bytes.subarray(0, HALF)) };
    await rawPatch(url, headers, bytes.subarray(0, 100_000), 'cut');
    await expect.poll(async () => (await headUpload(url)).offset).toBe(0);
    await rawPatch(url, { 'Content-Length': String(HALF) }, bytes.subarray(0, 100_000), 'cut');
    await expect.poll(async () => (await headUpload(url)).offset).toBe(100_000);
  });

  it('does not count bytes of a chunk during which it was killed', async () => {
    await using server = await startLandfall({ dataDir: testDirectory() });
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    const sending = rawPatch(
      url,
      { 'Content-Length': String(LENGTH), 'Upload-Checksum': sum('sha1', bytes) },
      bytes.subarray(0, 200_000),
      'cut',
    );
    // The bytes are written but not verified yet: the offset is still the start of the chunk.
    await new Promise((resolve) => setTimeout(resolve, 100));
    await server.kill();
    await sending;
    await server.start();
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: 0 });
    expect(await patchUpload(url, 0, bytes)).toMatchObject({ status: 204, offset: LENGTH });
  });

  it('takes a sha1 checksum in the trailer', async () => {
    const { bytes, url } = await withUpload();
    const headers = { Trailer: 'Upload-Checksum', 'Transfer-Encoding': 'chunked' };
    const right = bytes.subarray(0, HALF);
    expect(await rawPatch(url, headers, right, { trailer: sum('sha1', bytes) })).toBe(460);
    expect(await headUpload(url)).toMatchObject({ offset: 0 });
    expect(await rawPatch(url, headers, right, { trailer: sum('sha1', right) })).toBe(204);
    expect(await headUpload(url)).toMatchObject({ offset: HALF });
  });

  it.each(['md5 1B2M2Y8AsgTpgAmY7PhCfg==', 'sha1', 'sha1 !', 'sha1  x'])('refuses the checksum %s', async (text) => {
    const { bytes, url } = await withUpload();
    expect(await patchUpload(url, 0, bytes, { 'Upload-Checksum': text })).toMatchObject({ status: 400, code: 'ERR_INVALID_CHECKSUM' });
    expect(await headUpload(url)).toMatchObject({ offset: 0 });
  });
});

describe('a first chunk that was damaged on the network', () => {
  const SIZE = 6000;
  const FORMATS: [string, string | Buffer][] = [
    ['a.png', Buffer.from('89504e470d0a1a0a0000000d49484452000000400000004008020000000000000000000000', 'hex')],
    ['a.pdf', '%PDF-1.4\n'],
    ['a.zip', 'PK\x03\x04'],
    ['film.mp4', Buffer.from('000000186674797069736f6d0000020069736f6d69736f32', 'hex')],
    ['a.txt', 'text\n'.repeat(SIZE / 5)],
  ];

  /** The first chunk of a file of this format, and a damaged copy without its signature. */
  function chunkOf(start: string | Buffer) {
    const right = Buffer.alloc(SIZE);
    right.set(Buffer.from(start as string, 'latin1'));
    return { right, damaged: Buffer.concat([Buffer.alloc(16), right.subarray(16)]) };
  }

  it.for(FORMATS)('is not refused for its type: the server answers %s with 460, and takes it again', async ([name, start]) => {
    const server = await embedLandfall();
    const { right, damaged } = chunkOf(start);
    const { url } = await createUpload(server.files, { length: 20_000, name });
    const refusal = { status: 460, code: 'ERR_CHECKSUM_MISMATCH' };
    expect(await patchUpload(url, 0, damaged, { 'Upload-Checksum': sum('sha1', right) })).toMatchObject(refusal);
    const trailing = { Trailer: 'Upload-Checksum', 'Transfer-Encoding': 'chunked' };
    expect(await rawPatch(url, trailing, damaged, { trailer: sum('sha1', right) })).toBe(460);
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: 0 });
    expect(await patchUpload(url, 0, right, { 'Upload-Checksum': sum('sha1', right) })).toMatchObject({ status: 204, offset: SIZE });
  });

  it('is not refused for its type either when it came with the creation', async () => {
    const server = await embedLandfall();
    const { right, damaged } = chunkOf('%PDF-1.4\n');
    for (const length of [SIZE, 20_000]) {
      const headers = { 'Upload-Checksum': sum('sha1', right), 'Idempotency-Key': `of-${length}` };
      const creation = { length, name: 'a.pdf', headers };
      expect(await createUpload(server.files, { ...creation, body: damaged })).toMatchObject({ status: 460 });
      const { url } = await createUpload(server.files, creation);
      expect(await headUpload(url)).toMatchObject({ status: 200, offset: 0 });
    }
  });

  it('is refused by its first bytes only once they are verified, also when they come in small pieces', async () => {
    const server = await embedLandfall();
    const { damaged: other } = chunkOf('%PDF-1.4\n');
    const { url } = await createUpload(server.files, { length: 20_000, name: 'a.pdf' });
    const [first, second] = [other.subarray(0, 1000), other.subarray(1000)];
    expect(await patchUpload(url, 0, first, { 'Upload-Checksum': sum('sha1', first) })).toMatchObject({ status: 204, offset: 1000 });
    expect(await patchUpload(url, 1000, second, { 'Upload-Checksum': sum('sha1', other) })).toMatchObject({ status: 460 });
    expect(await patchUpload(url, 1000, second, { 'Upload-Checksum': sum('sha1', second) })).toMatchObject({
      status: 422,
      code: 'ERR_TYPE_MISMATCH',
    });
    expect(await readRecord(url)).toMatchObject({ state: 'rejected' });
    expect(await filesBelow(`${server.dataDir}/staging`)).toEqual([]);
  });
});

describe('a held byte that was damaged on the network', () => {
  it('is answered with 460, before and after the verdict', async () => {
    const { promise: verdict, resolve: decide } = Promise.withResolvers<undefined>();
    const server = await embedLandfall({ patience: 200 }, { checks: [{ name: 'gate', run: () => verdict }] });
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    expect((await patchUpload(url, 0, bytes)).status).toBe(503);
    const last = bytes.subarray(-1);
    const checksum = { 'Upload-Checksum': sum('sha1', last) };
    const damaged = Buffer.from([(last[0] ?? 0) ^ 1]);
    expect(await patchUpload(url, LENGTH - 1, damaged, checksum)).toMatchObject({ status: 460 });
    expect(await patchUpload(url, LENGTH - 1, damaged)).toMatchObject({ status: 422, code: 'ERR_SOURCE_CHANGED' });
    decide(undefined);
    await expect.poll(async () => (await readRecord(url)).state).toBe('accepted');
    expect(await patchUpload(url, LENGTH - 1, damaged, checksum)).toMatchObject({ status: 460 });
    expect(await patchUpload(url, LENGTH - 1, last, checksum)).toMatchObject({ status: 204, offset: LENGTH });
  });
});

describe('the checksum of the whole file', () => {
  it('lets the server accept the file when it matches', async () => {
    const { bytes, url } = await withUpload();
    expect(await patchUpload(url, 0, bytes, { 'Landfall-Checksum': crc32Sum(bytes) })).toMatchObject({ status: 204, offset: LENGTH });
  });

  it('makes the server reject a differing file for good, and store nothing', async () => {
    const { server, bytes, url } = await withUpload();
    const damaged = Buffer.from(bytes);
    damaged[200_000] = (damaged[200_000] ?? 0) ^ 1;
    await patchUpload(url, 0, damaged.subarray(0, HALF));
    const answer = await patchUpload(url, HALF, damaged.subarray(HALF), { 'Landfall-Checksum': crc32Sum(bytes) });
    expect(answer).toMatchObject({ status: 422, code: 'ERR_FILE_DAMAGED' });
    expect(await headUpload(url)).toMatchObject({ offset: LENGTH - 1 });
    expect(await readRecord(url)).toMatchObject({ state: 'rejected' });
    expect(await filesBelow(`${server.dataDir}/files`)).toEqual([]);
  });
});
