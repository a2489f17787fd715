// The host names that the server answers to, and the origins whose pages may change anything: the rules, request by request. The
// same in a real browser is tested in test/browser/foreign-pages.test.ts.
import { describe, expect, it } from 'vitest';
import type { ConfigInput, LandfallHooks } from '../../server/index.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { head, rawRequest } from '../support/raw-http.ts';
import { createUpload, idOf } from '../support/tus-requests.ts';

const STANDALONE: LandfallHooks = { isStandalone: true };

async function statusOf(url: string, host: string, path = '/config', method = 'GET', lines: string[] = []) {
  const answer = await rawRequest(url, [head(`${method} ${path} HTTP/1.1`, `Host: ${host}`, 'Connection: close', ...lines)]);
  return { status: answer.status, code: /"code":"(\w+)"/.exec(answer.body)?.[1], text: answer.text };
}

describe('the host name of a request', () => {
  it('may be localhost or an IP address when the server listens on loopback; others get 421, except for health', async () => {
    const { url } = await embedLandfall({ host: '127.0.0.1' }, STANDALONE);
    for (const host of ['localhost', 'LocalHost:1080', '127.0.0.1:99', '[::1]:1080', '10.1.2.3', 'localhost.']) {
      expect(await statusOf(url, host), host).toMatchObject({ status: 200 });
    }
    for (const host of ['evil.test', 'localhost.evil.test', '127.0.0.1.evil.test', 'evil.test:1080', 'a b', '127.0.0.1@evil.test', '']) {
      expect((await statusOf(url, host)).status, host).not.toBe(200);
    }
    for (const path of ['/', '/config', '/files/00000000000000000000000000000000', '/upload', '/get-upload-url']) {
      const refused = await statusOf(url, 'evil.test', path);
      expect(refused, path).toMatchObject({ status: 421, code: 'ERR_UNKNOWN_HOST' });
      expect(refused.text).toContain('LANDFALL_HOSTS');
      expect(refused.text).not.toContain('evil');
    }
    expect(await statusOf(url, 'evil.test', '/health/live')).toMatchObject({ status: 200 });
    expect(await statusOf(url, 'evil.test', '/health/ready')).toMatchObject({ status: 200 });
  });

  it.for([
    ['the public URL', { publicUrl: 'https://uploads.example/in' }, 'uploads.example'],
    ['a list', { hosts: 'Uploads.Example, other.example' }, 'other.example:8443'],
  ] satisfies [string, ConfigInput, string][])('may be the one of %s, on any address', async ([, config, host]) => {
    const { url } = await embedLandfall({ host: '0.0.0.0', allowAnonymous: true, ...config }, STANDALONE);
    expect(await statusOf(url, host)).toMatchObject({ status: 200 });
    expect(await statusOf(url, 'UPLOADS.example.')).toMatchObject({ status: 200 });
    expect(await statusOf(url, 'evil.test')).toMatchObject({ status: 421 });
  });

  it('may be any when none is configured, and within an application', async () => {
    const anywhere = await embedLandfall({ host: '0.0.0.0', allowAnonymous: true }, STANDALONE);
    expect(await statusOf(anywhere.url, 'any.example')).toMatchObject({ status: 200 });
    const within = await embedLandfall({ host: '127.0.0.1', publicUrl: 'https://uploads.example' });
    expect(await statusOf(within.url, 'any.example')).toMatchObject({ status: 200 });
  });
});

/** Tries every change with these headers. Resolves with the answers, and whether the upload is unharmed. */
async function attempts(url: string, fields: Record<string, string>, host = '127.0.0.1') {
  const own = `/files/${idOf((await createUpload(`${url}/files`, { length: 10, name: 'a.txt' })).url)}`;
  const lines = [...Object.entries(fields).map(([name, value]) => `${name}: ${value}`), 'Tus-Resumable: 1.0.0', 'Content-Length: 0'];
  const all = [
    await statusOf(url, host, '/files', 'POST', [...lines, 'Upload-Length: 10']),
    await statusOf(url, host, own, 'POST', [...lines, 'X-HTTP-Method-Override: HEAD']),
    await statusOf(url, host, '/upload', 'POST', [...lines, 'X-HTTP-Method-Override: GET']),
    await statusOf(url, host, '/upload/multiple', 'POST', lines),
    await statusOf(url, host, own, 'PATCH', [...lines, 'Upload-Offset: 0', 'Content-Type: application/offset+octet-stream']),
    await statusOf(url, host, own, 'DELETE', lines),
  ];
  return { all, isKept: (await fetch(`${url}${own}/status`)).status === 200 && all.at(-1)?.status !== 204 };
}

const isRefused = ({ status, code }: { status: number; code: string | undefined }) => status === 403 && code === 'ERR_FOREIGN_ORIGIN';

describe('a request with the headers of a page', () => {
  const FOREIGN: Record<string, string>[] = [
    { Origin: 'https://evil.test' },
    { Origin: 'https://evil.test', 'Sec-Fetch-Site': 'cross-site' },
    { Origin: 'http://127.0.0.1.evil.test' },
    { Origin: 'null' },
    { Origin: 'null', 'Sec-Fetch-Site': 'cross-site' },
    { Origin: 'file://' },
    { Origin: 'capacitor://localhost', 'Sec-Fetch-Site': 'cross-site' },
    { Origin: 'https://evil.test', 'Sec-Fetch-Site': 'same-site' },
    { 'Sec-Fetch-Site': 'cross-site' },
    { 'Sec-Fetch-Site': 'same-site' },
    { 'Sec-Fetch-Site': 'nonsense' },
  ];

  it.for(FOREIGN)('%j changes nothing, at any address', async (fields) => {
    const { url } = await embedLandfall({}, STANDALONE);
    const { all, isKept } = await attempts(url, fields);
    if (fields.Origin === 'capacitor://localhost') expect(all.some(isRefused)).toBe(false);
    else expect(all.every(isRefused), JSON.stringify(all)).toBe(true);
    expect(isKept || fields.Origin === 'capacitor://localhost').toBe(true);
  });

  it.for([
    [{ 'Sec-Fetch-Site': 'same-origin', Origin: 'https://behind.a.proxy' }, {}],
    [{ 'Sec-Fetch-Site': 'none' }, {}],
    [{}, {}],
    [{ Origin: 'http://127.0.0.1:3000', 'Sec-Fetch-Site': 'same-site' }, {}],
    [{ Origin: 'http://localhost:5173', 'Sec-Fetch-Site': 'cross-site' }, {}],
    [{ Origin: 'http://[::1]:5173' }, {}],
    [{ Origin: 'https://app.example', 'Sec-Fetch-Site': 'cross-site' }, { corsOrigins: 'https://app.example' }],
    [{ Origin: 'https://uploads.example' }, { publicUrl: 'https://uploads.example/in' }],
    [{ Origin: 'capacitor://localhost' }, { corsOrigins: 'capacitor://localhost,ionic://localhost' }],
    [{ Origin: 'null', 'Sec-Fetch-Site': 'cross-site' }, { corsOrigins: 'null' }],
    [{ Origin: 'https://anybody.example', 'Sec-Fetch-Site': 'cross-site' }, { corsOrigins: '*' }],
  ] satisfies [Record<string, string>, ConfigInput][])('%j may change uploads with the settings %j', async ([fields, config]) => {
    const { url } = await embedLandfall(config, STANDALONE);
    expect((await attempts(url, fields)).all.some(isRefused)).toBe(false);
  });

  it('from another port of the same host is foreign when other machines can reach the server', async () => {
    const { url } = await embedLandfall({ host: '0.0.0.0', allowAnonymous: true }, STANDALONE);
    expect((await attempts(url, { Origin: 'http://localhost:5173' }, 'uploads.example')).all.every(isRefused)).toBe(true);
    const own = await attempts(url, { Origin: 'http://uploads.example' }, 'uploads.example');
    expect(own.all.some(isRefused)).toBe(false);
    expect((await attempts(url, { Origin: 'https://uploads.example' }, 'uploads.example:443')).all.some(isRefused)).toBe(false);
    expect((await attempts(url, { Origin: 'http://uploads.example:81' }, 'uploads.example')).all.every(isRefused)).toBe(true);
  });

  it('from an origin that only * allows may not use the session cookie of a person', async () => {
    const { url } = await embedLandfall({ corsOrigins: '*' }, STANDALONE);
    const fields = { Origin: 'https://anybody.example', 'Sec-Fetch-Site': 'cross-site', Cookie: 'session=1' };
    expect((await attempts(url, fields)).all.every(isRefused)).toBe(true);
  });
});

describe('the headers for pages of other origins', () => {
  async function preflight(config: ConfigInput, origin: string | undefined, asked = 'tus-resumable') {
    const { files } = await embedLandfall(config, STANDALONE);
    const headers: Record<string, string> = { 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': asked };
    if (origin !== undefined) headers.Origin = origin;
    const answer = await fetch(files, { method: 'OPTIONS', headers });
    return (name: string) => answer.headers.get(name);
  }

  it('let a configured origin send cookies, but not one that only * allows', async () => {
    const listed = await preflight({ corsOrigins: 'https://app.example' }, 'https://app.example');
    expect(listed('Access-Control-Allow-Origin')).toBe('https://app.example');
    expect(listed('Access-Control-Allow-Credentials')).toBe('true');
    const any = await preflight({ corsOrigins: '*' }, 'https://app.example');
    expect(any('Access-Control-Allow-Origin')).toBe('*');
    expect(any('Access-Control-Allow-Credentials')).toBeNull();
  });

  it('tell caches that answers differ by origin, for every request', async () => {
    for (const origin of [undefined, 'https://app.example', 'https://evil.test']) {
      expect((await preflight({ corsOrigins: 'https://app.example' }, origin))('Vary')).toContain('Origin');
    }
    const { url } = await embedLandfall();
    expect((await fetch(`${url}/config`)).headers.get('Vary')).toContain('Origin');
  });

  it('allow the headers that the page asks for, or only those that the operator configured', async () => {
    const asked = 'tus-resumable,x-api-key,sentry-trace,upload-complete';
    const free = await preflight({ corsOrigins: 'https://app.example' }, 'https://app.example', asked);
    expect(free('Access-Control-Allow-Headers')).toBe(asked);
    const listed = await preflight({ corsOrigins: 'https://app.example', corsHeaders: 'X-Api-Key' }, 'https://app.example', asked);
    const names = listed('Access-Control-Allow-Headers')?.toLowerCase().split(', ') ?? [];
    expect(names).toEqual(expect.arrayContaining(['x-api-key', 'tus-resumable', 'upload-complete', 'repr-digest']));
    expect(names).not.toContain('sentry-trace');
    for (const method of ['PUT', 'PATCH', 'DELETE', 'HEAD']) expect(free('Access-Control-Allow-Methods')).toContain(method);
  });

  it('are absent for a foreign origin, and for malformed header names', async () => {
    const foreign = await preflight({}, 'https://evil.test');
    expect(foreign('Access-Control-Allow-Origin')).toBeNull();
    const odd = await preflight({ corsOrigins: '*' }, 'https://app.example', 'a b;c');
    expect(odd('Access-Control-Allow-Headers')).not.toContain(';');
  });
});
