// Malformed and hostile requests of many kinds: the server refuses them with the right status, never a 5xx, and stores nothing of them.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { videoBytes } from '../support/content.ts';
import { type EmbeddedLandfall, embedLandfall } from '../support/landfall-embedded.ts';
import { head, openSocket, parseAnswer, rawRequest } from '../support/raw-http.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord } from '../support/tus-requests.ts';

const LENGTH = 10_000;
const TUS = ['Host: localhost', 'Tus-Resumable: 1.0.0'];
const OFFSET_TYPE = 'Content-Type: application/offset+octet-stream';

function create(server: EmbeddedLandfall, ...lines: string[]) {
  return rawRequest(server.url, [head('POST /files HTTP/1.1', ...TUS, 'Content-Length: 0', ...lines)], 300);
}

async function stagedSize(server: EmbeddedLandfall, url: string): Promise<number> {
  const id = idOf(url);
  return (await stat(join(server.dataDir, 'staging', id.slice(0, 2), id))).size;
}

describe('Upload-Length', () => {
  it.for(['-1', 'NaN', '1e3', '0x10', '05', '+5', '9007199254740992', '5.0', '5,5', '', '٣', 'Infinity'])(
    '%j is refused with 400',
    async (value) => {
      const server = await embedLandfall();
      const answer = await create(server, `Upload-Length: ${Buffer.from(value).toString('latin1')}`);
      expect(answer.status).toBe(400);
      expect(JSON.parse(answer.body)).toMatchObject({ code: 'ERR_INVALID_UPLOAD_LENGTH' });
    },
  );

  it('sent twice is refused with 400', async () => {
    const server = await embedLandfall();
    expect((await create(server, 'Upload-Length: 5', 'Upload-Length: 6')).status).toBe(400);
  });
});

describe('Upload-Offset', () => {
  it.for(['-1', 'NaN', '1e3', '0x0', '00', '+0', '9007199254740992', '0, 0', ''])('%j is refused with 400', async (value) => {
    const server = await embedLandfall();
    const { url } = await createUpload(server.files, { length: 5, name: 'a.txt' });
    const answer = await rawRequest(
      server.url,
      [head(`PATCH ${new URL(url).pathname} HTTP/1.1`, ...TUS, OFFSET_TYPE, `Upload-Offset: ${value}`, 'Content-Length: 5'), 'hello'],
      300,
    );
    expect(answer.status).toBe(400);
    expect(await headUpload(url)).toMatchObject({ offset: 0 });
  });
});

describe('Upload-Metadata', () => {
  const base64 = (text: string | Uint8Array) => Buffer.from(text).toString('base64');
  const BAD: [string, string][] = [
    ['over 4 KB', `filename ${base64('x'.repeat(4000))}`],
    ['of more than 16 pairs', Array.from({ length: 17 }, (_, n) => `key${n} ${base64('x')}`).join(',')],
    ['with a key twice', `filename ${base64('a.txt')},filename ${base64('b.txt')}`],
    ['that is not base64', 'filename a.txt!'],
    ['with the key __proto__', `__proto__ ${base64('x')}`],
    ['that is not UTF-8', `filename ${base64(Uint8Array.of(0xc3, 0x28))}`],
    ['with a line break in a value', `filename ${base64('a\r\nSet-Cookie: x.txt')}`],
    ['with a NUL in a value', `filename ${base64('a\0.txt')}`],
    ['with three parts in a pair', `filename ${base64('a.txt')} x`],
  ];
  it.for(BAD)('%s is refused with 400', async ([, metadata]) => {
    const server = await embedLandfall();
    const answer = await create(server, 'Upload-Length: 5', `Upload-Metadata: ${metadata}`);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'ERR_INVALID_METADATA' });
  });

  it('without a name makes the server name the file by the id and the detected type', async () => {
    const server = await embedLandfall();
    const bytes = await videoBytes(LENGTH);
    const { url, status } = await createUpload(server.files, { length: LENGTH, body: bytes });
    expect(status).toBe(201);
    const record = await readRecord(url);
    expect(record).toMatchObject({ state: 'accepted', originalName: null, type: 'video/mp4' });
    expect(record.name).toMatch(/^[\w-]+\.mp4$/);
    expect((await fetch(url)).headers.get('Content-Disposition')).toContain(record.name ?? 'no name');
  });
});

describe('a body longer than the upload', () => {
  it('with a Content-Length is refused with 413, and nothing beyond the length is kept', async () => {
    const server = await embedLandfall();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    await patchUpload(url, 0, bytes.subarray(0, 5000));
    expect(await patchUpload(url, 5000, Buffer.concat([bytes.subarray(5000), Buffer.from('more')]))).toMatchObject({
      status: 413,
      code: 'ERR_UPLOAD_LENGTH_EXCEEDED',
    });
    expect(await stagedSize(server, url)).toBeLessThanOrEqual(LENGTH);
    const { offset = -1 } = await headUpload(url);
    expect(offset).toBeGreaterThanOrEqual(5000);
    expect(await patchUpload(url, offset, bytes.subarray(offset))).toMatchObject({ status: 204, offset: LENGTH });
  });

  it('without a Content-Length is refused with 413, and nothing beyond the length is kept', async () => {
    const server = await embedLandfall();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    const chunk = Buffer.concat([bytes, Buffer.from('more')]);
    const answer = await rawRequest(
      server.url,
      [
        head(`PATCH ${new URL(url).pathname} HTTP/1.1`, ...TUS, OFFSET_TYPE, 'Upload-Offset: 0', 'Transfer-Encoding: chunked'),
        `${chunk.length.toString(16)}\r\n`,
        chunk,
        '\r\n0\r\n\r\n',
      ],
      500,
    );
    expect(answer.status).toBe(413);
    const { offset = -1 } = await headUpload(url);
    expect(offset).toBeLessThan(LENGTH);
    expect((await readRecord(url)).state).toBe('receiving');
    expect(await patchUpload(url, offset, bytes.subarray(offset))).toMatchObject({ status: 204, offset: LENGTH });
  });

  it('at the creation is refused with 413', async () => {
    const server = await embedLandfall();
    const bytes = await videoBytes(LENGTH);
    expect(await createUpload(server.files, { length: 5000, name: 'film.mp4', body: bytes })).toMatchObject({ status: 413 });
  });
});

describe('a message that is not HTTP', () => {
  it.for([
    ['Content-Length with Transfer-Encoding', ['Content-Length: 5', 'Transfer-Encoding: chunked']],
    ['a negative Content-Length', ['Content-Length: -5']],
    ['two Content-Lengths', ['Content-Length: 5', 'Content-Length: 6']],
  ] as const)('%s is refused with 400', async ([, lines]) => {
    const server = await embedLandfall();
    const { url } = await createUpload(server.files, { length: 5, name: 'a.txt' });
    const answer = await rawRequest(
      server.url,
      [head(`PATCH ${new URL(url).pathname} HTTP/1.1`, ...TUS, OFFSET_TYPE, 'Upload-Offset: 0', ...lines), 'hello'],
      300,
    );
    expect(answer.status).toBe(400);
    expect(await headUpload(url)).toMatchObject({ offset: 0 });
  });

  it('without Host is refused with 400', async () => {
    const server = await embedLandfall();
    const answer = await rawRequest(
      server.url,
      [head('POST /files HTTP/1.1', 'Tus-Resumable: 1.0.0', 'Upload-Length: 5', 'Content-Length: 0')],
      300,
    );
    expect(answer.status).toBe(400);
  });
});

describe('a body sent a byte at a time', () => {
  it('is cut at the time limit, and the server keeps its bytes and serves other clients meanwhile', async () => {
    const server = await embedLandfall({ bodyTimeout: '700ms' });
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    const socket = await openSocket(server.url);
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.write(head(`PATCH ${new URL(url).pathname} HTTP/1.1`, ...TUS, OFFSET_TYPE, 'Upload-Offset: 0', `Content-Length: ${LENGTH}`));
    let sent = 0;
    const drip = setInterval(() => socket.write(bytes.subarray(sent, ++sent)), 50);
    const other = await createUpload(server.files, { length: LENGTH, name: 'film.mp4', body: bytes });
    expect(other).toMatchObject({ status: 201, offset: LENGTH });
    await closed;
    clearInterval(drip);
    expect(parseAnswer(text).status).toBe(408);
    const { offset = -1 } = await headUpload(url);
    expect(offset).toBeGreaterThan(0);
    expect(await patchUpload(url, offset, bytes.subarray(offset))).toMatchObject({ status: 204, offset: LENGTH });
  });
});

describe('two writers on one upload', () => {
  it('leave the right bytes: the first continues, and the server asks the second to wait', async () => {
    const server = await embedLandfall({ lockTimeout: '300ms' });
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    const socket = await openSocket(server.url);
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.write(head(`PATCH ${new URL(url).pathname} HTTP/1.1`, ...TUS, OFFSET_TYPE, 'Upload-Offset: 0', `Content-Length: ${LENGTH}`));
    let sent = 0;
    const feed = setInterval(() => {
      socket.write(bytes.subarray(sent, sent + 500));
      sent += 500;
      if (sent >= LENGTH) clearInterval(feed);
    }, 50);
    await sleep(200);
    const second = await patchUpload(url, 0, Buffer.alloc(LENGTH, 1));
    expect([409, 423]).toContain(second.status);
    await expect.poll(() => parseAnswer(text).status, { timeout: 60_000 }).toBe(204);
    expect(await headUpload(url)).toMatchObject({ offset: LENGTH });
    expect(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(bytes)).toBe(true);
    socket.destroy();
  });

  it('leave the second in control when the connection of the first is dead', async () => {
    const server = await embedLandfall();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    // The connection is half-open: no byte comes, and no close either.
    const socket = await openSocket(server.url);
    socket.write(head(`PATCH ${new URL(url).pathname} HTTP/1.1`, ...TUS, OFFSET_TYPE, 'Upload-Offset: 0', `Content-Length: ${LENGTH}`));
    socket.write(bytes.subarray(0, 4000));
    await expect.poll(async () => (await headUpload(url)).offset, { timeout: 60_000 }).toBe(4000);
    expect(await patchUpload(url, 4000, bytes.subarray(4000))).toMatchObject({ status: 204, offset: LENGTH });
    socket.destroy();
  });
});

describe('many connections cut during a body', () => {
  it('leave no open descriptor, and the right offsets', async () => {
    const server = await embedLandfall();
    const bytes = await videoBytes(LENGTH);
    const { readdir } = await import('node:fs/promises');
    const descriptors = async () => (await readdir('/proc/self/fd')).length;
    const urls = await Promise.all(
      Array.from({ length: 100 }, async () => (await createUpload(server.files, { length: LENGTH, name: 'film.mp4' })).url),
    );
    await sleep(100);
    const before = await descriptors();
    await Promise.all(
      urls.map(async (url) => {
        const socket = await openSocket(server.url);
        socket.write(head(`PATCH ${new URL(url).pathname} HTTP/1.1`, ...TUS, OFFSET_TYPE, 'Upload-Offset: 0', `Content-Length: ${LENGTH}`));
        socket.write(bytes.subarray(0, 7000));
        await expect.poll(() => stagedSize(server, url).catch(() => 0), { timeout: 60_000 }).toBe(7000);
        socket.resetAndDestroy();
      }),
    );
    for (const url of urls) expect(await headUpload(url)).toMatchObject({ status: 200, offset: 7000 });
    await expect.poll(descriptors, { timeout: 60_000 }).toBeLessThanOrEqual(before + 10);
  });
});
