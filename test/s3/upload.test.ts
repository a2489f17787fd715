// Uploads stored in a bucket: with our client, with a stock client, and by raw requests.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { nodeStore } from '../../client/node/store.ts';
import { upload } from '../../client/node.ts';
import { videoBytes, writeVideo } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { head, rawRequest } from '../support/raw-http.ts';
import { embedLandfallOnS3, MIB, operationOf } from '../support/s3-landfall.ts';
import { uploadWithStockClient } from '../support/stock-client.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord, terminateUpload } from '../support/tus-requests.ts';
import { zip } from '../support/zip-fixtures.ts';

const isLong = process.env.LANDFALL_TEST_LONG === '1';
const NAME = 'Zoë “film”.mp4';

describe('an upload to S3', () => {
  it('by our client is stored whole, private, as an attachment of its type, and leaves nothing staged', async () => {
    const { files, s3, onlyFile, expectNothingStaged } = await embedLandfallOnS3();
    const directory = testDirectory();
    const path = join(directory, NAME);
    await writeVideo(path, 23 * MIB + 17);
    const result = await upload(path, { endpoint: files, store: nodeStore(join(directory, 'state')) }).done;
    expect(result).toMatchObject({ size: 23 * MIB + 17, type: 'video/mp4' });
    const { key, bytes } = await onlyFile();
    expect(bytes.equals(await videoBytes(23 * MIB + 17))).toBe(true);
    expect(key).toMatch(new RegExp(`^files/\\d{4}/\\d{2}/\\d{2}/${result.id}/1/.+\\.mp4$`));
    const { ContentType, ContentDisposition } = await s3.client.send(new HeadObjectCommand(s3.bucket.at(key)));
    expect(ContentType).toBe('video/mp4');
    expect(ContentDisposition).toMatch(/^attachment; filename=/);
    const anonymous = await fetch(`${s3.options.endpoint}/${s3.name}/${s3.options.prefix}${encodeURI(key)}`);
    expect(anonymous.status).toBe(403);
    await expectNothingStaged();
  });

  it.for([undefined, MIB, 6 * MIB])('by tus-js-client in chunks of %s is stored whole', async (chunkSize) => {
    const { files, onlyFile, expectNothingStaged } = await embedLandfallOnS3();
    const bytes = await videoBytes(13 * MIB + 1);
    const told = await uploadWithStockClient(files, bytes, 'film.mp4', chunkSize === undefined ? {} : { chunkSize });
    expect(told.outcome).toBe('success');
    expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
    await expectNothingStaged();
  });

  it('is read in ranges for its checks, and whole only for text', async () => {
    const { files, proxy } = await embedLandfallOnS3();
    const content = Buffer.from('one line of many\n'.repeat(400_000));
    const read = async (name: string, bytes: Buffer) => {
      proxy.exchanges.length = 0;
      expect((await uploadWithStockClient(files, bytes, name)).outcome).toBe('success');
      const reads = proxy.exchanges.filter((exchange) => operationOf(exchange) === 'GetObject' && exchange.path.includes('/bytes'));
      return reads.reduce((sum, { answer }) => sum + Number(answer?.['content-length'] ?? 0), 0);
    };
    // At most the head, when it is no longer in memory.
    expect(await read('film.mp4', await videoBytes(6 * MIB))).toBeLessThan(64 * 1024);
    const ofArchive = await read('a.zip', zip([{ name: 'a.txt', content, isStored: true }]));
    expect(ofArchive).toBeGreaterThan(0);
    expect(ofArchive).toBeLessThan(MIB);
    const ofText = await read('a.txt', content);
    expect(ofText).toBeGreaterThanOrEqual(content.byteLength);
    expect(ofText).toBeLessThan(content.byteLength + 64 * 1024);
  });

  it('of no bytes is accepted where policy allows it, as an empty object', async () => {
    const { files, onlyFile, expectNothingStaged } = await embedLandfallOnS3(undefined, { allowEmpty: true, allow: 'text' });
    const created = await createUpload(files, { length: 0, name: 'empty.txt' });
    expect(created.status).toBe(201);
    expect(await readRecord(created.url)).toMatchObject({ state: 'accepted', length: 0 });
    expect((await onlyFile()).bytes.byteLength).toBe(0);
    await expectNothingStaged();
  });

  it.for([3 * MIB, 11 * MIB])('of %i bytes whose creation is repeated with a body is compared with the stored bytes', async (sent) => {
    const { files } = await embedLandfallOnS3();
    const bytes = await videoBytes(12 * MIB);
    const body = bytes.subarray(0, sent);
    const other = Buffer.from(body);
    other[5] = (other[5] ?? 0) ^ 1;
    const create = (content: Buffer<ArrayBuffer>) =>
      createUpload(files, { length: bytes.length, name: 'film.mp4', body: content, headers: { 'Idempotency-Key': 'one' } });
    const { url } = await create(body);
    expect(await create(body)).toMatchObject({ status: 201, url, offset: sent });
    expect(await create(other)).toMatchObject({ status: 422, code: 'ERR_IDEMPOTENCY_KEY_REUSED' });
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: sent });
    expect((await patchUpload(url, sent, bytes.subarray(sent))).offset).toBe(bytes.length);
    const last = Buffer.from(body);
    last[sent - 1] = (last[sent - 1] ?? 0) ^ 1;
    expect(await create(last), 'the body was not compared with the bytes stored in S3').toMatchObject({ status: 422 });
    expect(await create(body)).toMatchObject({ status: 201, url, offset: bytes.length });
  });

  it.for([true, false])('whose length turns out to be 0 gets its verdict each time: accepted is %s', async (allowEmpty) => {
    const { url: home, files, s3, expectNothingStaged } = await embedLandfallOnS3(undefined, { allowEmpty, allow: 'text' });
    const { url } = await createUpload(files, { name: 'empty.txt', headers: { 'Upload-Defer-Length': '1' } });
    for (let time = 0; time < 2; time++) {
      const answer = await patchUpload(url, 0, new Uint8Array(), { 'Upload-Length': '0' });
      expect(answer).toMatchObject(allowEmpty ? { status: 204, offset: 0 } : { status: 422, code: 'ERR_EMPTY' });
    }
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: 0 });
    const form = new FormData();
    form.append('file', new File([], 'empty.txt'));
    expect((await fetch(`${home}/upload`, { method: 'POST', body: form })).status).toBe(allowEmpty ? 201 : 422);
    expect(await s3.keys('files/')).toHaveLength(allowEmpty ? 2 : 0);
    await expectNothingStaged();
  });

  it.for([3 * MIB, 5 * MIB, 12 * MIB])('of %i bytes whose length is declared at the end is stored whole', async (length) => {
    const { files, onlyFile, expectNothingStaged } = await embedLandfallOnS3();
    const bytes = await videoBytes(length);
    const { url } = await createUpload(files, { name: 'film.mp4', headers: { 'Upload-Defer-Length': '1' } });
    expect((await patchUpload(url, 0, bytes.subarray(0, MIB))).offset).toBe(MIB);
    expect((await patchUpload(url, MIB, bytes.subarray(MIB))).offset).toBe(length);
    expect((await headUpload(url)).offset).toBe(length);
    expect(await patchUpload(url, length, Buffer.alloc(0), { 'Upload-Length': String(length) })).toMatchObject({
      status: 204,
      offset: length,
    });
    expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
    await expectNothingStaged();
  });

  it('exists only in staging until its checks have passed', async () => {
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const gate = {
      name: 'gate',
      async run() {
        begin();
        await over;
        return undefined;
      },
    };
    const { files, s3, proxy, onlyFile } = await embedLandfallOnS3(undefined, { s3CopyThreshold: 5 * MIB }, { checks: [gate] });
    const bytes = await videoBytes(12 * MIB);
    const { url } = await createUpload(files, { length: bytes.byteLength, name: 'film.mp4' });
    const sent = patchUpload(url, 0, bytes);
    await begun;
    const ofFinalKeys = () =>
      proxy.exchanges.filter(({ path }) => path.includes(`${s3.options.prefix}files/${new Date().getUTCFullYear()}`));
    expect(ofFinalKeys()).toEqual([]);
    expect([await s3.keys('files/'), (await s3.unfinished()).filter((key) => key.startsWith('files/'))]).toEqual([[], []]);
    expect((await fetch(url)).status).toBe(404);
    end();
    expect((await sent).status).toBe(204);
    expect(ofFinalKeys().length).toBeGreaterThan(0);
    expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
  });

  it('that is refused leaves nothing in the bucket', async () => {
    const refusing = { name: 'no', run: async () => ({ code: 'ERR_CHECK_REFUSED' as const }) };
    const { files, s3, expectNothingStaged } = await embedLandfallOnS3(undefined, {}, { checks: [refusing] });
    const told = await uploadWithStockClient(files, await videoBytes(11 * MIB), 'film.mp4', { retryDelays: [] });
    expect(told).toMatchObject({ outcome: 'error', status: 422 });
    await expectNothingStaged();
    expect(await s3.keys()).toEqual([]);
  });

  it('that is terminated leaves nothing in the bucket', async () => {
    const { files, s3, expectNothingStaged } = await embedLandfallOnS3();
    const { url } = await createUpload(files, { length: 20 * MIB, name: 'film.mp4' });
    await patchUpload(url, 0, (await videoBytes(20 * MIB)).subarray(0, 12 * MIB));
    expect(await s3.unfinished()).toHaveLength(1);
    expect((await terminateUpload(url)).status).toBe(204);
    await expectNothingStaged();
    expect(await s3.keys()).toEqual([]);
  });

  it.for([3 * MIB, 12 * MIB])('of %i bytes resumes after a body that was longer than that', async (length) => {
    const { files, onlyFile, expectNothingStaged } = await embedLandfallOnS3();
    const bytes = await videoBytes(length + 100);
    const { url } = await createUpload(files, { length, name: 'film.mp4' });
    // A body without a Content-Length.
    const tooLong = new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.byteLength; at += 64 * 1024) controller.enqueue(bytes.subarray(at, at + 64 * 1024));
        controller.close();
      },
    });
    expect(await patchUpload(url, 0, tooLong)).toMatchObject({ status: 413, code: 'ERR_UPLOAD_LENGTH_EXCEEDED' });
    const { offset = -1 } = await headUpload(url);
    expect(offset).toBeLessThan(length);
    expect(await patchUpload(url, offset, bytes.subarray(offset, length))).toMatchObject({ status: 204, offset: length });
    expect((await onlyFile()).bytes.equals(bytes.subarray(0, length))).toBe(true);
    await expectNothingStaged();
  });

  it('resumes from before a chunk whose checksum was wrong', async () => {
    const { files, onlyFile } = await embedLandfallOnS3();
    const bytes = await videoBytes(17 * MIB);
    const { url } = await createUpload(files, { length: 17 * MIB, name: 'film.mp4' });
    expect((await patchUpload(url, 0, bytes.subarray(0, 7 * MIB))).offset).toBe(7 * MIB);
    const wrong = { 'Upload-Checksum': `sha1 ${Buffer.alloc(20).toString('base64')}` };
    expect((await patchUpload(url, 7 * MIB, Buffer.alloc(9 * MIB), wrong)).status).toBe(460);
    expect((await headUpload(url)).offset).toBe(7 * MIB);
    expect((await patchUpload(url, 7 * MIB, bytes.subarray(7 * MIB))).status).toBe(204);
    expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
  });

  it('is told of a wrong checksum of the last chunk, and resumes from before that chunk', async () => {
    const { files, onlyFile } = await embedLandfallOnS3();
    const bytes = await videoBytes(17 * MIB);
    const { url } = await createUpload(files, { length: 17 * MIB, name: 'film.mp4' });
    expect((await patchUpload(url, 0, bytes.subarray(0, 7 * MIB))).offset).toBe(7 * MIB);
    const wrong = { 'Upload-Checksum': `sha1 ${Buffer.alloc(20).toString('base64')}` };
    expect((await patchUpload(url, 7 * MIB, Buffer.alloc(10 * MIB), wrong)).status).toBe(460);
    expect((await headUpload(url)).offset).toBe(7 * MIB);
    expect((await patchUpload(url, 7 * MIB, bytes.subarray(7 * MIB))).status).toBe(204);
    expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
  });

  it('above the threshold is copied in parallel parts, and is stored whole', async () => {
    const begunMs: number[] = [];
    const { files, onlyFile, expectNothingStaged } = await embedLandfallOnS3(
      (exchange) => {
        if (operationOf(exchange) !== 'UploadPartCopy') return undefined;
        begunMs.push(performance.now());
        return { kind: 'delay', ms: 4000 };
      },
      { s3CopyThreshold: 5 * MIB },
    );
    const bytes = await videoBytes(18 * MIB);
    expect((await uploadWithStockClient(files, bytes, 'film.mp4')).outcome).toBe('success');
    expect(begunMs).toHaveLength(4);
    // Sequential copies would start three answers apart.
    expect(Math.max(...begunMs) - Math.min(...begunMs)).toBeLessThan(12_000);
    expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
    await expectNothingStaged();
  });

  it.runIf(isLong)('above 5 GiB, which S3 copies only in parts, is stored whole', async () => {
    const { files, s3, proxy, expectNothingStaged } = await embedLandfallOnS3(undefined, {
      maxUploadSize: 8 * 1024 * MIB,
      s3PartSize: 64 * MIB,
      s3Memory: 512 * MIB,
      patience: 280_000,
    });
    const piece = await videoBytes(64 * MIB);
    const pieces = 81;
    const { url } = await createUpload(files, { length: pieces * piece.byteLength, name: 'film.mp4' });
    const sent = createHash('sha256');
    for (let at = 0; at < pieces; at++) {
      sent.update(piece);
      expect((await patchUpload(url, at * piece.byteLength, piece)).status).toBe(204);
    }
    const [key = ''] = await s3.keys('files/');
    const stored = createHash('sha256');
    for await (const chunk of await s3.bucket.stream(key)) stored.update(chunk);
    expect(stored.digest('hex')).toBe(sent.digest('hex'));
    expect(proxy.exchanges.filter((exchange) => operationOf(exchange) === 'UploadPartCopy')).toHaveLength(6);
    await expectNothingStaged();
  });

  it('resumes after a restart at the acknowledged offset', async () => {
    const first = await embedLandfallOnS3();
    const bytes = await videoBytes(14 * MIB);
    const { url } = await createUpload(first.files, { length: 14 * MIB, name: 'film.mp4' });
    expect((await patchUpload(url, 0, bytes.subarray(0, 8 * MIB))).offset).toBe(8 * MIB);
    await first.close();
    const second = await embedLandfall(first.config);
    const again = `${second.files}/${idOf(url)}`;
    expect((await headUpload(again)).offset).toBe(8 * MIB);
    expect((await patchUpload(again, 8 * MIB, bytes.subarray(8 * MIB))).offset).toBe(14 * MIB);
    expect((await first.onlyFile()).bytes.equals(bytes)).toBe(true);
  });
});

describe('a file in S3', () => {
  async function accepted(more: Parameters<typeof embedLandfallOnS3>[1] = {}) {
    const opened = await embedLandfallOnS3(undefined, more);
    const bytes = await videoBytes(6 * MIB);
    const { url } = await uploadWithStockClient(opened.files, bytes, NAME);
    return { ...opened, url, bytes };
  }

  it('is sent whole, in ranges, and not at all when the reader has it', async () => {
    const { url, bytes } = await accepted();
    const whole = await fetch(url);
    expect([whole.status, whole.headers.get('Content-Type')]).toEqual([200, 'video/mp4']);
    expect(whole.headers.get('Content-Disposition')).toMatch(/^attachment/);
    expect(Buffer.from(await whole.arrayBuffer()).equals(bytes)).toBe(true);
    const part = await fetch(url, { headers: { Range: 'bytes=100-199' } });
    expect([part.status, part.headers.get('Content-Range')]).toEqual([206, `bytes 100-199/${6 * MIB}`]);
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(100, 200))).toBe(true);
    expect((await fetch(url, { headers: { Range: `bytes=${7 * MIB}-` } })).status).toBe(416);
    // fetch would add `Cache-Control: no-cache`, which asks for the whole file.
    const lines = ['Host: localhost', 'Connection: close', `If-None-Match: ${whole.headers.get('ETag')}`];
    expect((await rawRequest(url, [head(`GET ${new URL(url).pathname} HTTP/1.1`, ...lines)])).status).toBe(304);
  });

  it('is redirected to its address in S3, for a while, under its own name', async () => {
    const { url, bytes, s3 } = await accepted({ s3Downloads: 'redirect', s3LinkLifetime: '1m' });
    const answer = await fetch(url, { redirect: 'manual' });
    expect([answer.status, answer.headers.get('Cache-Control')]).toEqual([302, 'no-store']);
    const location = new URL(answer.headers.get('Location') ?? '');
    expect(location.pathname).toContain(s3.name);
    expect(location.searchParams.get('X-Amz-Expires')).toBe('60');
    const followed = await fetch(url);
    expect(followed.headers.get('Content-Disposition')).toMatch(/^attachment/);
    expect(Buffer.from(await followed.arrayBuffer()).equals(bytes)).toBe(true);
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, head.headers.get('Content-Length')]).toEqual([200, String(6 * MIB)]);
  });
});
