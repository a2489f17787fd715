// Request targets in absolute-form, as some proxies send them: a server must accept them, and take the target's authority for Host
// (RFC 9112, 3.2.2).
import { createServer, type RequestListener } from 'node:http';
import express from 'express';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type ConfigInput, createLandfall, type Landfall, type LandfallHooks } from '../../server/index.ts';
import { type BodyPath, liftEach, PATHS } from '../support/lifted-bodies.ts';
import { listenForTest } from '../support/listen.ts';
import { head, rawRequest } from '../support/raw-http.ts';
import { testDirectory } from '../support/temp-dir.ts';

const TEXT = 'a few words, long enough to be a text\n';

async function serve(
  path: BodyPath,
  config: ConfigInput = {},
  hooks: LandfallHooks = {},
  mount: (landfall: Landfall) => RequestListener = ({ handler }) => handler,
) {
  const landfall = createLandfall({ dataDir: testDirectory(), logLevel: 'silent', ...config }, hooks);
  await landfall.start();
  onTestFinished(() => landfall.close());
  const server = createServer(mount(landfall));
  landfall.attach(server);
  if (path === 'lifted') liftEach(server);
  return listenForTest(server);
}

function ask(url: string, method: string, target: string, lines: readonly string[] = [], body = '', host = 'ignored.test') {
  const length = body === '' ? [] : [`Content-Length: ${body.length}`];
  return rawRequest(url, [head(`${method} ${target} HTTP/1.1`, `Host: ${host}`, 'Connection: close', ...lines, ...length), body], 60_000);
}

const TUS = 'Tus-Resumable: 1.0.0';
const NAMED = `Upload-Metadata: filename ${Buffer.from('a.txt').toString('base64')}`;
const APPEND = [TUS, 'Upload-Offset: 0', 'Content-Type: application/offset+octet-stream'];

describe.for(PATHS)('with the body path %s', (path) => {
  it.for([
    ['alone', '', ({ handler }: Landfall) => handler],
    ['in an application', '/up', ({ handler }: Landfall) => express().use('/up', handler)],
    ['behind a framework that hides the mount', '/up', ({ handler }: Landfall) => handler, { mountPath: '/up' }],
  ] as const)('every address answers as in origin-form, %s', async ([, base, mount, hooks]) => {
    const url = await serve(path, {}, hooks ?? {}, mount);
    const at = (rest: string) => `HTTP://LandFall.test:81${base}${rest}`;
    const created = await ask(url, 'POST', at('/files'), [TUS, NAMED, `Upload-Length: ${TEXT.length}`]);
    const location = created.headers.get('location') ?? '';
    expect([created.status, location]).toEqual([201, expect.stringMatching(new RegExp(`^${base}/files/[0-9a-f]{32}$`))]);
    const upload = location.slice(base.length);
    expect((await ask(url, 'HEAD', at(upload), [TUS])).headers.get('upload-offset')).toBe('0');
    expect((await ask(url, 'PATCH', at(upload), APPEND, TEXT)).status).toBe(204);
    const file = await ask(url, 'GET', at(upload));
    expect([file.status, file.body]).toEqual([200, TEXT]);
    expect(JSON.parse((await ask(url, 'GET', at(`${upload}/status?wait=1`))).body)).toMatchObject({ state: 'accepted' });
    for (const [method, rest] of [
      ['GET', '/config'],
      ['GET', '/health/live'],
      ['GET', '/health/ready'],
      ['GET', '/'],
      ['OPTIONS', '/files'],
      ['GET', `${upload}?x=/${upload}`],
      ['DELETE', `${upload}?x`],
      ['POST', '/upload'],
      ['POST', '/upload/multiple'],
      ['POST', '/link/upload'],
      ['POST', '/get-upload-url'],
      ['GET', '/nothing'],
      ['GET', '/files/%2e%2e'],
    ] as const) {
      const [absolute, origin] = [await ask(url, method, at(rest), [TUS]), await ask(url, method, `${base}${rest}`, [TUS])];
      expect([absolute.status, absolute.body], rest).toEqual([origin.status, origin.body]);
    }
    // RFC 9112, 3.2.2: the path may be empty.
    const bare = await ask(url, 'GET', 'http://landfall.test');
    expect(bare.status).toBe((await ask(url, 'GET', '/')).status);
  });

  it('its authority stands in for Host, in both directions', async () => {
    const url = await serve(path, { hosts: 'known.test' }, { isStandalone: true });
    const create = [TUS, NAMED, `Upload-Length: ${TEXT.length}`];
    const { headers } = await ask(url, 'POST', '/files', create, '', 'known.test');
    const upload = headers.get('location');
    for (const authority of ['known.test', 'KNOWN.test.:81', 'known.test:', 'localhost', '127.0.0.1:9', '[::1]:1080', '10.1.2.3']) {
      expect((await ask(url, 'HEAD', `http://${authority}${upload}`, [TUS], '', 'evil.test')).status, authority).toBe(200);
      expect((await ask(url, 'HEAD', `https://${authority}${upload}`, [TUS], '', 'evil.test')).status, authority).toBe(200);
    }
    for (const authority of ['evil.test', 'known.test.evil.test', 'evil.test:1080', 'known.test%2eevil.test', '127.0.0.1.evil.test']) {
      for (const [method, target, lines, body] of [
        ['POST', '/files', create, ''],
        ['PATCH', upload, APPEND, TEXT],
        ['GET', '/config', [], ''],
        ['POST', '/upload', [], ''],
        ['GET', '', [], ''],
      ] as const) {
        const answer = await ask(url, method, `hTTp://${authority}${target}`, lines, body, 'known.test');
        expect([answer.status, answer.body], `${method} ${authority}${target}`).toEqual([421, expect.stringContaining('UNKNOWN_HOST')]);
      }
    }
    // What is no address of a host is refused, whatever Host says: user information, no host, another scheme, a port that is none.
    for (const target of [
      `http://known.test@evil.test${upload}`,
      `http://evil.test@known.test${upload}`,
      `http://a:b@known.test${upload}`,
      `http://known.test:8a${upload}`,
      `http://${upload}`,
      `http:${upload}`,
      `ftp://known.test${upload}`,
      'ftp://known.test/upload',
      `http://evil.test#@known.test${upload}`,
      `http://evil.test\\@known.test${upload}`,
    ]) {
      expect((await ask(url, 'PATCH', target, APPEND, TEXT, 'known.test')).status, target).toBe(400);
    }
    expect((await ask(url, 'HEAD', upload ?? '', [TUS], '', 'known.test')).headers.get('upload-offset')).toBe('0');
    expect((await ask(url, 'OPTIONS', '*', [], '', 'evil.test')).status).toBe(421);
    expect((await ask(url, 'OPTIONS', '*', [], '', 'known.test')).status).toBe(404);
  });

  it('its authority decides which pages are the server’s own', async () => {
    const url = await serve(path, { host: '0.0.0.0', allowAnonymous: true }, { isStandalone: true });
    const create = [TUS, NAMED, 'Upload-Length: 5', 'Origin: http://evil.test'];
    expect((await ask(url, 'POST', 'http://own.test/files', create, '', 'evil.test')).status).toBe(403);
    expect((await ask(url, 'POST', 'http://evil.test/files', create, '', 'own.test')).status).toBe(201);
  });
});

it('an access rule gets the address in origin-form, and the target’s host', async () => {
  const seen: unknown[] = [];
  const authenticate: LandfallHooks['authenticate'] = (request) => {
    const { originalUrl } = request as { originalUrl?: string };
    seen.push([request.url, originalUrl, request.headers.host]);
    return 'anna';
  };
  const url = await serve('plain', {}, { authenticate }, ({ handler }) => express().use('/up', handler));
  expect((await ask(url, 'POST', 'http://own.test/up/files', [TUS, 'Upload-Length: 5'])).status).toBe(201);
  expect(seen).toEqual([['/files', '/up/files', 'own.test']]);
});
