import { execFileSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type HeadersRequest, type UploadHeaders, upload } from '../../client/node.ts';
import { UploadError } from '../../shared/errors.ts';
import { sha256, videoBytes } from '../support/content.ts';
import type { Exchange, Fault } from '../support/fault-proxy.ts';
import { failureOf, reaches, startSending } from './sending.ts';

const MIB = 1024 * 1024;

describe('an uploaded file', () => {
  test('is accepted, with the same bytes on disk and the type that the server detected', async () => {
    const { send, video, stored, server, log } = await startSending();
    const { path, sha256: sum } = await video(5 * MIB);
    const { handle, states, told } = send(path);
    const result = await handle.done;
    expect(await stored()).toEqual([sum]);
    expect(result).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
      url: expect.stringContaining('/files/'),
      name: 'film.mp4',
      size: 5 * MIB,
      type: 'video/mp4',
      checksum: expect.stringMatching(/^crc32:[0-9a-f]{8}$/),
      resumed: false,
    });
    // On a slow machine the inspection may take long enough for the client to see it, and to request the record more than once.
    expect(states().filter((state) => state !== 'inspecting')).toEqual(['preparing', 'uploading', 'accepted']);
    expect(told.at(-1)).toMatchObject({ sent: 5 * MIB, confirmed: 5 * MIB, size: 5 * MIB, resumedFrom: 0, attempt: 1 });
    expect([...new Set(log())]).toEqual(['POST 201', 'PATCH 204', 'GET 200']);
    const download = await fetch(new URL(new URL(result.url ?? '').pathname, server.url));
    expect(sha256(Buffer.from(await download.arrayBuffer()))).toBe(sum);
  });

  test('larger than the buffer in memory is sent in one body and a tail', async () => {
    const { send, video, stored, log } = await startSending();
    const { path, sha256: sum } = await video(70 * MIB);
    await send(path).handle.done;
    expect(await stored()).toEqual([sum]);
    expect(log().filter((line) => line !== 'GET 200')).toEqual(['POST 201', 'PATCH 204', 'PATCH 204']);
  });

  test('is sent in chunks of the configured size', async () => {
    const { send, video, stored, proxy } = await startSending();
    const { path, sha256: sum } = await video(3.5 * MIB);
    await send(path, { chunkSize: MIB }).handle.done;
    expect(await stored()).toEqual([sum]);
    const sizes = proxy.exchanges.filter(({ method }) => method === 'PATCH').map(({ bytes }) => bytes / MIB);
    expect(sizes).toEqual([1, 1, 1, 0.5]);
  });

  test('leaves no record behind when it is accepted', async () => {
    const { send, video, store } = await startSending();
    const { path } = await video(100_000);
    await send(path).handle.done;
    expect(await store.list()).toEqual([]);
  });

  test('has its name, type, folder and other metadata, in any script', async () => {
    const { send, video, server } = await startSending();
    const { path } = await video(100_000, 'フィルム 🎬.mp4');
    const { id } = await send(path, { type: 'video/mp4', relativePath: 'été/フィルム 🎬.mp4', metadata: { project: 'Ω' } }).handle.done;
    const head = await fetch(`${server.files}/${id}`, { method: 'HEAD', headers: { 'Tus-Resumable': '1.0.0' } });
    const pairs = (head.headers.get('Upload-Metadata') ?? '').split(',').map((pair) => pair.split(' '));
    const metadata = Object.fromEntries(pairs.map(([key, value = '']) => [key, Buffer.from(value, 'base64').toString()]));
    expect(metadata).toEqual({
      filename: 'フィルム 🎬.mp4',
      filetype: 'video/mp4',
      relativePath: 'été/フィルム 🎬.mp4',
      project: 'Ω',
    });
  });

  test('of no bytes gets its verdict with the creation', async () => {
    const allowed = await startSending(undefined, { allowEmpty: true });
    const { handle } = allowed.send(new Uint8Array(), { name: 'nothing.txt' });
    expect(await handle.done).toMatchObject({ size: 0, checksum: 'crc32:00000000' });
    expect(allowed.log()).toEqual(['POST 201', 'GET 200']);
    const refused = await startSending();
    expect(await failureOf(refused.send(new Uint8Array(), { name: 'nothing.txt' }).handle)).toMatchObject({
      state: 'rejected',
      code: 'ERR_EMPTY',
    });
  });
});

describe('a source other than a path', () => {
  test('may be bytes, with a name', async () => {
    const { send, stored } = await startSending();
    const bytes = await videoBytes(300_000);
    const { name } = await send(bytes, { name: 'clip.mp4' }).handle.done;
    expect(name).toBe('clip.mp4');
    expect(await stored()).toEqual([sha256(bytes)]);
  });

  test('may be a file: URL', async () => {
    const { send, video, stored } = await startSending();
    const { path, sha256: sum } = await video(300_000, 'a film.mp4');
    await send(pathToFileURL(path)).handle.done;
    expect(await stored()).toEqual([sum]);
  });

  test('may be a stream with its size', async () => {
    const { send, video, stored } = await startSending();
    const { path, sha256: sum } = await video(2.5 * MIB);
    await send({ stream: createReadStream(path), name: 'film.mp4', size: 2.5 * MIB }, { chunkSize: MIB }).handle.done;
    expect(await stored()).toEqual([sum]);
  });

  test.each([2.5 * MIB, 2 * MIB, MIB, 100])('may be a stream of %i bytes without its size, in chunks of 1 MiB', async (length) => {
    const { send, stored } = await startSending();
    const bytes = await videoBytes(length);
    const { handle } = send({ stream: Readable.from([bytes]), name: 'film.mp4' }, { chunkSize: MIB });
    expect(await handle.done).toMatchObject({ size: length });
    expect(handle.snapshot.size).toBe(length);
    expect(await stored()).toEqual([sha256(bytes)]);
  });

  test('may be a stream of no bytes if the server allows empty files, and is refused otherwise', async () => {
    const empty = () => ({ stream: Readable.from([]), name: 'a.txt' });
    const allowed = await startSending(undefined, { allowEmpty: true });
    expect(await allowed.send(empty()).handle.done).toMatchObject({ size: 0, name: 'a.txt' });
    const refusing = await startSending();
    expect(await failureOf(refusing.send(empty()).handle)).toMatchObject({ state: 'rejected', code: 'ERR_EMPTY' });
    expect(refusing.log().filter((line) => line.startsWith('PATCH'))).toEqual(['PATCH 422']);
  });

  test('may be a stream: the client declares its length again when the server answered the declaration without storing it', async () => {
    // A server answers like this when it was killed before it stored the declared length.
    const told: Fault = { kind: 'answer', status: 204, headers: { 'Tus-Resumable': '1.0.0', 'Upload-Offset': '0' } };
    const forgetful = ({ method, nth }: Exchange) => (method === 'PATCH' && nth === 1 ? told : undefined);
    const { send, log } = await startSending(forgetful, { allowEmpty: true });
    expect(await send({ stream: Readable.from([]), name: 'a.txt' }).handle.done).toMatchObject({ size: 0 });
    expect(log().filter((line) => line.startsWith('PATCH'))).toEqual(['PATCH 204', 'PATCH 204']);
  });

  test('is refused when it is a stream with fewer or more bytes than its size', async () => {
    const { send, stored } = await startSending();
    const bytes = await videoBytes(100_000);
    for (const size of [99_999, 100_001]) {
      const { handle } = send({ stream: Readable.from([bytes]), name: 'film.mp4', size });
      expect(await failureOf(handle)).toMatchObject({ state: 'failed', code: 'ERR_SOURCE_CHANGED' });
    }
    expect(await stored()).toEqual([]);
  });

  test('may be a stream when a connection breaks in the middle of a chunk', async () => {
    const { send, stored } = await startSending(({ method, nth }) =>
      method === 'PATCH' && nth === 2 ? { kind: 'cut', afterBytes: 300_000, how: 'rst' } : undefined,
    );
    const bytes = await videoBytes(3 * MIB);
    const pieces = Array.from({ length: 48 }, (_, index) => bytes.subarray(index * 65_536, (index + 1) * 65_536));
    await send({ stream: Readable.from(pieces), name: 'film.mp4' }, { chunkSize: MIB }).handle.done;
    expect(await stored()).toEqual([sha256(bytes)]);
  });

  test('ends the upload with the reason of the server while it is a stream that has no bytes', async () => {
    let isForbidden = false;
    const { send } = await startSending(() => (isForbidden ? { kind: 'answer', status: 403 } : undefined));
    const { handle } = send({ stream: new Readable({ read() {} }), name: 'film.mp4' });
    await reaches(handle, ({ url }) => url !== undefined);
    handle.pause();
    isForbidden = true;
    handle.resume();
    expect(await failureOf(handle)).toMatchObject({ state: 'failed', code: 'ERR_FORBIDDEN' });
  });

  test('is not sent a second time when it is a stream, because only the rest of it would be stored', async () => {
    const { send, stored } = await startSending(({ method }) => (method === 'PATCH' ? { kind: 'answer', status: 403 } : undefined));
    const source = { stream: Readable.from([await videoBytes(100_000)]), name: 'film.mp4' };
    expect(await failureOf(send(source).handle)).toMatchObject({ code: 'ERR_FORBIDDEN' });
    expect(await failureOf(send(source).handle)).toMatchObject({
      code: 'ERR_SOURCE_UNREADABLE',
      detail: 'A stream can be read only once.',
    });
    expect(await stored()).toEqual([]);
  });

  test('ends the upload when it is a stream that fails', async () => {
    const { send } = await startSending();
    const stream = async function* () {
      yield await videoBytes(100_000);
      throw new Error('The tape tore.');
    };
    expect(await failureOf(send({ stream: stream(), name: 'film.mp4' }).handle)).toMatchObject({ code: 'ERR_SOURCE_UNREADABLE' });
  });

  test('is refused with a sentence when it is a directory, a missing file, a device or a named pipe', async () => {
    const { send, directory } = await startSending();
    const pipe = `${directory}/pipe.mp4`;
    execFileSync('mkfifo', [pipe]);
    const ends = await Promise.all([directory, `${directory}/none`, '/dev/null', pipe].map((path) => failureOf(send(path).handle)));
    expect(ends).toEqual([
      { state: 'failed', code: 'ERR_SOURCE_UNREADABLE', detail: 'It is a directory.' },
      { state: 'failed', code: 'ERR_SOURCE_UNREADABLE', detail: 'There is no such file.' },
      { state: 'failed', code: 'ERR_SOURCE_UNREADABLE', detail: 'It is not a regular file.' },
      { state: 'failed', code: 'ERR_SOURCE_UNREADABLE', detail: 'It is not a regular file.' },
    ]);
  });

  test('fails with a sentence about it when it is a stream of text', async () => {
    const { send } = await startSending();
    expect(await failureOf(send({ stream: Readable.from(['one', 'two']), name: 'a.txt' }).handle)).toMatchObject({
      code: 'ERR_SOURCE_UNREADABLE',
      detail: 'The stream yielded a value of the type string instead of a Uint8Array.',
    });
  });

  test('is copied when it is bytes, so that later changes are not sent', async () => {
    const { send, stored } = await startSending();
    const bytes = await videoBytes(300_000);
    const sum = sha256(bytes);
    const { handle } = send(bytes, { name: 'clip.mp4' });
    bytes.fill(0);
    await handle.done;
    expect(await stored()).toEqual([sum]);
  });

  const invalid: readonly [string, object][] = [
    ['endpoint', { endpoint: undefined }],
    ['endpoint', { endpoint: '' }],
    ['not an http address', { endpoint: 'ftp://host/files' }],
    ['Invalid URL', { endpoint: '/files' }],
    ['chunkSize', { chunkSize: 0 }],
    ['chunkSize', { chunkSize: '1MiB' }],
    ['budgetMs', { budgetMs: Number.NaN }],
    ['stallMs', { timeouts: { stallMs: '30' } }],
    ['answerMs', { timeouts: { answerMs: -1 } }],
    ['name', { name: 7 }],
    ['my key', { metadata: { 'my key': 'x' } }],
    ['kéy', { metadata: { kéy: 'x' } }],
    ['“X User”', { headers: { 'X User': 'a' } }],
    ['“X-User”', { headers: { 'X-User': 'Zoë 😀' } }],
    ['“X-User”', { headers: { 'X-User': 'a\n' } }],
    ['object of names', { headers: new Headers({ 'X-User': 'a' }) }],
  ];
  test.each(invalid)('throws at once, with “%s” in the message, for %j', (words, options) => {
    const start = () => upload('x', { endpoint: 'http://host/files', ...options } as never);
    expect(start).toThrow(TypeError);
    expect(start).toThrow(words);
  });

  test.each([
    ['a path', 7],
    ['stream', { stream: 42, name: 'a.txt' }],
    ['stream', { stream: undefined, name: 'a.txt' }],
    ['size', { stream: Readable.from([]), name: 'a.txt', size: '3' }],
    ['size', { stream: Readable.from([]), name: 'a.txt', size: 0.5 }],
    ['name', { stream: Readable.from([]) }],
  ])('throws at once, with “%s” in the message, when it is invalid', (words, source) => {
    const start = () => upload(source as never, { endpoint: 'http://host/files' });
    expect(start).toThrow(TypeError);
    expect(start).toThrow(words);
  });

  test('throws at once when it is a stream that something else reads', () => {
    const stream = new ReadableStream<Uint8Array>();
    stream.getReader();
    expect(() => upload({ stream, name: 'a.txt' }, { endpoint: 'http://host/files' })).toThrow('locked');
  });
});

describe('an option of an upload', () => {
  test.each([
    ['an undefined time limit', { timeouts: { connectMs: undefined }, metadata: { a: undefined }, headers: { 'X-User': undefined } }],
    ['endless time limits', { timeouts: { connectMs: Number.POSITIVE_INFINITY, stallMs: 2 ** 40, answerMs: Number.POSITIVE_INFINITY } }],
    ['an endless budget', { budgetMs: Number.POSITIVE_INFINITY }],
  ])('may be %s', async (_, options) => {
    const { send, video, stored, log } = await startSending();
    const { path, sha256: sum } = await video(300_000);
    await send(path, options as never).handle.done;
    expect(await stored()).toEqual([sum]);
    expect(log().filter((line) => line.startsWith('POST'))).toEqual(['POST 201']);
  });

  test('may be a chunk size with a fraction of a byte, which is left out', async () => {
    // A body of more than 32 MiB is read while it is sent.
    const { send, video, stored, proxy } = await startSending();
    const { path, sha256: sum } = await video(34 * MIB);
    await send(path, { chunkSize: 33 * MIB + 0.5 }).handle.done;
    expect(await stored()).toEqual([sum]);
    expect(proxy.exchanges.filter(({ method }) => method === 'PATCH').map(({ bytes }) => bytes / MIB)).toEqual([33, 1]);
  });

  test('fails with a code of its own when it is a function whose headers no request can carry, without the value in the message', async () => {
    const { send, video, log } = await startSending();
    const { path } = await video(1000);
    const { handle } = send(path, { headers: async () => ({ Authorization: 'Bearer secret\n' }) });
    expect(await failureOf(handle)).toEqual({
      state: 'failed',
      code: 'ERR_INVALID_HEADERS',
      detail: 'The value of the header “Authorization” is not one line of Latin-1 text.',
    });
    expect(log()).toEqual([]);
  });

  test('may be an endpoint with a password, which no result contains', async () => {
    const { send, video, proxy } = await startSending();
    const { path } = await video(1000);
    const { handle, told } = send(path, { endpoint: `${proxy.url.replace('//', '//me:secret@')}/files` });
    expect((await handle.done).url).toContain(`${proxy.url}/files/`);
    expect(told.some(({ url }) => url)).toBe(true);
    expect(JSON.stringify(told)).not.toContain('secret');
  });
});

describe('the verdict on an upload', () => {
  test('of a refused file is the error that the server sent', async () => {
    const { send, stored, store } = await startSending();
    const { handle, states } = send(Buffer.from('MZ this is a program'), { name: 'photo.jpg' });
    expect(await failureOf(handle)).toMatchObject({ state: 'rejected', code: 'ERR_TYPE_MISMATCH' });
    await expect(handle.done).rejects.toBeInstanceOf(UploadError);
    expect(states().at(-1)).toBe('rejected');
    expect(await stored()).toEqual([]);
    expect(await store.list()).toEqual([]);
  });

  test('of a large refused file comes after its first bytes', async () => {
    const { send, proxy } = await startSending();
    const bytes = new Uint8Array(64 * MIB);
    proxy.bytesPerSecond = 8 * MIB;
    bytes.set(Buffer.from('MZ'));
    expect(await failureOf(send(bytes, { name: 'film.mp4' }).handle)).toMatchObject({ state: 'rejected', code: 'ERR_TYPE_MISMATCH' });
    expect(proxy.bytes).toBeLessThan(48 * MIB);
  });

  test('on the size comes before the client sends a byte', async () => {
    const { send, log } = await startSending(undefined, { maxUploadSize: 1000 });
    expect(await failureOf(send(await videoBytes(1001), { name: 'film.mp4' }).handle)).toMatchObject({
      state: 'rejected',
      code: 'ERR_MAX_SIZE_EXCEEDED',
    });
    expect(log()).toEqual(['POST 413']);
  });

  test('is requested for as long as the inspection takes, at the pace of the server', async () => {
    const check = {
      name: 'slow',
      run: async () => {
        await new Promise((resolve) => setTimeout(resolve, 1500));
        return undefined;
      },
    };
    const { send, video, stored, proxy } = await startSending(undefined, { patience: 50 }, { checks: [check] });
    const { path, sha256: sum } = await video(200_000);
    const { handle, states } = send(path, { budgetMs: 1 });
    await handle.done;
    expect(await stored()).toEqual([sum]);
    expect(states().filter((state) => state === 'waiting')).toEqual([]);
    expect(handle.snapshot).toMatchObject({ sent: 200_000, confirmed: 200_000 });
    // The client asks once a second, although the server allows twenty requests.
    expect(proxy.exchanges.filter(({ method }) => method === 'PATCH').length).toBeLessThanOrEqual(4);
  });

  test('of a stream of unknown length is requested for as long as the inspection takes', async () => {
    const check = {
      name: 'slow',
      run: async () => {
        await new Promise((resolve) => setTimeout(resolve, 300));
        return { code: 'ERR_CHECK_REFUSED' as const, detail: 'For the test.' };
      },
    };
    const { send } = await startSending(undefined, { patience: 50 }, { checks: [check] });
    const stream = Readable.from([await videoBytes(200_000)]);
    expect(await failureOf(send({ stream, name: 'film.mp4' }).handle)).toEqual({
      state: 'rejected',
      code: 'ERR_CHECK_REFUSED',
      detail: 'For the test.',
    });
  });
});

describe('pause', () => {
  test('stops the bytes, and resume continues at the offset of the server', async () => {
    const { send, video, stored, proxy } = await startSending();
    const { path, sha256: sum } = await video(8 * MIB);
    proxy.bytesPerSecond = 8 * MIB;
    const { handle, states } = send(path);
    await reaches(handle, ({ sent }) => sent > 2 * MIB);
    handle.pause();
    handle.pause();
    expect(handle.snapshot).toMatchObject({ state: 'paused', bytesPerSecond: 0, etaSeconds: null });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(handle.snapshot.state).toBe('paused');
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    handle.resume();
    handle.resume();
    await handle.done;
    expect(await stored()).toEqual([sum]);
    expect(proxy.exchanges.filter(({ method }) => method === 'POST')).toHaveLength(1);
    expect(states().slice(0, 4)).toEqual(['preparing', 'uploading', 'paused', 'preparing']);
  });

  test('before the first request sends nothing until resume', async () => {
    const { send, video, log } = await startSending();
    const { path } = await video(100_000);
    const { handle } = send(path);
    handle.pause();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(log()).toEqual([]);
    handle.resume();
    await handle.done;
    expect(log().filter((line) => line.startsWith('POST'))).toEqual(['POST 201']);
  });

  test('and resume many times over make one upload', async () => {
    const { send, video, stored, log } = await startSending();
    const { path, sha256: sum } = await video(3 * MIB);
    const { handle } = send(path, { chunkSize: 256 * 1024 });
    for (let times = 0; times < 30; times++) {
      await new Promise((resolve) => setTimeout(resolve, times % 7));
      handle.pause();
      handle.resume();
    }
    await handle.done;
    expect(await stored()).toEqual([sum]);
    expect(log().filter((line) => line.startsWith('POST 201')).length).toBeGreaterThanOrEqual(1);
  });

  test('after the end changes nothing', async () => {
    const { send, video } = await startSending();
    const { path } = await video(100_000);
    const { handle } = send(path);
    await handle.done;
    const { snapshot } = handle;
    handle.pause();
    handle.resume();
    await handle.cancel({ deleteRemote: true });
    expect(handle.snapshot).toBe(snapshot);
  });
});

describe('cancel', () => {
  test('ends the upload, and deletes it on the server if asked', async () => {
    const { send, video, server, proxy, store } = await startSending();
    const { path } = await video(8 * MIB);
    proxy.bytesPerSecond = 4 * MIB;
    const { handle } = send(path);
    const { url = '' } = await reaches(handle, ({ sent }) => sent > MIB);
    await handle.cancel({ deleteRemote: true });
    expect(await failureOf(handle)).toMatchObject({ state: 'cancelled', code: 'ERR_CANCELLED' });
    const head = await fetch(new URL(new URL(url ?? '').pathname, server.url), { method: 'HEAD', headers: { 'Tus-Resumable': '1.0.0' } });
    expect(head.status).toBe(410);
    expect(await store.list()).toEqual([]);
  });

  test('by a signal leaves the upload on the server', async () => {
    const { send, video, server, proxy } = await startSending();
    const { path } = await video(8 * MIB);
    proxy.bytesPerSecond = 4 * MIB;
    const controller = new AbortController();
    const { handle } = send(path, { signal: controller.signal });
    const { url = '' } = await reaches(handle, ({ sent }) => sent > MIB);
    controller.abort();
    expect(await failureOf(handle)).toMatchObject({ state: 'cancelled' });
    const head = await fetch(new URL(new URL(url ?? '').pathname, server.url), { method: 'HEAD', headers: { 'Tus-Resumable': '1.0.0' } });
    expect(head.status).toBe(200);
  });

  test('with an aborted signal sends no request', async () => {
    const { send, video, log } = await startSending();
    const { path } = await video(100_000);
    expect(await failureOf(send(path, { signal: AbortSignal.abort() }).handle)).toMatchObject({ state: 'cancelled' });
    expect(log()).toEqual([]);
  });

  test('while the creation is unanswered finds the upload by its key and deletes it', async () => {
    const { send, video, proxy, log } = await startSending(({ method, nth }) =>
      method === 'POST' && nth === 1 ? { kind: 'delay', ms: 60_000 } : undefined,
    );
    const { path } = await video(100_000);
    // The client repeats the same creation; a changed one would create another upload.
    const { handle } = send(path, { type: 'video/mp4', metadata: { project: 'Zoë 🎬' } });
    await expect.poll(() => proxy.exchanges[0]?.status).toBe(201);
    await handle.cancel({ deleteRemote: true });
    const locations = proxy.exchanges.filter(({ method }) => method === 'POST').map(({ answer }) => answer?.location);
    expect(new Set(locations).size).toBe(1);
    expect(log()).toEqual(['POST 201', 'POST 201', 'DELETE 204']);
  });

  test.each([
    ['a Node stream', () => new Readable({ read() {} })],
    ['a web stream', () => new ReadableStream<Uint8Array>({ pull: () => new Promise(() => {}) })],
    [
      'a generator',
      async function* () {
        yield await new Promise<Uint8Array>(() => {});
      },
    ],
  ] as const)('ends the upload of %s that has no bytes for a long time', async (_, open) => {
    const { send, log } = await startSending();
    const { handle } = send({ stream: open(), name: 'film.mp4' });
    await reaches(handle, ({ url }) => url !== undefined);
    await handle.cancel({ deleteRemote: true });
    expect(await failureOf(handle)).toMatchObject({ state: 'cancelled' });
    expect(log()).toEqual(['POST 201', 'DELETE 204']);
  });

  test('destroys a Node stream and cancels a web stream', async () => {
    const { send } = await startSending();
    const stream = new Readable({ read() {} });
    const cancelled = Promise.withResolvers<void>();
    const web = new ReadableStream<Uint8Array>({ cancel: () => cancelled.resolve() });
    const uploads = [stream, web].map((each) => send({ stream: each, name: 'film.mp4' }).handle);
    await Promise.all(uploads.map((handle) => reaches(handle, ({ url }) => url !== undefined)));
    await Promise.all(uploads.map((handle) => handle.cancel()));
    expect(stream.destroyed).toBe(true);
    await cancelled.promise;
  });

  test('ends an upload whose headers never come, also after the last byte', async () => {
    let asked = 0;
    const headers = ({ method }: HeadersRequest): UploadHeaders | Promise<UploadHeaders> => {
      if (method !== 'GET') return {};
      asked += 1;
      return new Promise(() => {});
    };
    const { send, video, stored } = await startSending();
    const { path } = await video(100_000);
    const { handle } = send(path, { headers });
    await expect.poll(() => asked).toBe(1);
    handle.pause();
    handle.resume();
    await expect.poll(() => asked).toBe(2);
    await handle.cancel();
    expect(handle.snapshot.state).toBe('cancelled');
    expect(await stored()).toHaveLength(1);
  });

  test('reports when the server did not delete the upload', async () => {
    const { send, video, proxy } = await startSending(({ method }) => (method === 'DELETE' ? { kind: 'answer', status: 403 } : undefined));
    const { path } = await video(8 * MIB);
    proxy.bytesPerSecond = 4 * MIB;
    const { handle } = send(path);
    await reaches(handle, ({ sent }) => sent > MIB);
    await expect(handle.cancel({ deleteRemote: true })).rejects.toMatchObject({ code: 'ERR_FORBIDDEN' });
    expect(handle.snapshot.state).toBe('cancelled');
  });
});

describe('the handle of an upload', () => {
  test('is not thenable, so an async function can return it', async () => {
    const { send, video } = await startSending();
    const { path } = await video(100_000);
    const { handle } = await (async () => send(path))();
    expect(handle).not.toHaveProperty('then');
    await handle.done;
  });

  test('notifies a listener at once and until it unsubscribes; a listener that throws affects no other', async () => {
    const { send, video } = await startSending();
    const { path } = await video(100_000);
    const { handle } = send(path);
    let calls = 0;
    const stop = handle.subscribe(() => {
      calls += 1;
    });
    expect(calls).toBe(1);
    stop();
    const { error } = console;
    console.error = () => {};
    handle.subscribe(() => {
      throw new Error('The page is broken.');
    });
    await handle.done;
    console.error = error;
    expect(calls).toBe(1);
  });

  test('gives frozen snapshots, the same object while nothing changes', async () => {
    const { send, video } = await startSending();
    const { path } = await video(100_000);
    const { handle, told } = send(path);
    expect(handle.snapshot).toBe(handle.snapshot);
    await handle.done;
    expect(told.every((snapshot) => Object.isFrozen(snapshot))).toBe(true);
    expect(new Set(told).size).toBe(told.length);
    expect(told.at(-1)).toBe(handle.snapshot);
  });

  test('can be iterated to its end', async () => {
    const { send, video } = await startSending();
    const { path } = await video(2 * MIB);
    const states: string[] = [];
    for await (const { state } of send(path).handle) states.push(state);
    expect(states[0]).toBe('preparing');
    expect(states.at(-1)).toBe('accepted');
  });

  test('shows speed and time left while it sends', async () => {
    const { send, video, proxy } = await startSending();
    const { path } = await video(48 * MIB);
    proxy.bytesPerSecond = 4 * MIB;
    const { handle } = send(path);
    const { bytesPerSecond, etaSeconds } = await reaches(handle, ({ etaSeconds }) => etaSeconds !== null);
    expect(bytesPerSecond).toBeGreaterThan(MIB);
    expect(etaSeconds).toBeGreaterThan(0);
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    await handle.done;
  });
});

test('without records a file is a new upload each time', async () => {
  const { send, video, store, stored, log } = await startSending();
  const { path, sha256: sum } = await video(100_000);
  await Promise.all([send(path, { resume: false }).handle.done, send(path, { resume: false }).handle.done]);
  expect(log().filter((line) => line === 'POST 201')).toHaveLength(2);
  expect(await stored()).toEqual([sum, sum]);
  expect(await store.list()).toEqual([]);
});
