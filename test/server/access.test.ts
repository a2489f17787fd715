// The server answers as the access rule of an embedding application decides.
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { applicationSource } from '../../server/access/application.ts';
import { accessBy } from '../../server/access/identity.ts';
import { type Authenticate, UploadError } from '../../server/index.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { createUpload, headUpload, patchUpload } from '../support/tus-requests.ts';

const LINES = { level: 'debug' } as const;

/** An error as http-errors makes it. */
function thrown(properties: Record<string, unknown>): Error {
  return Object.assign(new Error('the secret reason'), properties);
}

/** A server whose rule says yes until the test changes it, an upload on it, and the lines of its log. */
async function withUpload() {
  const log: { level: number; code?: string }[] = [];
  let rule: Authenticate = () => 'anna';
  const logger = pino(LINES, { write: (text: string) => void log.push(JSON.parse(text)) });
  const { files, url: server } = await embedLandfall({}, { logger, authenticate: (request, intent) => rule(request, intent) });
  const { url } = await createUpload(files, { length: 10, name: 'a.txt' });
  return {
    url,
    server,
    errors: () => log.filter(({ level }) => level >= 50),
    says(next: Authenticate) {
      rule = next;
    },
  };
}

describe('a rule that throws', () => {
  it.for([
    [401, 'ERR_UNAUTHORIZED'],
    [403, 'ERR_FORBIDDEN'],
    [429, 'ERR_TOO_MANY_REQUESTS'],
  ] as const)('%i is answered with that status, without its message and without a line in the log', async ([status, code]) => {
    for (const name of ['status', 'statusCode']) {
      const upload = await withUpload();
      upload.says(() => {
        throw thrown({ [name]: status, headers: { 'retry-after': '17' } });
      });
      const answer = await fetch(upload.url, { method: 'HEAD', headers: { 'Tus-Resumable': '1.0.0' } });
      expect(answer.status).toBe(status);
      expect(answer.headers.get('Retry-After')).toBe('17');
      const patched = await patchUpload(upload.url, 0, Buffer.from('0123456789'));
      expect(patched).toMatchObject({ status, code });
      const body = await (await fetch(`${upload.url}/status`)).text();
      expect(body).not.toContain('secret');
      expect(upload.errors()).toEqual([]);
      upload.says(() => 'anna');
      expect(await headUpload(upload.url)).toMatchObject({ status: 200, offset: 0 });
    }
  });

  it.for([
    ['2.5', thrown({ status: 429, headers: { 'Retry-After': 2.5 } }), '3'],
    ['a date', thrown({ status: 429, headers: { 'Retry-After': new Date(Date.now() + 1e9).toUTCString() } }), '86400'],
    ['-1', thrown({ status: 429, headers: { 'Retry-After': '-1' } }), null],
    ['2.5 of Landfall’s own error', new UploadError('ERR_TOO_MANY_REQUESTS', { retryAfterSeconds: 2.5 }), '3'],
    ['NaN of Landfall’s own error', new UploadError('ERR_TOO_MANY_REQUESTS', { retryAfterSeconds: Number.NaN }), null],
  ] as const)('with a Retry-After of %s is answered with whole seconds or none', async ([, error, seconds]) => {
    const upload = await withUpload();
    upload.says(() => {
      throw error;
    });
    const answer = await fetch(`${upload.url}/status`);
    expect([answer.status, answer.headers.get('Retry-After')]).toEqual([429, seconds]);
  });

  it('is answered with its message when the error allows it', async () => {
    const upload = await withUpload();
    upload.says(() => {
      throw Object.assign(new Error('Your trial is over.'), { status: 403, expose: true });
    });
    expect(await (await fetch(`${upload.url}/status`)).json()).toMatchObject({ code: 'ERR_FORBIDDEN', detail: 'Your trial is over.' });
  });

  it.for([
    ['an error', () => Promise.reject(new Error('database away'))],
    ['a 404', () => Promise.reject(thrown({ status: 404 }))],
    ['a 500', () => Promise.reject(thrown({ status: 500 }))],
    ['a word', () => Promise.reject('away')],
  ] satisfies [string, Authenticate][])('%s is a server fault: 503, 423 to HEAD, and a line in the log', async ([, rule]) => {
    const upload = await withUpload();
    upload.says(rule);
    expect(await headUpload(upload.url)).toMatchObject({ status: 423 });
    expect(await patchUpload(upload.url, 0, Buffer.from('0123456789'))).toMatchObject({ status: 503, code: 'ERR_ACCESS_UNAVAILABLE' });
    expect(upload.errors().length).toBe(2);
    upload.says(() => 'anna');
    expect(await patchUpload(upload.url, 0, Buffer.from('0123456789'))).toMatchObject({ status: 204, offset: 10 });
  });

  it('or never answers is a server fault', async () => {
    const access = accessBy(
      [],
      applicationSource(async () => sleep(60_000, 'anna', { ref: false }), 50),
    );
    await expect(access({} as never, 'create')).rejects.toMatchObject({ code: 'ERR_ACCESS_UNAVAILABLE' });
  });
});

describe('an owner', () => {
  it.for([null, undefined, '', 7, {}, 'a\0b', 'a\nb', '\uD800', 'x'.repeat(256)])('%j is refused with 401', async (owner) => {
    const upload = await withUpload();
    upload.says(() => owner as string | null);
    expect(await patchUpload(upload.url, 0, Buffer.from('0123456789'))).toMatchObject({ status: 401, code: 'ERR_UNAUTHORIZED' });
  });

  it.for(['0', 'анна', "o'brien", '../x', '%2e', '%', '👩‍👩‍👧', 'a b', '{"a":1}'])('%j finds only its own uploads', async (owner) => {
    const { files } = await embedLandfall({}, { authenticate: ({ headers }) => decodeURIComponent(headers.authorization ?? '') || null });
    const headers = { Authorization: encodeURIComponent(owner) };
    const { url } = await createUpload(files, { length: 10, name: 'a.txt', headers });
    expect((await fetch(`${url}/status`, { headers })).status).toBe(200);
    expect((await fetch(`${url}/status`, { headers: { Authorization: 'another' } })).status).toBe(404);
  });
});
