// The addresses of uploads: the path alone names an upload, and only its owner may use it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import express from 'express';
import { describe, expect, it } from 'vitest';
import { filesBelow, videoBytes } from '../support/content.ts';
import { type EmbeddedLandfall, embedLandfall } from '../support/landfall-embedded.ts';
import { head, rawRequest } from '../support/raw-http.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord, tusRequest } from '../support/tus-requests.ts';

const LENGTH = 10_000;
const VERBS = ['HEAD', 'PATCH', 'DELETE', 'GET', 'POST', 'PUT', 'OPTIONS'];

/** Sends a request with its path byte for byte: `fetch` would normalise it. */
function rawTus(server: EmbeddedLandfall, method: string, path: string, extra: string[] = []) {
  const hasBody = method === 'PATCH';
  return rawRequest(
    server.url,
    [
      head(
        `${method} ${path} HTTP/1.1`,
        'Host: localhost',
        'Connection: close',
        'Tus-Resumable: 1.0.0',
        ...(hasBody ? ['Upload-Offset: 0', 'Content-Type: application/offset+octet-stream', 'Content-Length: 4'] : []),
        ...extra,
      ),
      hasBody ? 'evil' : '',
    ],
    500,
  );
}

describe("another owner's upload", () => {
  const authenticate = ({ headers }: { headers: NodeJS.Dict<string | string[]> }) => (headers['x-user'] ? String(headers['x-user']) : null);

  it('answers every method with 404, as an unknown one does, and does not change', async () => {
    const server = await embedLandfall({}, { authenticate });
    const alice = { 'X-User': 'alice' };
    const bytes = await videoBytes(LENGTH);
    const open = await createUpload(server.files, { length: LENGTH, name: 'film.mp4', body: bytes.subarray(0, 100), headers: alice });
    const accepted = await createUpload(server.files, { length: LENGTH, name: 'film.mp4', body: bytes, headers: alice });
    const mallory = { 'X-User': 'mallory' };
    for (const { url } of [open, accepted]) {
      const never = `${server.files}/${'0'.repeat(32)}`;
      for (const method of ['HEAD', 'DELETE', 'GET']) {
        const answer = await tusRequest(method, url, mallory);
        expect(answer).toMatchObject({ status: 404, offset: undefined });
        expect(answer.text).toBe((await tusRequest(method, never, mallory)).text);
      }
      expect(await patchUpload(url, 100, bytes.subarray(100), mallory)).toMatchObject({ status: 404 });
      expect((await fetch(`${url}/status`, { headers: mallory })).status).toBe(404);
      const override = { ...mallory, 'X-HTTP-Method-Override': 'DELETE' };
      expect(await tusRequest('POST', url, override)).toMatchObject({ status: 404 });
    }
    expect(await headUpload(open.url, alice)).toMatchObject({ status: 200, offset: 100 });
    expect(await headUpload(accepted.url, alice)).toMatchObject({ status: 200, offset: LENGTH });
  });

  it('answers requests without a user with 401', async () => {
    const server = await embedLandfall({}, { authenticate });
    expect(await createUpload(server.files, { length: 5, name: 'a.txt' })).toMatchObject({ status: 401, code: 'ERR_UNAUTHORIZED' });
    expect((await headUpload(`${server.files}/${'0'.repeat(32)}`)).status).toBe(401);
  });

  it('is not found by its Idempotency-Key', async () => {
    const server = await embedLandfall({}, { authenticate });
    const create = (user: string) =>
      createUpload(server.files, { length: 5, name: 'a.txt', headers: { 'X-User': user, 'Idempotency-Key': 'same' } });
    expect((await create('alice')).url).not.toBe((await create('mallory')).url);
  });
});

describe('an address', () => {
  it('with a second id is 404, and neither upload changes', async () => {
    const server = await embedLandfall();
    const bytes = await videoBytes(LENGTH);
    const [mine, victim] = await Promise.all(
      [1, 2].map(() => createUpload(server.files, { length: LENGTH, name: 'film.mp4', body: bytes.subarray(0, 100) })),
    );
    const [a, b] = [idOf(mine?.url ?? ''), idOf(victim?.url ?? '')];
    const paths = [
      `${a}?x=/${b}`,
      `${a}/${b}`,
      `${a}?/${b}/`,
      `${a}?`,
      `${a}/`,
      `${a}//`,
      `/${a}`,
      `${a};${b}`,
      `${a}%2f${b}`,
      `${a}%3f${b}`,
    ];
    for (const path of paths) {
      for (const method of ['HEAD', 'PATCH', 'DELETE']) {
        const answer = await rawTus(server, method, `/files/${path}`);
        expect(answer.status, `${method} ${path}`).toBe(404);
      }
    }
    for (const url of [mine?.url ?? '', victim?.url ?? ''])
      expect(await readRecord(url)).toMatchObject({ state: 'receiving', offset: 100 });
  });

  it('without an id is refused for every method, and no file outside changes', async () => {
    const server = await embedLandfall();
    mkdirSync(join(server.dataDir, 'outside'));
    writeFileSync(join(server.dataDir, 'outside/secret.txt'), 'secret');
    const before = (await filesBelow(server.dataDir)).filter((file) => !file.includes('ledger'));
    const ids = [
      '..%2f..%2foutside%2fsecret.txt',
      '../outside/secret.txt',
      '..%5c..%5coutside',
      '%00',
      `${'0'.repeat(32)}%00`,
      '%2e%2e',
      '%2e%2e%2foutside%2fsecret.txt',
      'a%',
      '%',
      '%zz',
      '%c0%ae%c0%ae%2f',
      'A'.repeat(32),
      '0'.repeat(31),
      '0'.repeat(33),
      'x'.repeat(5000),
      '__proto__',
      'constructor',
      `${'0'.repeat(32)}.json`,
    ];
    for (const id of ids) {
      for (const method of VERBS) {
        const answer = await rawTus(server, method, `/files/${id}`);
        expect(answer.status, `${method} ${id}`).toBeGreaterThanOrEqual(400);
        expect(answer.status, `${method} ${id}`).toBeLessThan(500);
        expect(answer.text).not.toMatch(/secret|node_modules|at .*\.ts|ENOENT/);
      }
    }
    expect((await filesBelow(server.dataDir)).filter((file) => !file.includes('ledger'))).toEqual(before);
  });
});

describe('Location', () => {
  const forged = ['Upload-Length: 5', 'X-Forwarded-Host: evil.example', 'X-Forwarded-Proto: https,http', 'Forwarded: host=evil.example'];
  const forge = (server: EmbeddedLandfall, path = '/files') =>
    rawRequest(
      server.url,
      [head(`POST ${path} HTTP/1.1`, 'Host: evil.example', 'Tus-Resumable: 1.0.0', 'Content-Length: 0', ...forged)],
      300,
    );

  it('never contains a host that the client sent', async () => {
    const answer = await forge(await embedLandfall());
    expect(answer.status).toBe(201);
    expect(answer.headers.get('location')).toMatch(/^\/files\/[0-9a-f]{32}$/);
    expect(answer.text).not.toContain('evil');
  });

  it('is below the configured public address', async () => {
    const server = await embedLandfall({ publicUrl: 'https://uploads.example/landing/' });
    const answer = await forge(server);
    expect(answer.headers.get('location')).toMatch(/^https:\/\/uploads\.example\/landing\/files\/[0-9a-f]{32}$/);
  });

  it('is below the path that the handler is mounted under', async () => {
    const server = await embedLandfall({}, {}, ({ handler }) => express().use('/deep/uploads', handler));
    const answer = await forge(server, '/deep/uploads/files');
    expect(answer.headers.get('location')).toMatch(/^\/deep\/uploads\/files\/[0-9a-f]{32}$/);
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(`${server.url}/deep/uploads/files`, { length: LENGTH, name: 'film.mp4' });
    expect(await patchUpload(url, 0, bytes)).toMatchObject({ status: 204, offset: LENGTH });
    expect((await fetch(url)).status).toBe(200);
  });
});
