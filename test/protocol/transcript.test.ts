// tus 1.0.0 (https://tus.io/protocols/resumable-upload), clause by clause, against the real server.
import { describe, expect, it } from 'vitest';
import { videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { head, rawRequest } from '../support/raw-http.ts';
import { createUpload, encodeMetadata, headUpload, patchUpload, readRecord, terminateUpload, tusRequest } from '../support/tus-requests.ts';

const LENGTH = 10_000;
const OFFSET_TYPE = 'application/offset+octet-stream';

async function startReceiving(config: Parameters<typeof embedLandfall>[0] = {}) {
  const server = await embedLandfall(config);
  const bytes = await videoBytes(LENGTH);
  const created = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
  return { ...server, bytes, created, url: created.url };
}

describe('the tus core protocol', () => {
  it('reports version, extensions and size limit to OPTIONS, whatever version the request names', async () => {
    const { files } = await embedLandfall({ maxUploadSize: 123_456 });
    for (const version of [{}, { 'Tus-Resumable': '0.2.2' }]) {
      const response = await fetch(files, { method: 'OPTIONS', headers: { ...version } });
      expect(response.status).toBe(200);
      expect(response.headers.get('Tus-Version')).toBe('1.0.0');
      expect(response.headers.get('Tus-Max-Size')).toBe('123456');
      const extensions = response.headers.get('Tus-Extension')?.split(',') ?? [];
      expect(extensions).toEqual(
        expect.arrayContaining(['creation', 'creation-with-upload', 'creation-defer-length', 'termination', 'expiration']),
      );
    }
  });

  it('refuses a missing or unknown version with 412 and processes nothing', async () => {
    const { files, url, bytes } = await startReceiving();
    for (const headers of [{}, { 'Tus-Resumable': '0.2.2' }, { 'Tus-Resumable': '1.0.1' }]) {
      const extra = { ...headers } as Record<string, string>;
      const requests = [
        fetch(files, { method: 'POST', headers: { ...extra, 'Upload-Length': '5' } }),
        fetch(url, { method: 'PATCH', headers: { ...extra, 'Upload-Offset': '0', 'Content-Type': OFFSET_TYPE }, body: bytes }),
        fetch(url, { method: 'HEAD', headers: extra }),
        fetch(url, { method: 'DELETE', headers: extra }),
      ];
      for (const response of await Promise.all(requests)) {
        expect(response.status).toBe(412);
        expect(response.headers.get('Tus-Version')).toBe('1.0.0');
      }
    }
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: 0 });
  });

  it('names its version in every answer but that to OPTIONS', async () => {
    const { files, url, bytes } = await startReceiving();
    const unknown = `${files}/${'0'.repeat(32)}`;
    const answers = await Promise.all([
      headUpload(url),
      headUpload(unknown),
      patchUpload(url, 5, bytes),
      patchUpload(unknown, 0, bytes),
      createUpload(files, {}),
      terminateUpload(unknown),
      tusRequest('HEAD', url, { 'Tus-Resumable': '9.9.9' }),
    ]);
    for (const { headers, status } of answers) expect(headers.get('Tus-Resumable'), `answer ${status}`).toBe('1.0.0');
  });

  it('reports offset, length and unchanged metadata to HEAD, and forbids caches to store the answer', async () => {
    const { files } = await embedLandfall();
    const sent = `${encodeMetadata({ filename: 'film.mp4' })},empty`;
    const { url } = await createUpload(files, { length: LENGTH, headers: { 'Upload-Metadata': sent } });
    const answer = await headUpload(url);
    expect(answer).toMatchObject({ status: 200, offset: 0 });
    expect(answer.headers.get('Upload-Length')).toBe(String(LENGTH));
    expect(answer.headers.get('Upload-Metadata')).toBe(sent);
    expect(answer.headers.get('Cache-Control')).toBe('no-store');
  });

  it('answers 404 for an unknown upload and 410 for a deleted one, both without an offset', async () => {
    const { files, url, bytes } = await startReceiving();
    expect((await terminateUpload(url)).status).toBe(204);
    for (const [address, status] of [
      [`${files}/${'0'.repeat(32)}`, 404],
      [url, 410],
    ] as const) {
      for (const answer of [await headUpload(address), await patchUpload(address, 0, bytes), await terminateUpload(address)]) {
        expect(answer).toMatchObject({ status, offset: undefined });
      }
    }
  });

  it('refuses a PATCH of another content type with 415, without an offset with 400, at another offset with 409', async () => {
    const { url, bytes } = await startReceiving();
    expect(await tusRequest('PATCH', url, { 'Upload-Offset': '0', 'Content-Type': 'application/octet-stream' }, bytes)).toMatchObject({
      status: 415,
      code: 'ERR_INVALID_CONTENT_TYPE',
    });
    expect(await tusRequest('PATCH', url, { 'Content-Type': OFFSET_TYPE }, bytes)).toMatchObject({
      status: 400,
      code: 'ERR_INVALID_OFFSET',
    });
    expect(await patchUpload(url, 7, bytes.subarray(7))).toMatchObject({ status: 409, code: 'ERR_MISMATCHED_OFFSET', offset: 0 });
    expect(await headUpload(url)).toMatchObject({ offset: 0 });
  });

  it('takes the content type of a PATCH in any case and with parameters', async () => {
    const { url, bytes } = await startReceiving();
    const types = [`${OFFSET_TYPE}; charset=utf-8`, `${OFFSET_TYPE} ;a="b"`, `${OFFSET_TYPE};`, 'Application/Offset+Octet-Stream'];
    for (const [offset, type] of types.entries()) {
      const answer = await patchUpload(url, offset, bytes.subarray(offset, offset + 1), { 'Content-Type': type });
      expect(answer, type).toMatchObject({ status: 204, offset: offset + 1 });
    }
  });

  it('treats a creation with an empty body as one without a body, whatever its content type', async () => {
    const { url } = await embedLandfall();
    const create = (lines: string[], body: string) =>
      rawRequest(
        url,
        [head('POST /files HTTP/1.1', 'Host: localhost', 'Tus-Resumable: 1.0.0', 'Upload-Length: 5', 'Connection: close', ...lines), body],
        30_000,
      );
    const types = [
      [],
      ['Content-Type: application/json'],
      [`Content-Type: ${OFFSET_TYPE}`],
      ['Content-Type: Application/Offset+Octet-Stream; a=b'],
    ];
    for (const type of types) {
      const chunked = [...type, 'Transfer-Encoding: chunked'];
      expect((await create(chunked, '0\r\n\r\n')).status, `${type}, empty`).toBe(201);
      const isRight = type[0]?.toLowerCase().includes(OFFSET_TYPE) ?? false;
      expect((await create(chunked, '1\r\nx\r\n0\r\n\r\n')).status, `${type}, one byte`).toBe(isRight ? 201 : 415);
      expect((await create([...type, 'Content-Length: 0'], '')).status, `${type}, no length`).toBe(201);
    }
  });

  it('answers HEAD on a record as GET, without the body', async () => {
    const { url } = await startReceiving();
    for (const query of ['', '?wait=1']) {
      const get = await fetch(`${url}/status${query}`);
      const asked = await fetch(`${url}/status${query}`, { method: 'HEAD' });
      expect([asked.status, asked.headers.get('Content-Type')]).toEqual([200, get.headers.get('Content-Type')]);
      expect(asked.headers.get('Content-Length')).toBe(String((await get.arrayBuffer()).byteLength));
    }
    expect((await fetch(`${url.slice(0, -32)}${'0'.repeat(32)}/status`, { method: 'HEAD' })).status).toBe(404);
  });

  it('ignores a Range on HEAD', async () => {
    const { url, bytes } = await startReceiving();
    const range = { Range: 'bytes=5-' };
    expect(await headUpload(url, range)).toMatchObject({ status: 200, offset: 0 });
    await patchUpload(url, 0, bytes);
    expect(await headUpload(url, range)).toMatchObject({ status: 200, offset: LENGTH });
    const file = await fetch(url, { method: 'HEAD', headers: range });
    expect([file.status, file.headers.get('Content-Length')]).toEqual([200, String(LENGTH)]);
  });

  it('acknowledges the stored bytes, chunk by chunk', async () => {
    const { url, bytes } = await startReceiving();
    expect(await patchUpload(url, 0, bytes.subarray(0, 4000))).toMatchObject({ status: 204, offset: 4000 });
    expect(await headUpload(url)).toMatchObject({ offset: 4000 });
    expect(await patchUpload(url, 4000, bytes.subarray(4000, 4000))).toMatchObject({ status: 204, offset: 4000 });
    expect(await patchUpload(url, 4000, bytes.subarray(4000))).toMatchObject({ status: 204, offset: LENGTH });
  });

  it('keeps the received bytes of a body that was cut', async () => {
    const { files, bytes } = await embedAndCreate();
    const { url } = await createUpload(files, { length: LENGTH, name: 'film.mp4' });
    const { hostname, port, pathname } = new URL(url);
    await rawRequest(
      `http://${hostname}:${port}`,
      [
        head(
          `PATCH ${pathname} HTTP/1.1`,
          'Host: localhost',
          'Tus-Resumable: 1.0.0',
          'Upload-Offset: 0',
          `Content-Type: ${OFFSET_TYPE}`,
          `Content-Length: ${LENGTH}`,
        ),
        bytes.subarray(0, 6000),
      ],
      300,
    );
    await expect.poll(async () => (await headUpload(url)).offset).toBe(6000);
    expect(await patchUpload(url, 6000, bytes.subarray(6000))).toMatchObject({ status: 204, offset: LENGTH });
  });

  it('takes the method from X-HTTP-Method-Override on a POST, and from nowhere else', async () => {
    const { url, bytes } = await startReceiving();
    const asPatch = { 'X-HTTP-Method-Override': 'PATCH', 'Upload-Offset': '0', 'Content-Type': OFFSET_TYPE };
    expect(await tusRequest('POST', url, asPatch, bytes.subarray(0, 100))).toMatchObject({ status: 204, offset: 100 });
    expect(await tusRequest('POST', url, { 'X-HTTP-Method-Override': 'HEAD' })).toMatchObject({ offset: 100 });
    expect((await fetch(`${url}/status`, { headers: { 'X-HTTP-Method-Override': 'DELETE' } })).status).toBe(200);
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: 100 });
    expect((await tusRequest('POST', url, { 'X-HTTP-Method-Override': 'DELETE' })).status).toBe(204);
    expect((await headUpload(url)).status).toBe(410);
  });
});

async function embedAndCreate() {
  const server = await embedLandfall();
  return { ...server, bytes: await videoBytes(LENGTH) };
}

describe('the creation extension', () => {
  it('takes exactly one of Upload-Length and Upload-Defer-Length: 1', async () => {
    const { files } = await embedLandfall();
    const creations = [
      {},
      { 'Upload-Length': '5', 'Upload-Defer-Length': '1' },
      { 'Upload-Defer-Length': '2' },
      { 'Upload-Defer-Length': '' },
    ];
    for (const headers of creations as Record<string, string>[])
      expect(await createUpload(files, { headers })).toMatchObject({ status: 400, url: '' });
  });

  it('gives each upload its own address, below the collection', async () => {
    const { files } = await embedLandfall();
    const answer = await createUpload(files, { length: 5, name: 'a.txt' });
    expect(answer.status).toBe(201);
    expect(new URL(answer.url).pathname).toMatch(/^\/files\/[0-9a-f]{32}$/);
    expect((await createUpload(files, { length: 5, name: 'a.txt' })).url).not.toBe(answer.url);
  });

  it('refuses a length over the limit with 413', async () => {
    const { files } = await embedLandfall({ maxUploadSize: '1 MiB' });
    expect(await createUpload(files, { length: 1024 * 1024, name: 'film.mp4' })).toMatchObject({ status: 201 });
    expect(await createUpload(files, { length: 1024 * 1024 + 1, name: 'film.mp4' })).toMatchObject({
      status: 413,
      code: 'ERR_MAX_SIZE_EXCEEDED',
    });
  });

  it('answers the creation of an empty file with its verdict', async () => {
    const { files } = await embedLandfall();
    expect(await createUpload(files, { length: 0, name: 'a.txt' })).toMatchObject({ status: 422, code: 'ERR_EMPTY' });
  });

  it('answers a creation with the first bytes with the number of stored bytes', async () => {
    const { files, bytes } = await embedAndCreate();
    const answer = await createUpload(files, { length: LENGTH, name: 'film.mp4', body: bytes.subarray(0, 2500) });
    expect(answer).toMatchObject({ status: 201, offset: 2500 });
    expect(await patchUpload(answer.url, 2500, bytes.subarray(2500))).toMatchObject({ status: 204, offset: LENGTH });
  });

  it('answers a creation with the whole file with its verdict', async () => {
    const { files, bytes } = await embedAndCreate();
    expect(await createUpload(files, { length: LENGTH, name: 'film.mp4', body: bytes })).toMatchObject({ status: 201, offset: LENGTH });
    expect(await createUpload(files, { length: LENGTH, name: 'photo.png', body: bytes })).toMatchObject({
      status: 422,
      code: 'ERR_TYPE_MISMATCH',
    });
  });

  it('honours Expect: 100-continue on a creation with a body', async () => {
    const { url: base, bytes } = await embedAndCreate();
    const answer = await rawRequest(
      base,
      [
        head(
          'POST /files HTTP/1.1',
          'Host: localhost',
          'Tus-Resumable: 1.0.0',
          `Upload-Length: ${LENGTH}`,
          `Content-Type: ${OFFSET_TYPE}`,
          'Content-Length: 100',
          'Expect: 100-continue',
        ),
        bytes.subarray(0, 100),
      ],
      300,
    );
    expect(answer.text).toMatch(/^HTTP\/1\.1 100 /);
    expect(answer.status).toBe(201);
    expect(answer.headers.get('upload-offset')).toBe('100');
  });
});

describe('an upload of deferred length', () => {
  it('is reported as deferred until a PATCH declares the length before the last bytes', async () => {
    const { files, bytes } = await embedAndCreate();
    const { url } = await createUpload(files, { name: 'film.mp4', headers: { 'Upload-Defer-Length': '1' } });
    expect(await patchUpload(url, 0, bytes.subarray(0, 4000))).toMatchObject({ status: 204, offset: 4000 });
    const before = await headUpload(url);
    expect(before.headers.get('Upload-Defer-Length')).toBe('1');
    expect(before.headers.get('Upload-Length')).toBeNull();
    const last = await patchUpload(url, 4000, bytes.subarray(4000), { 'Upload-Length': String(LENGTH) });
    expect(last).toMatchObject({ status: 204, offset: LENGTH });
    const after = await headUpload(url);
    expect(after.headers.get('Upload-Defer-Length')).toBeNull();
    expect(after.headers.get('Upload-Length')).toBe(String(LENGTH));
  });

  it('gets the verdict when the length is declared after the last byte, the first time and again', async () => {
    const { files, bytes } = await embedAndCreate();
    const { url } = await createUpload(files, { name: 'film.mp4', headers: { 'Upload-Defer-Length': '1' } });
    expect(await patchUpload(url, 0, bytes)).toMatchObject({ status: 204, offset: LENGTH });
    expect((await readRecord(url)).state).toBe('receiving');
    for (let time = 0; time < 2; time++) {
      const answer = await patchUpload(url, LENGTH, new Uint8Array(), { 'Upload-Length': String(LENGTH) });
      expect(answer).toMatchObject({ status: 204, offset: LENGTH });
    }
    expect((await readRecord(url)).state).toBe('accepted');
  });

  it('does not show its length to HEAD before the verdict, nor after a rejection', async () => {
    const { files } = await embedLandfall();
    const { url } = await createUpload(files, { name: 'photo.png', headers: { 'Upload-Defer-Length': '1' } });
    const text = Buffer.from('no picture at all');
    await patchUpload(url, 0, text);
    const verdict = await patchUpload(url, text.length, new Uint8Array(), { 'Upload-Length': String(text.length) });
    expect(verdict).toMatchObject({ status: 422, code: 'ERR_TYPE_MISMATCH' });
    const shown = await headUpload(url);
    expect(shown).toMatchObject({ status: 200, offset: text.length });
    expect(shown.headers.get('Upload-Defer-Length')).toBe('1');
    expect(await patchUpload(url, text.length, new Uint8Array(), { 'Upload-Length': String(text.length) })).toMatchObject({
      status: 422,
      text: verdict.text,
    });
  });

  it('takes the same length again, but no other length, and none over the limit', async () => {
    const { files, bytes } = await embedAndCreate();
    const { url } = await createUpload(files, { name: 'film.mp4', headers: { 'Upload-Defer-Length': '1' } });
    const declare = (offset: number, end: number, length: number) =>
      patchUpload(url, offset, bytes.subarray(offset, end), { 'Upload-Length': String(length) });
    expect(await declare(0, 100, LENGTH)).toMatchObject({ status: 204, offset: 100 });
    expect(await declare(100, 200, LENGTH)).toMatchObject({ status: 204, offset: 200 });
    expect(await declare(200, 300, LENGTH + 1)).toMatchObject({ status: 400, code: 'ERR_INVALID_UPLOAD_LENGTH' });
    expect(await headUpload(url)).toMatchObject({ offset: 200 });
    const limited = await embedLandfall({ maxUploadSize: 5000 });
    const deferred = await createUpload(limited.files, { name: 'film.mp4', headers: { 'Upload-Defer-Length': '1' } });
    expect(await patchUpload(deferred.url, 0, bytes.subarray(0, 10), { 'Upload-Length': '5001' })).toMatchObject({ status: 413 });
    expect((await patchUpload(deferred.url, 0, bytes)).status).toBe(413);
  });
});

describe('the termination of an upload', () => {
  it('frees its bytes at once, and later requests get 410', async () => {
    const { url, bytes } = await startReceiving();
    await patchUpload(url, 0, bytes.subarray(0, 100));
    expect((await terminateUpload(url)).status).toBe(204);
    expect(await terminateUpload(url)).toMatchObject({ status: 410, code: 'ERR_UPLOAD_TERMINATED' });
    expect((await readRecord(url)).state).toBe('terminated');
  });
});

describe('the expiration of an upload', () => {
  it('is reported on creation, on every PATCH and on HEAD, and is postponed by activity', async () => {
    const { created, url, bytes } = await startReceiving({ expireAfter: '1h' });
    const times = [created.headers.get('Upload-Expires')];
    await new Promise((resolve) => setTimeout(resolve, 1100));
    times.push((await patchUpload(url, 0, bytes.subarray(0, 100))).headers.get('Upload-Expires'));
    times.push((await headUpload(url)).headers.get('Upload-Expires'));
    const [first = 0, second = 0, third = 0] = times.map((time) => Date.parse(time ?? ''));
    expect(second).toBeGreaterThan(first);
    expect(third).toBe(second);
    const end = await patchUpload(url, 100, bytes.subarray(100));
    expect(end.headers.get('Upload-Expires')).toBeNull();
  });

  it('deletes an inactive upload, which then answers 410, and no other', async () => {
    const { url, bytes, files } = await startReceiving({ expireAfter: '400ms', sweepInterval: '50ms' });
    await patchUpload(url, 0, bytes.subarray(0, 100));
    const accepted = await createUpload(files, { length: LENGTH, name: 'film.mp4', body: bytes });
    await expect.poll(async () => (await readRecord(url)).state, { timeout: 60_000 }).toBe('expired');
    expect(await headUpload(url)).toMatchObject({ status: 410, code: undefined });
    expect(await patchUpload(url, 100, bytes.subarray(100))).toMatchObject({ status: 410, code: 'ERR_UPLOAD_EXPIRED' });
    expect(await headUpload(accepted.url)).toMatchObject({ status: 200, offset: LENGTH });
  });
});

describe('the CORS headers', () => {
  const ORIGIN = 'https://app.example';

  it('allow every method and header of the protocol, and let browsers cache the preflight', async () => {
    const { files } = await embedLandfall({ corsOrigins: '*' });
    const wanted = [
      'Tus-Resumable',
      'Upload-Length',
      'Upload-Offset',
      'Upload-Metadata',
      'Upload-Defer-Length',
      'Content-Type',
      'Idempotency-Key',
    ];
    const response = await fetch(files, {
      method: 'OPTIONS',
      headers: { Origin: ORIGIN, 'Access-Control-Request-Method': 'PATCH', 'Access-Control-Request-Headers': wanted.join(', ') },
    });
    expect([200, 204]).toContain(response.status);
    expect(['*', ORIGIN]).toContain(response.headers.get('Access-Control-Allow-Origin'));
    const list = (name: string) => (response.headers.get(name) ?? '').toLowerCase().split(/,\s*/);
    expect(list('Access-Control-Allow-Methods')).toEqual(expect.arrayContaining(['post', 'head', 'patch', 'delete', 'options', 'get']));
    expect(list('Access-Control-Allow-Headers')).toEqual(expect.arrayContaining(wanted.map((name) => name.toLowerCase())));
    expect(Number(response.headers.get('Access-Control-Max-Age'))).toBeGreaterThan(0);
  });

  it('expose every header that a client reads, on refusals too', async () => {
    const { files } = await embedLandfall({ corsOrigins: '*' });
    const exposedOn = async (headers: Record<string, string>) => {
      const answer = await createUpload(files, { headers: { Origin: ORIGIN, ...headers } });
      return (answer.headers.get('Access-Control-Expose-Headers') ?? '').toLowerCase().split(/,\s*/);
    };
    const wanted = [
      'location',
      'upload-offset',
      'upload-length',
      'upload-expires',
      'upload-metadata',
      'upload-defer-length',
      'tus-resumable',
      'retry-after',
      'www-authenticate',
      'allow',
    ];
    for (const headers of [{ 'Upload-Length': '5' }, { 'Upload-Length': '-5' }] as Record<string, string>[])
      expect(await exposedOn(headers)).toEqual(expect.arrayContaining(wanted));
  });

  it('allow only the configured origins', async () => {
    const { files } = await embedLandfall({ corsOrigins: [ORIGIN] });
    const allowed = await fetch(files, { method: 'OPTIONS', headers: { Origin: ORIGIN, 'Access-Control-Request-Method': 'POST' } });
    expect(allowed.headers.get('Access-Control-Allow-Origin')).toBe(ORIGIN);
    expect(allowed.headers.get('Vary')?.toLowerCase()).toContain('origin');
    const other = await fetch(files, {
      method: 'OPTIONS',
      headers: { Origin: 'https://evil.example', 'Access-Control-Request-Method': 'POST' },
    });
    expect(other.headers.get('Access-Control-Allow-Origin')).not.toBe('https://evil.example');
    expect(other.headers.get('Access-Control-Allow-Origin')).not.toBe('*');
  });
});
