// GET and HEAD of an accepted file, and the record of it.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { Check } from '../../server/index.ts';
import { videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { head, rawRequest } from '../support/raw-http.ts';
import { createUpload, headUpload, patchUpload, readRecord, terminateUpload } from '../support/tus-requests.ts';
import { PATIENT } from './patient.ts';

const TEXT = '0123456789';

async function withFile(name = 'notes.txt', body: Buffer<ArrayBuffer> = Buffer.from(TEXT)) {
  const server = await embedLandfall();
  const created = await createUpload(server.files, { length: body.byteLength, name, body });
  expect(created).toMatchObject({ status: 201, offset: body.byteLength });
  return { ...server, url: created.url };
}

describe('an accepted file', () => {
  it('is sent whole, inert, and as an attachment', async () => {
    const { url } = await withFile();
    const response = await fetch(url);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe(TEXT);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'text/plain',
      'content-length': '10',
      'content-disposition': 'attachment; filename=notes.txt',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; sandbox",
      'cache-control': 'private, no-cache',
      'accept-ranges': 'bytes',
    });
    expect(response.headers.get('Tus-Resumable')).toBeNull();
  });

  it.for(['報告 – Zoë 🎬.mp4', 'a"b\\c%41.mp4', 'plain.mp4'])('named %s is given its safe name', async (name) => {
    const { url } = await withFile(name, await videoBytes(1000));
    const response = await fetch(url);
    const disposition = response.headers.get('Content-Disposition') ?? '';
    const record = await readRecord(url);
    expect(disposition).toMatch(/^attachment; filename/);
    const extended = /filename\*=UTF-8''([^;]+)/.exec(disposition)?.[1];
    const plain = /filename=([\w.]+)/.exec(disposition)?.[1];
    expect(extended === undefined ? plain : decodeURIComponent(extended)).toBe(record.name);
    expect((await response.arrayBuffer()).byteLength).toBe(1000);
  });

  it.for([
    ['bytes=0-0', 206, '0', 'bytes 0-0/10'],
    ['bytes=5-', 206, '56789', 'bytes 5-9/10'],
    ['bytes=-3', 206, '789', 'bytes 7-9/10'],
    ['bytes=8-100', 206, '89', 'bytes 8-9/10'],
    ['bytes=10-', 416, undefined, 'bytes */10'],
    ['bytes=x-y', 200, TEXT, null],
    ['lines=1-2', 200, TEXT, null],
  ] as const)('answers a Range of %s with %i', async ([range, status, text, contentRange]) => {
    const { url } = await withFile();
    const response = await fetch(url, { headers: { Range: range } });
    expect(response.status).toBe(status);
    expect(response.headers.get('Content-Range')).toBe(contentRange);
    if (text === undefined) {
      expect(response.headers.get('Content-Type')).toBe('application/problem+json');
      expect(response.headers.get('Content-Disposition')).toBeNull();
      await response.text();
    } else expect(await response.text()).toBe(text);
  });

  it('is not sent again to a reader that has it', async () => {
    const { url } = await withFile();
    const etag = (await fetch(url)).headers.get('ETag') ?? '';
    expect(etag).toMatch(/^"[0-9a-f]{32}"$/);
    // `fetch` would add a Cache-Control that asks for the file anyway.
    const request = head(`GET ${new URL(url).pathname} HTTP/1.1`, 'Host: x', `If-None-Match: ${etag}`, 'Connection: close');
    const same = await rawRequest(url, [request]);
    expect([same.status, same.body]).toEqual([304, '']);
    expect((await fetch(url, { headers: { 'If-None-Match': '"another"' } })).status).toBe(200);
    expect((await fetch(url, { headers: { 'If-Match': '"another"' } })).status).toBe(412);
    const rest = await fetch(url, { headers: { Range: 'bytes=5-', 'If-Range': etag } });
    expect([rest.status, await rest.text()]).toEqual([206, '56789']);
    const whole = await fetch(url, { headers: { Range: 'bytes=5-', 'If-Range': '"another"' } });
    expect([whole.status, await whole.text()]).toEqual([200, TEXT]);
  });

  it('answers HEAD, for a download or for an upload', async () => {
    const { url } = await withFile();
    const download = await fetch(url, { method: 'HEAD' });
    expect(download.status).toBe(200);
    expect(download.headers.get('Content-Length')).toBe('10');
    expect(download.headers.get('ETag')).not.toBeNull();
    const upload = await headUpload(url);
    expect(upload).toMatchObject({ status: 200, offset: 10 });
    expect(upload.headers.get('Content-Length')).not.toBe('10');
  });

  it('has no address before it is accepted, and is 404 once the disk has lost it', async () => {
    const wait = Promise.withResolvers<undefined>();
    const slow: Check = { name: 'slow', run: () => wait.promise };
    const server = await embedLandfall({ patience: 50 }, { checks: [slow] });
    const created = await createUpload(server.files, { length: 10, name: 'notes.txt', body: Buffer.from('01234') });
    expect((await fetch(created.url)).status).toBe(404);
    await patchUpload(created.url, 5, '56789');
    expect((await fetch(created.url)).status).toBe(404);
    expect(await terminateUpload(created.url)).toMatchObject({ status: 423, code: 'ERR_INSPECTING' });
    wait.resolve(undefined);
    await vi.waitFor(async () => expect((await fetch(created.url)).status).toBe(200), PATIENT);
    expect(await terminateUpload(created.url)).toMatchObject({ status: 403, code: 'ERR_UPLOAD_FINISHED' });
    await rm(join(server.dataDir, 'files'), { recursive: true });
    const lost = await fetch(created.url);
    expect(lost.status).toBe(404);
    expect(await lost.text()).not.toContain(server.dataDir);
  });
});

describe('status with wait', () => {
  it('is answered when the state changes, with the new state', async () => {
    const wait = Promise.withResolvers<undefined>();
    const slow: Check = { name: 'slow', run: () => wait.promise };
    const server = await embedLandfall({ patience: 50 }, { checks: [slow] });
    const { url } = await createUpload(server.files, { length: 4, name: 'a.txt' });
    const states: string[] = [];
    const first = fetch(`${url}/status?wait=20`).then(async (response) => states.push((await response.json()).state));
    await patchUpload(url, 0, 'text');
    await first;
    const second = fetch(`${url}/status?wait=20`).then(async (response) => states.push((await response.json()).state));
    wait.resolve(undefined);
    await second;
    expect(states).toEqual(['inspecting', 'accepted']);
  });

  it('is answered at once for an ended upload, and after its time for an unfinished one', async () => {
    const { url, files } = await withFile();
    expect(await (await fetch(`${url}/status?wait=50`)).json()).toMatchObject({ state: 'accepted', offset: 10 });
    const waiting = await createUpload(files, { length: 4, name: 'a.txt' });
    expect(await (await fetch(`${waiting.url}/status?wait=1`)).json()).toMatchObject({ state: 'receiving', offset: 0 });
  });

  it.for(['-1', '1.5', 'x', '1e3', '1234567'])('refuses to wait for %s', async (wait) => {
    const { url } = await withFile();
    expect((await fetch(`${url}/status?wait=${wait}`)).status).toBe(400);
  });
});
