// The held last byte and repeated creations: senders that stall while they repeat it, and creations that are sent again.
import { once } from 'node:events';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Check, ConfigInput } from '../../server/index.ts';
import { filesBelow } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { head, openSocket, patchHead } from '../support/raw-http.ts';
import { createUpload, headUpload, patchUpload, readRecord } from '../support/tus-requests.ts';
import { PATIENT } from './patient.ts';

const TEXT = Buffer.from('0123456789');

/** A server whose only check waits until the test releases it. */
async function withGate(config: ConfigInput = {}) {
  const gate = Promise.withResolvers<{ code: 'ERR_CHECK_REFUSED' } | undefined>();
  const check: Check = { name: 'gate', run: () => gate.promise };
  const server = await embedLandfall({ patience: 100, ...config }, { checks: [check] });
  return { ...server, decide: gate.resolve };
}

/** Announces a byte at this offset in a PATCH, and never sends it. */
async function stallingPatch(url: string, offset: number) {
  const socket = await openSocket(url);
  onTestFinished(() => void socket.destroy());
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  const ended = once(socket, 'end');
  socket.write(patchHead(url, offset, 1));
  return { socket, ended, answer: () => answer };
}

function rows(dataDir: string, sql: string): Record<string, unknown>[] {
  const database = new DatabaseSync(join(dataDir, 'ledger.sqlite'), { readOnly: true });
  const all = database.prepare(sql).all();
  database.close();
  return all;
}

describe('the held byte', () => {
  it('that is announced and never sent is waited for like any body, during the inspection', async () => {
    const { files, decide } = await withGate({ bodyTimeout: 300 });
    const { url } = await createUpload(files, { length: 10, name: 'a.txt', body: TEXT });
    const { ended, answer } = await stallingPatch(url, 9);
    await ended;
    expect(answer()).toMatch(/^HTTP\/1\.1 408 /);
    decide(undefined);
    await vi.waitFor(async () => expect((await readRecord(url)).state).toBe('accepted'), PATIENT);
  });

  it('that arrives after the verdict gets the verdict, although the staged bytes were deleted', async () => {
    const { files, decide } = await withGate();
    const { url } = await createUpload(files, { length: 10, name: 'a.txt', body: TEXT });
    const { socket, ended, answer } = await stallingPatch(url, 9);
    // The server has its head and not its body: the verdict falls in between.
    await new Promise((resolve) => setTimeout(resolve, 100));
    decide({ code: 'ERR_CHECK_REFUSED' });
    await vi.waitFor(async () => expect((await readRecord(url)).state).toBe('rejected'), PATIENT);
    socket.write('9');
    await Promise.race([ended, vi.waitFor(() => expect(answer()).toContain('ERR_CHECK_REFUSED'), PATIENT)]);
    expect(answer()).toMatch(/^HTTP\/1\.1 422 /);
  });

  it('starts the inspection even when the sender leaves before its answer', async () => {
    const { files, dataDir } = await embedLandfall();
    const { url } = await createUpload(files, { length: 10, name: 'a.txt' });
    const socket = await openSocket(url);
    const lines = ['Host: x', 'Tus-Resumable: 1.0.0', 'Upload-Offset: 0', 'Content-Type: application/offset+octet-stream'];
    // Chunked, without the final chunk: the server can't know that no more bytes follow.
    socket.write(head(`PATCH ${new URL(url).pathname} HTTP/1.1`, ...lines, 'Transfer-Encoding: chunked'));
    socket.write(`a\r\n${TEXT}\r\n`);
    await vi.waitFor(async () => expect((await headUpload(url)).offset).toBe(9), PATIENT);
    socket.destroy();
    await vi.waitFor(async () => expect((await readRecord(url)).state).toBe('accepted'), PATIENT);
    expect(await filesBelow(join(dataDir, 'files'))).toHaveLength(1);
  });
});

describe('a chunk with a checksum that a crash broke off', () => {
  it('is sent again, with or without a checksum, and then holds nothing back', async () => {
    const { files, dataDir } = await embedLandfall();
    const { url } = await createUpload(files, { length: 10, name: 'a.txt', body: TEXT.subarray(0, 5) });
    // As if the process had ended with three of its bytes stored and none acknowledged.
    const database = new DatabaseSync(join(dataDir, 'ledger.sqlite'));
    database.exec('update uploads set unverifiedFrom = 2');
    database.close();
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: 2 });
    expect(await patchUpload(url, 2, TEXT.subarray(2, 6))).toMatchObject({ status: 204, offset: 6 });
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: 6 });
    expect(await patchUpload(url, 6, TEXT.subarray(6))).toMatchObject({ status: 204, offset: 10 });
    expect(await (await fetch(url)).text()).toBe(String(TEXT));
  });
});

describe('a creation that is refused', () => {
  it.for([
    ['a length over the limit', { 'Upload-Length': '101' }, 'ERR_MAX_SIZE_EXCEEDED'],
    ['a body over the limit and no length yet', { 'Upload-Defer-Length': '1' }, 'ERR_MAX_SIZE_EXCEEDED'],
    ['a body longer than the length', { 'Upload-Length': '5' }, 'ERR_UPLOAD_LENGTH_EXCEEDED'],
    ['a body where nothing is to come', { 'Upload-Length': '0' }, 'ERR_UPLOAD_LENGTH_EXCEEDED'],
  ] as const)('for %s leaves no row behind', async ([, headers, code]) => {
    const { files, dataDir } = await embedLandfall({ maxUploadSize: 100 });
    const body = Buffer.alloc(200, 'x');
    expect(await createUpload(files, { name: 'a.txt', body, headers })).toMatchObject({ status: 413, code });
    expect(rows(dataDir, 'select * from uploads')).toEqual([]);
    expect(await filesBelow(join(dataDir, 'staging'))).toEqual([]);
  });
});

describe('an empty file', () => {
  const KEY = { 'Idempotency-Key': 'empty' };

  it('is never reported as stored before its verdict: the creation is answered 503, and leaves nothing', async () => {
    const { files, dataDir, decide } = await withGate({ allowEmpty: true });
    expect(await createUpload(files, { length: 0, name: 'a.txt', headers: KEY })).toMatchObject({ status: 503, url: '' });
    expect(rows(dataDir, 'select * from uploads')).toEqual([]);
    // The inspection without a waiting sender ends, and publishes nothing.
    decide(undefined);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await filesBelow(join(dataDir, 'files'))).toEqual([]);
    await vi.waitFor(async () => expect(await filesBelow(join(dataDir, 'staging'))).toEqual([]), PATIENT);
  });

  it('created again with its key waits for the same verdict, and is not answered sooner', async () => {
    const { files, decide } = await withGate({ allowEmpty: true, patience: 3000 });
    const first = createUpload(files, { length: 0, name: 'a.txt', headers: KEY });
    await new Promise((resolve) => setTimeout(resolve, 100));
    const second = createUpload(files, { length: 0, name: 'a.txt', headers: KEY });
    await new Promise((resolve) => setTimeout(resolve, 100));
    decide(undefined);
    expect(await first).toMatchObject({ status: 201, offset: 0 });
    expect(await second).toMatchObject({ status: 201, offset: 0, url: (await first).url });
    expect((await readRecord((await first).url)).state).toBe('accepted');
  });

  it('whose creation a crash broke off is created again and gets its own verdict', async () => {
    const { files, dataDir } = await embedLandfall({ allowEmpty: true });
    const stalled = await createUpload(files, { length: 5, name: 'a.txt', headers: KEY });
    // As if the process had ended between the row and the inspection.
    const database = new DatabaseSync(join(dataDir, 'ledger.sqlite'));
    database.exec("update uploads set length = 0, creationFingerprint = null, idempotencyKey = 'empty'");
    database.close();
    const again = await createUpload(files, { length: 0, name: 'a.txt', headers: KEY });
    expect(again).toMatchObject({ status: 201, offset: 0, url: stalled.url });
    expect((await readRecord(again.url)).state).toBe('accepted');
  });
});

describe('an idempotency key', () => {
  it('stands for one upload for a day, and then for another', async () => {
    const { files, dataDir } = await embedLandfall();
    const creation = { length: 10, name: 'a.txt', body: TEXT, headers: { 'Idempotency-Key': 'key' } };
    const first = await createUpload(files, creation);
    expect((await createUpload(files, creation)).url).toBe(first.url);
    const database = new DatabaseSync(join(dataDir, 'ledger.sqlite'));
    database.prepare(`update uploads set ${createdAtColumn(dataDir)} = ?`).run(Date.now() - 25 * 3_600_000);
    database.close();
    const next = await createUpload(files, creation);
    expect(next).toMatchObject({ status: 201, offset: 10 });
    expect(next.url).not.toBe(first.url);
    expect((await readRecord(first.url)).state).toBe('accepted');
    expect(await filesBelow(join(dataDir, 'files'))).toHaveLength(2);
  });

  it('gives a repeated creation the current offset, while the first request is still sending', async () => {
    const server = await embedLandfall();
    const socket = await openSocket(server.url);
    onTestFinished(() => void socket.destroy());
    const lines = ['Host: x', 'Tus-Resumable: 1.0.0', 'Upload-Length: 10', 'Idempotency-Key: key', 'Content-Length: 10'];
    socket.write(head('POST /files HTTP/1.1', ...lines, 'Content-Type: application/offset+octet-stream'));
    socket.write(TEXT.subarray(0, 4));
    await vi.waitFor(async () => expect(await filesBelow(join(server.dataDir, 'staging'))).toHaveLength(1), PATIENT);
    const again = await createUpload(server.files, { length: 10, headers: { 'Idempotency-Key': 'key' } });
    expect(again).toMatchObject({ status: 201, offset: 4 });
    // The silent first request lost its lock: this one continues.
    expect(await patchUpload(again.url, 4, TEXT.subarray(4))).toMatchObject({ status: 204, offset: 10 });
  });
});

function createdAtColumn(dataDir: string): string {
  const columns = rows(dataDir, "select name from pragma_table_info('uploads')").map(({ name }) => String(name));
  return columns.find((name) => /^created_?at$/i.test(name)) ?? '';
}
