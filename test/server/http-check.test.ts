// An application decides over HTTP whether a file is accepted, with every fault that programs have.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type ConfigInput, createLandfall } from '../../server/index.ts';
import type { ApplicationRecord } from '../../shared/upload.ts';
import { filesBelow } from '../support/content.ts';
import { freePort } from '../support/free-port.ts';
import { type EmbeddedLandfall, embedLandfall } from '../support/landfall-embedded.ts';
import { head, rawRequest } from '../support/raw-http.ts';
import { showUpload } from '../support/show-upload.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord } from '../support/tus-requests.ts';

interface Question {
  record: ApplicationRecord;
  content: string;
}

type Answering = (question: Question, response: ServerResponse, request: IncomingMessage) => unknown;

/** The application sends the return value, unless `answering` wrote a response itself. */
async function startApplication(answering: Answering, config: ConfigInput = {}) {
  const asked: Question[] = [];
  let answer = answering;
  const application = createServer(async (request, response) => {
    const question = JSON.parse(await text(request)) as Question;
    asked.push(question);
    const said = await Promise.resolve(answer(question, response, request)).catch(() => undefined);
    if (said !== undefined) response.end(typeof said === 'string' ? said : JSON.stringify(said));
  });
  await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve));
  const url = `http://user:secret@127.0.0.1:${(application.address() as AddressInfo).port}/check`;
  const server = await embedLandfall({ patience: 20_000, checkUrl: url, ...config });
  onTestFinished(() => {
    application.closeAllConnections();
    application.close();
  });
  return {
    server,
    asked,
    answerFromNowOn(other: Answering) {
      answer = other;
    },
  };
}

async function send({ files }: EmbeddedLandfall, content = 'text', metadata: Record<string, string> = {}) {
  const { url } = await createUpload(files, { length: content.length, name: 'a.txt', metadata });
  return { url, id: idOf(url), ...(await patchUpload(url, 0, content)) };
}

describe('the application', () => {
  it('is asked with all facts about the file and its sender', async () => {
    let authorization: string | undefined;
    const { server, asked } = await startApplication((_question, _response, request) => {
      authorization = request.headers.authorization;
      return { accept: true };
    });
    const sent = await send(server, 'text', { project: 'köln' });
    expect(sent.status).toBe(204);
    expect(asked).toHaveLength(1);
    expect(asked[0]?.record).toMatchObject({
      id: sent.id,
      state: 'inspecting',
      name: 'a.txt',
      type: 'text/plain',
      owner: '',
      metadata: { filename: 'a.txt', project: 'köln' },
      attempts: 1,
      place: null,
    });
    expect(authorization).toBe(`Basic ${Buffer.from('user:secret').toString('base64')}`);
  });

  it('accepts, with a result that the sender gets', async () => {
    const { server } = await startApplication(() => ({ accept: true, result: { pages: 3 } }));
    const sent = await send(server);
    expect(await readRecord(sent.url)).toMatchObject({ state: 'accepted', result: { pages: 3 } });
  });

  it('refuses in its own words, with one of our codes, or none', async () => {
    const { server, answerFromNowOn } = await startApplication(() => ({ reject: { detail: 'No project.' }, result: [1] }));
    const sent = await send(server);
    expect(sent.status).toBe(422);
    expect(JSON.parse(sent.text)).toMatchObject({ code: 'ERR_CHECK_REFUSED', detail: 'No project.', result: [1] });
    answerFromNowOn(() => ({ reject: { code: 'ERR_TYPE_NOT_ALLOWED' } }));
    expect(await send(server)).toMatchObject({ status: 422, code: 'ERR_TYPE_NOT_ALLOWED' });
    expect(await filesBelow(join(server.dataDir, 'files'))).toEqual([]);
  });

  it('asks to be asked later, which counts against no file', async () => {
    let asked = 0;
    const { server } = await startApplication(() => (++asked < 8 ? { later: 0.02 } : { accept: true }));
    const sent = await send(server);
    expect(sent.status).toBe(204);
    expect((await showUpload(server.dataDir, sent.id)).attempts).toBe(8);
  });
});

describe('the bytes for the application', () => {
  it('can be read whole and in ranges, as often as it likes', async () => {
    const content = Array.from({ length: 400_000 }, (_, n) => String(n)).join('\n');
    const read: unknown[] = [];
    const { server } = await startApplication(async (question) => {
      const get = async (range?: string) => {
        const response = await fetch(question.content, { headers: range === undefined ? {} : { Range: range } });
        return [response.status, response.headers.get('Content-Range'), await response.text()];
      };
      const [status, , whole] = await get();
      read.push(status, whole === content);
      read.push(await get('bytes=2-5'), await get('bytes=-3'), await get(`bytes=${content.length - 1}-`));
      read.push((await get(`bytes=${content.length}-`)).slice(0, 2));
      const { status: known, headers } = await fetch(question.content, { method: 'HEAD' });
      read.push([known, headers.get('Content-Length'), headers.get('Accept-Ranges')]);
      const put = await fetch(question.content, { method: 'PUT', body: 'x' });
      read.push([put.status, put.headers.get('Allow')]);
      const absolute = head(`GET ${question.content} HTTP/1.1`, 'Host: ignored', 'Connection: close');
      read.push((await rawRequest(question.content, [absolute])).status);
      return { accept: true };
    });
    expect((await send(server, content)).status).toBe(204);
    const size = content.length;
    expect(read).toEqual([
      200,
      true,
      [206, `bytes 2-5/${size}`, content.slice(2, 6)],
      [206, `bytes ${size - 3}-${size - 1}/${size}`, content.slice(-3)],
      [206, `bytes ${size - 1}-${size - 1}/${size}`, content.slice(-1)],
      [416, `bytes */${size}`],
      [200, String(size), 'bytes'],
      [405, 'GET, HEAD'],
      200,
    ]);
  });

  it('have an address of their own for each attempt, valid until the attempt ends, and nowhere else', async () => {
    const addresses: string[] = [];
    const before: number[] = [];
    let publicUrl = '';
    const { server } = await startApplication(async ({ content }) => {
      addresses.push(content);
      for (const address of addresses.slice(0, -1)) before.push((await fetch(address)).status);
      const path = new URL(content).pathname;
      before.push(
        (await fetch(`${publicUrl}${path}`)).status,
        (await fetch(`${content}x`)).status,
        (await fetch(new URL('/content/', content))).status,
      );
      return addresses.length < 3 ? { later: 0 } : { accept: true };
    });
    publicUrl = server.url;
    expect((await send(server)).status).toBe(204);
    expect(new Set(addresses).size).toBe(3);
    expect(before).toEqual([404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404]);
    for (const address of addresses) {
      expect((await fetch(address)).status).toBe(404);
      expect(new URL(address).hostname).toBe('127.0.0.1');
      expect(new URL(address).port).not.toBe(new URL(server.url).port);
    }
  });

  it('are at the address that the operator configures', async () => {
    const port = await freePort();
    const { server, asked } = await startApplication(() => ({ accept: true }), {
      internalPort: port,
      internalUrl: 'http://landfall.internal:8080/',
    });
    expect((await send(server)).status).toBe(204);
    expect(asked[0]?.content).toMatch(/^http:\/\/landfall\.internal:8080\/content\/[\w-]{43}$/);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
  });
});

describe('a fault of the application is never a verdict', () => {
  const WRONG: [string, Answering][] = [
    ['500', (_, response) => void response.writeHead(500).end('{"accept":true}')],
    ['404', (_, response) => void response.writeHead(404).end('{"reject":{}}')],
    ['a redirect', (_, response) => void response.writeHead(302, { Location: '/' }).end()],
    ['no JSON', () => 'yes'],
    ['nothing', () => ''],
    ['neither yes nor no', () => ({})],
    ['both', () => ({ accept: true, reject: {} })],
    ['accept: false', () => ({ accept: false })],
    ['a code that there is not', () => ({ reject: { code: 'ERR_OF_MINE' } })],
    ['a code that is no verdict', () => ({ reject: { code: 'ERR_NETWORK' } })],
    ['too much', () => ({ accept: true, result: 'x'.repeat(70_000) })],
    [
      'an end in the middle',
      (_, response) => void response.writeHead(200, { 'Content-Length': 15 }).write('{"accept":', () => response.destroy()),
    ],
    ['silence', () => undefined],
  ];
  it('the server answers 503, keeps the upload, and asks again', async () => {
    const { server, asked, answerFromNowOn } = await startApplication(
      (question, ...rest) => WRONG[Number(question.record.metadata.wrong)]?.[1](question, ...rest),
      { patience: 300, checkTimeout: 1000 },
    );
    const sent = await Promise.all(WRONG.map((_, index) => send(server, 'text', { wrong: String(index) })));
    const codes = () => Promise.all(sent.map(async ({ url }, index) => [WRONG[index]?.[0], (await patchUpload(url, 3, 't')).code]));
    await expect.poll(codes).toEqual(WRONG.map(([what]) => [what, 'ERR_CHECK_UNAVAILABLE']));
    const timesAsked = (id: string) => asked.filter(({ record }) => record.id === id).length;
    await expect.poll(() => Math.min(...sent.map(({ id }) => timesAsked(id)))).toBeGreaterThan(2);
    const ledger = new DatabaseSync(join(server.dataDir, 'ledger.sqlite'), { readOnly: true });
    // Only the strikes of running attempts.
    expect(ledger.prepare('select max(strikes) as most from uploads').get()?.most).toBeLessThanOrEqual(1);
    ledger.close();
    for (const { url } of sent) expect(await headUpload(url)).toMatchObject({ status: 200, offset: 3 });
    answerFromNowOn(() => ({ accept: true }));
    for (const { url } of sent) await expect.poll(async () => (await readRecord(url)).state).toBe('accepted');
  });

  it('an unreachable application has the same effect, and the log has no password', async () => {
    const port = await freePort();
    const lines: string[] = [];
    const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
    const server = await embedLandfall({ patience: 300, checkUrl: `http://user:secret@127.0.0.1:${port}/` }, { logger });
    const sent = await send(server);
    await expect.poll(async () => (await patchUpload(sent.url, 3, 't')).code).toBe('ERR_CHECK_UNAVAILABLE');
    expect(lines.join('')).toContain('ECONNREFUSED');
    expect(lines.join('')).not.toContain('secret');
  });
});

it('an application that reads for longer than a check may be silent is not stopped', async () => {
  const { server } = await startApplication(
    async ({ content }) => {
      for (let n = 0; n < 6; n++) {
        await (await fetch(content, { headers: { Range: 'bytes=0-0' } })).text();
        await new Promise((resolve) => setTimeout(resolve, 400));
      }
      return { accept: true };
    },
    { checkTimeout: 2000 },
  );
  const sent = await send(server);
  expect(sent.status).toBe(204);
  expect((await showUpload(server.dataDir, sent.id)).attempts).toBe(1);
});

it('a server that shuts down while it asks asks again after its start, and there is one verdict', async () => {
  const { server, asked, answerFromNowOn } = await startApplication(() => undefined, { patience: 300, checkTimeout: 1000 });
  const sent = await send(server);
  await server.close();
  const before = asked.length;
  answerFromNowOn(() => ({ accept: true, result: 'again' }));
  const again = await embedLandfall({ dataDir: server.dataDir, checkUrl: server.landfall.config.checkUrl });
  await expect.poll(async () => (await readRecord(`${again.files}/${sent.id}`)).state).toBe('accepted');
  expect(asked.length).toBe(before + 1);
});

it('an internal address that is taken makes the start fail with a sentence', async () => {
  const { server } = await startApplication(() => ({ accept: true }));
  const taken = Number(new URL(server.url).port);
  const landfall = createLandfall({ dataDir: testDirectory(), checkUrl: 'http://127.0.0.1:1/', internalPort: taken, logLevel: 'silent' });
  await expect(landfall.start()).rejects.toThrow(/LANDFALL_INTERNAL_PORT/);
  await landfall.close();
});
