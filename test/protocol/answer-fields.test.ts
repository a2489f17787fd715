// The header fields that RFC 9110, RFC 6750 and tus 1.0.0 demand of refusals.
import express from 'express';
import { describe, expect, it } from 'vitest';
import type { Authenticate } from '../../server/index.ts';
import { giveKey } from '../support/credentials.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { head, rawRequest } from '../support/raw-http.ts';
import { createUpload, tusRequest } from '../support/tus-requests.ts';

const NONE = '0'.repeat(32);
const APPEND = { 'Upload-Offset': '0', 'Content-Type': 'application/offset+octet-stream' };

/** A form with one file. */
function form(): FormData {
  const made = new FormData();
  made.append('file', new Blob(['a few words']), 'a.txt');
  return made;
}

describe('a 401', () => {
  const challengeOf = async (url: string, init: RequestInit = {}) => {
    const answer = await fetch(url, init);
    expect(answer.status).toBe(401);
    return answer.headers.get('WWW-Authenticate');
  };

  it('asks for a token, and says when the one that was sent is not valid', async () => {
    const { files, url } = await embedLandfall({ access: 'keys', allow: 'text' });
    const requests: [string, RequestInit][] = [
      [files, { method: 'POST' }],
      [`${files}/${NONE}`, { method: 'HEAD' }],
      [`${files}/${NONE}`, {}],
      [`${files}/${NONE}/status`, {}],
      [`${url}/upload`, { method: 'POST', body: form() }],
      [`${url}/link/upload`, { method: 'POST', body: form() }],
    ];
    for (const [address, init] of requests) {
      expect(await challengeOf(address, init), address).toBe('Bearer realm="Landfall"');
      if (address.includes('/link/')) continue;
      const wrong = await challengeOf(address, { ...init, headers: { Authorization: 'Bearer lf_wrong' } });
      expect(wrong, address).toBe('Bearer realm="Landfall", error="invalid_token"');
    }
    expect(await challengeOf(files, { method: 'POST', headers: { Authorization: 'Token abc' } })).toBe('Bearer realm="Landfall"');
  });

  it('has the challenge of the application, if it sets one', async () => {
    let rule: Authenticate = () => null;
    const own = 'Session realm="Shop"';
    const { files } = await embedLandfall({}, { authenticate: (request, intent) => rule(request, intent) });
    expect(await challengeOf(files, { method: 'POST' })).toBe('Bearer realm="Landfall"');
    rule = () => {
      throw Object.assign(new Error(), { status: 401, headers: { 'www-authenticate': own } });
    };
    expect(await challengeOf(files, { method: 'POST' })).toBe(own);
    const before = await embedLandfall({}, { authenticate: () => null }, ({ handler }) =>
      express().use((_request, response, next) => {
        response.setHeader('WWW-Authenticate', own);
        next();
      }, handler),
    );
    expect(await challengeOf(before.files, { method: 'POST' })).toBe(own);
  });
});

it('a 403 for what a token does not include says so', async () => {
  const { files, dataDir } = await embedLandfall({ access: 'keys' });
  const { headers } = await giveKey({ dataDir }, { limits: { actions: ['download'] } });
  const answer = await createUpload(files, { length: 5, headers });
  expect([answer.status, answer.headers.get('WWW-Authenticate')]).toEqual([403, 'Bearer realm="Landfall", error="insufficient_scope"']);
});

it('a 405 names the methods of the address, and OPTIONS does, too', async () => {
  const { files, url } = await embedLandfall();
  const upload = (await createUpload(files, { length: 5, name: 'a.txt' })).url;
  const addresses: [string, string, string[]][] = [
    [files, 'OPTIONS, POST', ['PUT', 'PATCH', 'DELETE']],
    [upload, 'OPTIONS, HEAD, PATCH, DELETE, GET', ['PUT', 'POST']],
    [`${url}/upload`, 'OPTIONS, POST', ['GET', 'HEAD', 'PUT', 'DELETE']],
    [`${url}/upload/multiple`, 'OPTIONS, POST', ['GET', 'DELETE']],
    [`${url}/link/upload`, 'POST', ['GET', 'DELETE', 'OPTIONS']],
  ];
  for (const [address, allow, methods] of addresses) {
    for (const method of methods) {
      const { status, headers } = await tusRequest(method, address);
      expect([status, headers.get('Allow')], `${method} ${address}`).toEqual([405, allow]);
    }
    if (!methods.includes('OPTIONS')) expect((await fetch(address, { method: 'OPTIONS' })).headers.get('Allow'), address).toBe(allow);
  }
  expect((await fetch(upload, { method: 'OPTIONS' })).headers.get('Accept-Patch')).toBe('application/offset+octet-stream');
});

it('a 415 names the media type that the address takes', async () => {
  const { files, url } = await embedLandfall();
  const upload = (await createUpload(files, { length: 5, name: 'a.txt' })).url;
  const wrong = { ...APPEND, 'Content-Type': 'text/plain', 'Upload-Length': '5' };
  const fieldsOf = async (method: string, address: string) => {
    const { status, headers } = await tusRequest(method, address, wrong, 'hello');
    return [status, headers.get('Accept'), headers.get('Accept-Patch')];
  };
  expect(await fieldsOf('PATCH', upload)).toEqual([415, null, APPEND['Content-Type']]);
  expect(await fieldsOf('POST', files)).toEqual([415, APPEND['Content-Type'], null]);
  for (const path of ['/upload', '/upload/multiple', '/link/upload']) {
    expect(await fieldsOf('POST', url + path)).toEqual([415, 'multipart/form-data', null]);
  }
});

describe('Tus-Resumable', () => {
  const versionOf = async (server: { url: string }, method: string, path: string, lines: string[] = []) => {
    const request = head(
      `${method} ${path} HTTP/1.1`,
      'Connection: close',
      ...(lines.some((line) => /^host/i.test(line)) ? [] : ['Host: localhost']),
      ...lines,
    );
    const { status, headers } = await rawRequest(server.url, [request], 60_000);
    return [status, headers.get('tus-resumable')];
  };
  const TUS = 'Tus-Resumable: 1.0.0';
  const PATCH = [TUS, ...Object.entries(APPEND).map((pair) => pair.join(': ')), 'Content-Length: 0'];

  it('is in every answer to a tus request, whatever refuses it', async () => {
    const keys = await embedLandfall({ access: 'keys', host: '127.0.0.1' }, { isStandalone: true });
    const { headers } = await giveKey(keys);
    const key = `Authorization: ${headers.Authorization}`;
    const refusals: [number, string, string, string[]][] = [
      [401, 'POST', '/files', [TUS, 'Upload-Length: 5']],
      [401, 'HEAD', `/files/${NONE}`, [TUS]],
      [401, 'PATCH', `/files/${NONE}`, [...PATCH, 'Authorization: Bearer lf_x']],
      [401, 'DELETE', `/files/${NONE}`, [TUS]],
      [404, 'HEAD', `/files/${NONE}`, [TUS, key]],
      [404, 'HEAD', '/files/x/y', [TUS, key]],
      [404, 'PATCH', `/files/${NONE}?x=/${NONE}`, [...PATCH, key]],
      [404, 'POST', `/files/${NONE}/${NONE}`, [TUS, key, 'X-HTTP-Method-Override: HEAD']],
      [405, 'PUT', '/files', [TUS, key]],
      [412, 'POST', '/files', [key]],
      [412, 'HEAD', `/files/${NONE}`, ['Tus-Resumable: 0.2.2', key]],
      [421, 'POST', '/files', [TUS, key, 'Host: evil.test', 'Upload-Length: 5']],
      [403, 'POST', '/files', [TUS, key, 'Origin: https://evil.test', 'Upload-Length: 5']],
    ];
    for (const [status, method, path, lines] of refusals) {
      expect(await versionOf(keys, method, path, lines), `${method} ${path} ${lines}`).toEqual([status, '1.0.0']);
    }
    await keys.landfall.close();
    expect(await versionOf(keys, 'POST', '/files', [TUS, key, 'Upload-Length: 5'])).toEqual([503, '1.0.0']);
    expect(await versionOf(keys, 'HEAD', `/files/${NONE}`, [TUS, key])).toEqual([423, '1.0.0']);
  });

  it('is in no answer with a file, a record or their refusals', async () => {
    const server = await embedLandfall();
    const body = Buffer.from('a few words, long enough to be a text\n');
    const { url } = await createUpload(server.files, { length: body.byteLength, name: 'a.txt', body });
    const path = new URL(url).pathname;
    for (const [status, method, at] of [
      [200, 'GET', path],
      [200, 'HEAD', path],
      [200, 'GET', `${path}/status`],
      [404, 'GET', `/files/${NONE}`],
      [404, 'GET', '/files/x/y'],
    ] as const) {
      expect(await versionOf(server, method, at), `${method} ${at}`).toEqual([status, undefined]);
    }
  });
});
