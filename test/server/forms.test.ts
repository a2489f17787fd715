// Uploads by form: without resuming, otherwise with the same checks and the same verdict.
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Check } from '../../server/index.ts';
import type { UploadRecord } from '../../shared/upload.ts';
import { filesBelow, sha256, sha256OfFile, videoBytes, writeVideo } from '../support/content.ts';
import { gateCheck } from '../support/gate-check.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { startLandfall } from '../support/landfall-process.ts';
import { head, openSocket, rawRequest } from '../support/raw-http.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, readRecord } from '../support/tus-requests.ts';
import { BROWSER, FORM_END, MULTIPART, partHead, sendForm } from './form-requests.ts';
import { PATIENT } from './patient.ts';

interface Result {
  filename: string;
  status: number;
  record?: UploadRecord;
  error?: { code: string; title: string; detail?: string };
}

const resultOf = async (response: Response) => (await response.json()) as Result;
const resultsOf = async (response: Response) => ((await response.json()) as { results: Result[] }).results;

function expectNothingStaged(dataDir: string) {
  return vi.waitFor(async () => expect(await filesBelow(join(dataDir, 'staging'))).toEqual([]), PATIENT);
}

describe('a form with one file', () => {
  it('gets the same verdict as any upload, as JSON for a script', async () => {
    const { url, dataDir } = await embedLandfall();
    const response = await sendForm(`${url}/upload`, [{ name: 'notes.txt', content: 'what was said\n' }]);
    expect(response.status).toBe(201);
    const { record } = await resultOf(response);
    expect(record).toMatchObject({ state: 'accepted', name: 'notes.txt', length: 14, type: 'text/plain' });
    expect(response.headers.get('Location')).toBe(record?.url);
    const stored = await fetch(new URL(record?.url ?? '', url));
    expect(await stored.text()).toBe('what was said\n');
    await expectNothingStaged(dataDir);
  });

  it('gets a page for a person, into which names and reasons cannot inject anything', async () => {
    const { url } = await embedLandfall();
    const name = '<img src=x onerror=alert(1)>.txt';
    const response = await sendForm(`${url}/upload`, [{ name, content: 'text' }], BROWSER);
    expect(response.status).toBe(201);
    expect(response.headers.get('Content-Type')).toBe('text/html; charset=utf-8');
    expect(response.headers.get('Content-Security-Policy')).toContain("default-src 'none'");
    const html = await response.text();
    expect(html).toContain('Upload complete');
    expect(html).not.toContain('<img');
    const refused = await sendForm(`${url}/upload`, [{ name: '"><script>.exe', content: 'MZ' }], BROWSER);
    expect(refused.status).toBe(422);
    expect(await refused.text()).not.toContain('<script>');
  });

  it('that has no bytes gets the verdict of an empty file', async () => {
    for (const allowEmpty of [true, false]) {
      const { url, dataDir } = await embedLandfall({ allowEmpty });
      const response = await sendForm(`${url}/upload`, [{ name: 'a.txt', content: '' }]);
      expect(response.status).toBe(allowEmpty ? 201 : 422);
      const { record } = await resultOf(response);
      expect(record).toMatchObject(allowEmpty ? { state: 'accepted', length: 0 } : { state: 'rejected', error: { code: 'ERR_EMPTY' } });
      await expectNothingStaged(dataDir);
    }
  });

  it('in which no file was chosen has no file', async () => {
    const { url, dataDir } = await embedLandfall();
    const form = partHead('') + FORM_END;
    const response = await fetch(`${url}/upload`, { method: 'POST', headers: { 'Content-Type': MULTIPART }, body: form });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'ERR_INVALID_FORM' });
    await expectNothingStaged(dataDir);
  });

  it('over the size limit is refused with 413 and leaves nothing', async () => {
    const { url, dataDir } = await embedLandfall({ maxUploadSize: 1000 });
    const response = await sendForm(`${url}/upload`, [{ name: 'long.txt', content: 'x'.repeat(1001) }]);
    expect(response.status).toBe(413);
    expect(await resultOf(response)).toMatchObject({ error: { code: 'ERR_MAX_SIZE_EXCEEDED' } });
    const fits = await sendForm(`${url}/upload`, [{ name: 'fits.txt', content: 'x'.repeat(1000) }]);
    expect(fits.status).toBe(201);
    await expectNothingStaged(dataDir);
  });

  it('gets 202 and the record’s address when its inspection exceeds the patience', async () => {
    const slow: Check = { name: 'slow', run: () => new Promise((resolve) => setTimeout(resolve, 600, undefined)) };
    const { url } = await embedLandfall({ patience: 50 }, { checks: [slow] });
    const response = await sendForm(`${url}/upload`, [{ name: 'a.txt', content: 'text' }]);
    expect(response.status).toBe(202);
    const { record } = await resultOf(response);
    expect(record).toMatchObject({ state: 'inspecting' });
    expect(response.headers.get('Location')).toBe(`${record?.url}/status`);
    const later = await fetch(`${new URL(`${record?.url}/status`, url)}?wait=10`);
    expect(await later.json()).toMatchObject({ state: 'accepted', name: 'a.txt' });
  });

  it('refused by its first bytes is answered before gigabytes of it are sent', async () => {
    const { url, dataDir } = await embedLandfall();
    const socket = await openSocket(url);
    onTestFinished(() => void socket.destroy());
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    const length = 20 * 1024 ** 3;
    socket.write(head('POST /upload HTTP/1.1', 'Host: x', `Content-Type: ${MULTIPART}`, `Content-Length: ${length}`));
    socket.write(partHead('picture.png'));
    socket.write(Buffer.concat([Buffer.from('MZ'), Buffer.alloc(200_000)]));
    await once(socket, 'end');
    expect(answer).toMatch(/^HTTP\/1\.1 422 /);
    expect(answer).toContain('"code":"ERR_');
    await expectNothingStaged(dataDir);
  });
});

describe('a form with several files', () => {
  it('gets a result for each, even when one is refused', async () => {
    const { url, dataDir } = await embedLandfall();
    const film = await videoBytes(100_000);
    const response = await sendForm(`${url}/upload/multiple`, [
      { name: 'film.mp4', content: film },
      { name: 'tool.exe', content: 'MZ' },
      { name: 'notes.txt', content: 'text' },
    ]);
    expect(response.status).toBe(207);
    const results = await resultsOf(response);
    expect(results.map(({ filename, status }) => [filename, status])).toEqual([
      ['film.mp4', 201],
      ['tool.exe', 422],
      ['notes.txt', 201],
    ]);
    const stored = await filesBelow(join(dataDir, 'files'));
    expect(stored.map((path) => path.split('/').at(-1)).sort()).toEqual(['film.mp4', 'notes.txt']);
    const path = stored.find((candidate) => candidate.endsWith('film.mp4')) ?? '';
    expect(sha256(await readFile(join(dataDir, 'files', path)))).toBe(sha256(film));
    await expectNothingStaged(dataDir);
  });

  it('is 200 when all of them are accepted', async () => {
    const { url } = await embedLandfall();
    const files = [1, 2, 3].map((n) => ({ name: 'same.txt', content: `file ${n}` }));
    const response = await sendForm(`${url}/upload/multiple`, files);
    expect(response.status).toBe(200);
    const results = await resultsOf(response);
    const contents = results.map(({ record }) => fetch(new URL(record?.url ?? '', url)).then((file) => file.text()));
    expect(await Promise.all(contents)).toEqual(['file 1', 'file 2', 'file 3']);
  });

  it('that breaks off gets the verdict of each complete file', async () => {
    const { url, dataDir } = await embedLandfall();
    const body = `${partHead('whole.txt')}text\r\n${partHead('half.txt')}te`;
    const response = await fetch(`${url}/upload/multiple`, { method: 'POST', headers: { 'Content-Type': MULTIPART }, body });
    expect(response.status).toBe(207);
    const results = await resultsOf(response);
    expect(results.map(({ status, error }) => [status, error?.code])).toEqual([
      [201, undefined],
      [400, 'ERR_INVALID_FORM'],
    ]);
    await expectNothingStaged(dataDir);
  });
});

describe('a form with more files than its sender may have unfinished', () => {
  const authenticate = () => 'anna';
  const files = (bytes: number) => [1, 2, 3, 4, 5].map((n) => ({ name: `${n}.txt`, content: Buffer.alloc(bytes, 'a') }));

  it.for([
    ['uploads', 'small', 10, { ownerMaxUploads: 3 }, 3],
    ['uploads', 'large', 100_000, { ownerMaxUploads: 3 }, 3],
    ['bytes', 'small', 10, { ownerMaxReserved: 25 }, 2],
    ['bytes', 'large', 100_000, { ownerMaxReserved: 250_000 }, 2],
  ] as const)('receives each once another has its verdict: a limit of %s, %s files', async ([, , bytes, config, atOnce]) => {
    const { check, open, seen } = gateCheck();
    const { url, dataDir } = await embedLandfall(config, { checks: [check], authenticate });
    // Before the server closes, which waits for the check.
    onTestFinished(open);
    const sent = sendForm(`${url}/upload/multiple`, files(bytes));
    await expect.poll(() => seen.begun).toBe(atOnce);
    open();
    const response = await sent;
    expect((await resultsOf(response)).map(({ filename, status }) => [filename, status])).toEqual(
      [1, 2, 3, 4, 5].map((n) => [`${n}.txt`, 201]),
    );
    expect(response.status).toBe(200);
    await expectNothingStaged(dataDir);
  });

  it.for([10, 100_000])('is told when the others take too long, and keeps nothing of the rest: files of %i bytes', async (bytes) => {
    const { check, open } = gateCheck();
    const { url, dataDir } = await embedLandfall({ ownerMaxUploads: 3, patience: 200 }, { checks: [check], authenticate });
    // Before the server closes, which waits for the check.
    onTestFinished(open);
    const results = await resultsOf(await sendForm(`${url}/upload/multiple`, files(bytes)));
    // Small files come all at once, and any of them may be the first.
    const codes = results.map(({ status, error }) => error?.code ?? status).sort();
    expect(codes).toEqual([202, 202, 202, 'ERR_TOO_MANY_UPLOADS', 'ERR_TOO_MANY_UPLOADS']);
    open();
    await expectNothingStaged(dataDir);
    expect(await filesBelow(join(dataDir, 'files'))).toHaveLength(3);
  });

  it('is refused at once when it is not the form that has too many', async () => {
    const { url, files: uploads } = await embedLandfall({ ownerMaxUploads: 1, patience: '1h' }, { authenticate });
    expect((await createUpload(uploads, { length: 10, name: 'a.txt' })).status).toBe(201);
    const results = await resultsOf(await sendForm(`${url}/upload/multiple`, files(10)));
    expect(results.map(({ status }) => status)).toEqual([429, 429, 429, 429, 429]);
  });

  it('gives up what waits when the sender leaves', async () => {
    const { check, open, seen } = gateCheck();
    const { url, dataDir } = await embedLandfall({ ownerMaxUploads: 3, patience: '1h' }, { checks: [check], authenticate });
    // Before the server closes, which waits for the check.
    onTestFinished(open);
    const body = `${[1, 2, 3, 4, 5].map((n) => `${partHead(`${n}.txt`)}text\r\n`).join('')}${FORM_END.slice(2)}`;
    const socket = await openSocket(url);
    socket.write(head('POST /upload/multiple HTTP/1.1', 'Host: x', `Content-Type: ${MULTIPART}`, `Content-Length: ${body.length}`));
    socket.write(body);
    const staged = () => filesBelow(join(dataDir, 'staging'));
    await vi.waitFor(async () => expect([seen.begun, (await staged()).length]).toEqual([3, 5]), PATIENT);
    socket.destroy();
    await vi.waitFor(async () => expect(await staged()).toHaveLength(3), PATIENT);
    open();
    await expectNothingStaged(dataDir);
    expect(await filesBelow(join(dataDir, 'files'))).toHaveLength(3);
  });
});

describe('a defective form', () => {
  it.for([
    ['has no boundary', 'multipart/form-data', 'x', 400],
    ['is not multipart', 'application/x-www-form-urlencoded', 'a=b', 415],
    ['has no part at all', MULTIPART, FORM_END, 400],
    ['ends in a file', MULTIPART, `${partHead('a.txt')}hello`, 400],
    ['ends in the head of a file', MULTIPART, partHead('a.txt').slice(0, -4), 400],
  ] as const)('that %s is refused, and the server keeps running', async ([, type, body, status]) => {
    const { url, dataDir } = await embedLandfall();
    const response = await fetch(`${url}/upload`, { method: 'POST', headers: { 'Content-Type': type }, body });
    expect(response.status).toBe(status);
    expect((await sendForm(`${url}/upload`, [{ name: 'a.txt', content: 'text' }])).status).toBe(201);
    await expectNothingStaged(dataDir);
  });

  it('leaves nothing when its connection is cut', async () => {
    const { url, dataDir } = await embedLandfall();
    const socket = await openSocket(url);
    socket.write(head('POST /upload HTTP/1.1', 'Host: x', `Content-Type: ${MULTIPART}`, 'Content-Length: 100000'));
    socket.write(`${partHead('notes.txt')}${'some text '.repeat(1000)}`);
    await vi.waitFor(async () => {
      const [staged] = await filesBelow(join(dataDir, 'staging'));
      expect((await stat(join(dataDir, 'staging', staged ?? ''))).size).toBeGreaterThan(0);
    }, PATIENT);
    socket.destroy();
    await expectNothingStaged(dataDir);
    expect(await filesBelow(join(dataDir, 'files'))).toEqual([]);
  });

  it('that stalls is cut with 408, between its files, too', async () => {
    const { url, dataDir } = await embedLandfall({ bodyTimeout: 200 });
    const start = head('POST /upload HTTP/1.1', 'Host: x', `Content-Type: ${MULTIPART}`, 'Content-Length: 100000');
    expect((await rawRequest(url, [start], 3000)).status).toBe(408);
    expect((await rawRequest(url, [start, partHead('a.txt'), 'hello'], 3000)).status).toBe(408);
    await expectNothingStaged(dataDir);
  });

  it('from a page of another origin gets an answer to its preflight', async () => {
    const { url } = await embedLandfall({ corsOrigins: 'https://app.example' });
    const headers = { Origin: 'https://app.example', 'Access-Control-Request-Method': 'POST' };
    const response = await fetch(`${url}/upload`, { method: 'OPTIONS', headers });
    expect(response.status).toBe(200);
    expect(response.headers.get('Access-Control-Allow-Headers')).toContain('Authorization');
  });
});

describe('memory', () => {
  it('stays flat while a file of 300 MiB is uploaded', async () => {
    const directory = testDirectory();
    const length = 300 * 1024 * 1024;
    const path = join(directory, 'film.mp4');
    const sum = await writeVideo(path, length);
    await using server = await startLandfall({ dataDir: join(directory, 'data') });
    const memory = async (what: string) => {
      const text = await readFile(`/proc/${server.pid}/status`, 'utf8');
      return Number(new RegExp(`^${what}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) * 1024;
    };
    await sendForm(`${server.url}/upload`, [{ name: 'warm.txt', content: 'text' }]);
    const before = await memory('VmRSS');
    async function* form() {
      yield Buffer.from(partHead('film.mp4'));
      yield* createReadStream(path);
      yield Buffer.from(FORM_END);
    }
    const body = Readable.toWeb(Readable.from(form())) as ReadableStream;
    // The DOM's types do not know that a stream needs this.
    const stream = { body, duplex: 'half' };
    const response = await fetch(`${server.url}/upload`, { method: 'POST', headers: { 'Content-Type': MULTIPART }, ...stream });
    expect(response.status).toBe(201);
    const { record } = await resultOf(response);
    expect((await memory('VmHWM')) - before).toBeLessThan(100 * 1024 * 1024);
    expect((await readRecord(new URL(record?.url ?? '', server.url).href)).length).toBe(length);
    const stored = (await filesBelow(join(server.dataDir, 'files'))).find((file) => file.endsWith('film.mp4'));
    expect(await sha256OfFile(join(server.dataDir, 'files', stored ?? ''))).toBe(sum);
  });
});
