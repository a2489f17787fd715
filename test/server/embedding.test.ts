// Landfall embedded in an Express application, with owners who must not see each other's uploads.
import express from 'express';
import { describe, expect, it } from 'vitest';
import type { Authenticate, ConfigInput, LandfallHooks } from '../../server/index.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { head, rawRequest } from '../support/raw-http.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord, terminateUpload, tusRequest } from '../support/tus-requests.ts';
import { sendForm } from './form-requests.ts';

const ANNA = { Authorization: 'anna' };
const BERT = { Authorization: 'bert' };

async function mounted(config: ConfigInput = {}, hooks: LandfallHooks = {}) {
  const server = await embedLandfall(
    config,
    { authenticate: (request) => request.headers.authorization ?? null, ...hooks },
    ({ handler }) =>
      express()
        .get('/', (_request, response) => void response.send('the application'))
        .use('/app/uploads', handler)
        .use((_request, response) => void response.status(418).send('the application')),
  );
  return { ...server, files: `${server.url}/app/uploads/files` };
}

describe('a server embedded in an application', () => {
  it('addresses uploads below the path it is mounted at, and leaves the rest alone', async () => {
    const { url, files } = await mounted();
    const created = await createUpload(files, { length: 4, name: 'a.txt', body: Buffer.from('text'), headers: ANNA });
    expect(created.status).toBe(201);
    expect(created.headers.get('Location')).toMatch(/^\/app\/uploads\/files\/[0-9a-f]{32}$/);
    expect(await readRecord(created.url, ANNA)).toMatchObject({ state: 'accepted', url: created.headers.get('Location') });
    expect(await (await fetch(created.url, { headers: ANNA })).text()).toBe('text');
    expect(await (await fetch(`${url}/`)).text()).toBe('the application');
    expect((await fetch(`${url}/files/${idOf(created.url)}`, { headers: ANNA })).status).toBe(418);
    const form = await sendForm(`${url}/app/uploads/upload`, [{ name: 'b.txt', content: 'text' }], ANNA);
    expect(form.headers.get('Location')).toMatch(/^\/app\/uploads\/files\/[0-9a-f]{32}$/);
  });

  it('answers unknown addresses below its mount itself, never with a page of the framework', async () => {
    const { url } = await mounted();
    const response = await fetch(`${url}/app/uploads/nothing`, { headers: ANNA });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ code: 'ERR_NOT_FOUND' });
    expect((await fetch(`${url}/app/uploads/FILES`, { headers: ANNA, method: 'POST' })).status).toBe(404);
  });

  it('uses the configured public address instead, if there is one', async () => {
    const { files } = await mounted({ publicUrl: 'https://files.example/in' });
    const created = await createUpload(files, { length: 4, name: 'a.txt', headers: ANNA });
    expect(created.headers.get('Location')).toMatch(/^https:\/\/files\.example\/in\/files\/[0-9a-f]{32}$/);
  });

  it('does not trust the host that a client claims', async () => {
    const { url } = await mounted();
    const lines = [
      'POST /app/uploads/files HTTP/1.1',
      'Host: evil.example',
      'X-Forwarded-Host: evil.example',
      'X-Forwarded-Proto: https,http',
      'Forwarded: host=evil.example;proto=https',
      'X-Original-URL: /evil',
      'Authorization: anna',
      'Tus-Resumable: 1.0.0',
      'Upload-Length: 4',
      'Content-Length: 0',
    ];
    const answer = await rawRequest(url, [head(...lines, 'Connection: close')]);
    expect(answer.status).toBe(201);
    expect(answer.headers.get('location')).toMatch(/^\/app\/uploads\/files\/[0-9a-f]{32}$/);
    expect(answer.text).not.toContain('evil');
  });

  it('tells the application every verdict, an early refusal included', async () => {
    const told: [string, string, string][] = [];
    const server = await mounted(
      {},
      {
        onEvent: ({ type, data: { state, name, id } }) => {
          if (type !== 'upload.created') told.push([state, name ?? '', id]);
        },
      },
    );
    const body = Buffer.from('text');
    const accepted = await createUpload(server.files, { length: 4, name: 'a.txt', body, headers: ANNA });
    await createUpload(server.files, { length: 4, name: 'b.png', body, headers: ANNA });
    const early = await createUpload(server.files, { length: 1_000_000, name: 'c.png', headers: ANNA });
    expect((await patchUpload(early.url, 0, Buffer.concat([Buffer.from('MZ'), Buffer.alloc(10_000)]), ANNA)).status).toBe(422);
    await expect
      .poll(() => told.map(([state, name]) => [state, name]))
      .toEqual([
        ['accepted', 'a.txt'],
        ['rejected', 'b.png'],
        ['rejected', 'c.png'],
      ]);
    expect(told[0]?.[2]).toBe(idOf(accepted.url));
  });
});

describe('owners', () => {
  const VERBS: [string, (url: string, headers: Record<string, string>) => Promise<{ status: number }>][] = [
    ['HEAD', headUpload],
    ['HEAD of a download', (url, headers) => fetch(url, { method: 'HEAD', headers })],
    ['PATCH', (url, headers) => patchUpload(url, 0, 'evil', headers)],
    ['DELETE', terminateUpload],
    ['GET', (url, headers) => fetch(url, { headers })],
    ['GET status', (url, headers) => fetch(`${url}/status`, { headers })],
    ['GET status and wait', (url, headers) => fetch(`${url}/status?wait=1`, { headers })],
    ['POST for PATCH', (url, headers) => tusRequest('POST', url, { ...headers, 'X-HTTP-Method-Override': 'PATCH', 'Upload-Offset': '0' })],
    ['POST for DELETE', (url, headers) => tusRequest('POST', url, { ...headers, 'X-HTTP-Method-Override': 'DELETE' })],
  ];
  it.for(VERBS)('get 404 for %s of another owner’s upload, unfinished or accepted, and change nothing', async ([, ask]) => {
    const { files } = await mounted();
    const unfinished = await createUpload(files, { length: 8, name: 'a.txt', body: Buffer.from('text'), headers: ANNA });
    const accepted = await createUpload(files, { length: 4, name: 'a.txt', body: Buffer.from('text'), headers: ANNA });
    const nobodys = `${files}/${'0'.repeat(32)}`;
    for (const url of [unfinished.url, accepted.url, nobodys]) expect((await ask(url, BERT)).status).toBeOneOf([404, 415]);
    // A defective request gets the same answer for another owner's upload and for a missing one.
    expect((await ask(unfinished.url, BERT)).status).toBe((await ask(nobodys, BERT)).status);
    expect((await headUpload(unfinished.url, ANNA)).offset).toBe(4);
    expect((await readRecord(accepted.url, ANNA)).state).toBe('accepted');
  });

  it('have idempotency keys of their own', async () => {
    const { files } = await mounted();
    const key = { 'Idempotency-Key': 'the-same' };
    const anna = await createUpload(files, { length: 8, name: 'a.txt', headers: { ...ANNA, ...key } });
    const again = await createUpload(files, { length: 8, name: 'a.txt', headers: { ...ANNA, ...key } });
    const bert = await createUpload(files, { length: 8, name: 'a.txt', headers: { ...BERT, ...key } });
    expect(again.url).toBe(anna.url);
    expect(bert.url).not.toBe(anna.url);
    expect(bert.status).toBe(201);
  });

  const NOBODY: [string, Authenticate][] = [
    ['null', () => null],
    ['undefined', () => undefined as never],
    ['a number', () => 7 as never],
  ];
  it.for(NOBODY)('are nobody when the rule returns %s: 401 for every request, before anything is read', async ([, authenticate]) => {
    const { url, files } = await mounted({}, { authenticate });
    expect(await createUpload(files, { length: 4 })).toMatchObject({ status: 401, code: 'ERR_UNAUTHORIZED' });
    expect((await headUpload(`${files}/${'0'.repeat(32)}`)).status).toBe(401);
    expect((await sendForm(`${url}/app/uploads/upload`, [{ name: 'a.txt', content: 'text' }])).status).toBe(401);
    // A browser must ask this before it may send credentials.
    expect((await fetch(files, { method: 'OPTIONS' })).status).toBe(200);
  });

  it("can't be determined when the rule throws: 503 without its message, HEAD 423", async () => {
    const authenticate = (): string => {
      throw new Error('password of the database: secret');
    };
    const { files } = await mounted({}, { authenticate });
    const answer = await createUpload(files, { length: 4 });
    expect(answer).toMatchObject({ status: 503, code: 'ERR_ACCESS_UNAVAILABLE' });
    expect(answer.text).not.toMatch(/secret|Error:|\bat /);
    expect((await headUpload(`${files}/${'0'.repeat(32)}`)).status).toBe(423);
    expect((await tusRequest('POST', `${files}/${'0'.repeat(32)}`, { 'X-HTTP-Method-Override': 'HEAD' })).status).toBe(423);
  });

  it('may be determined by an asynchronous rule', async () => {
    const { files } = await mounted({}, { authenticate: () => new Promise((resolve) => setTimeout(resolve, 50, 'anna')) });
    const created = await createUpload(files, { length: 4, name: 'a.txt', body: Buffer.from('text') });
    expect(created.status).toBe(201);
    expect((await readRecord(created.url)).state).toBe('accepted');
  });
});
