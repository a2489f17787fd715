// LANDFALL_ACCESS_URL: the application decides over HTTP.
import { createServer, IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { AccessUrl } from '../../server/access/access-url.ts';
import { ClientAddresses } from '../../server/access/anonymous.ts';
import type { ConfigInput, LandfallHooks } from '../../server/index.ts';
import { type AccessApplication, type Asked, refuses, says, startAccessApplication } from '../support/access-application.ts';
import { type EmbeddedLandfall, embedLandfall } from '../support/landfall-embedded.ts';
import { listenForTest } from '../support/listen.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord, terminateUpload } from '../support/tus-requests.ts';

const BYTES = Buffer.from('0123456789');
const ANNA = { Authorization: 'Bearer of-the-application' };

interface Line {
  level: number;
  msg: string;
  err?: { message: string; stack: string };
}

async function embed(config: ConfigInput = {}, hooks: LandfallHooks = {}) {
  const application = await startAccessApplication();
  const lines: Line[] = [];
  const logger = pino({ level: 'trace' }, { write: (text: string) => void lines.push(JSON.parse(text)) });
  const landfall = await embedLandfall({ access: 'url', accessUrl: application.url, ...config }, { logger, ...hooks });
  return { application, lines, errors: () => lines.filter(({ level }) => level >= 50), ...landfall };
}

/** A server, with an upload of ten bytes of which none is stored. */
async function withUpload(config: ConfigInput = {}, hooks: LandfallHooks = {}) {
  const bed = await embed(config, hooks);
  const { url } = await createUpload(bed.files, { length: 10, name: 'a.txt', headers: ANNA });
  return { ...bed, upload: url };
}

function lastOf({ asked }: AccessApplication): Asked {
  const last = asked.at(-1);
  if (last === undefined) throw new Error('The application was not asked.');
  return last;
}

describe('the application', () => {
  it('is asked with the intent, the upload and the sender’s credentials', async () => {
    const { application, files } = await embed({ trustedProxies: '127.0.0.1' });
    const headers = { ...ANNA, Cookie: 'session=1', 'X-Forwarded-For': '203.0.113.7' };
    const sender = { authorization: ANNA.Authorization, cookie: 'session=1', address: '203.0.113.7' };
    const { url } = await createUpload(files, { length: 10, name: 'a.txt', metadata: { project: '42' }, headers });
    expect(lastOf(application)).toMatchObject({ method: 'POST', url: '/access', headers: { 'content-type': 'application/json' } });
    expect(lastOf(application).headers.authorization).toBeUndefined();
    expect(lastOf(application).question).toEqual({
      intent: 'create',
      upload: { length: 10, metadata: { filename: 'a.txt', project: '42' } },
      sender,
    });
    const known = {
      id: idOf(url),
      owner: 'anna',
      name: 'a.txt',
      type: null,
      length: 10,
      metadata: { filename: 'a.txt', project: '42' },
    };
    expect(await headUpload(url, headers)).toMatchObject({ status: 200 });
    expect(lastOf(application).question).toEqual({ intent: 'inspect', upload: { ...known, state: 'receiving' }, sender });
    expect(await patchUpload(url, 0, BYTES, headers)).toMatchObject({ status: 204, offset: 10 });
    expect(application.asked.at(-2)?.question).toEqual({ intent: 'append', upload: { ...known, state: 'receiving' }, sender });
    // The finish asks, too, when the sender may be gone.
    expect(lastOf(application).question).toEqual({ intent: 'finish', upload: { ...known, state: 'inspecting' } });
    expect((await fetch(url, { headers })).status).toBe(200);
    expect(lastOf(application).question).toEqual({ intent: 'download', upload: { ...known, state: 'accepted' }, sender });
    expect(await terminateUpload(url, headers)).toMatchObject({ status: 403 });
    expect(lastOf(application).question).toMatchObject({ intent: 'terminate' });
  });

  it('is asked about every request, also one that no upload could be, and about senders without credentials', async () => {
    const { application, files } = await embed();
    const answer = await createUpload(files, { headers: { 'Upload-Length': 'ten', 'Upload-Metadata': 'filename !!!' } });
    expect(answer).toMatchObject({ status: 400 });
    expect(lastOf(application).question).toEqual({
      intent: 'create',
      upload: { length: null, metadata: {} },
      sender: { address: '127.0.0.1' },
    });
    expect(await headUpload(`${files}/${'0'.repeat(32)}`)).toMatchObject({ status: 404 });
    expect(lastOf(application).question.upload).toEqual({ id: '0'.repeat(32) });
  });

  it('names the owner, and owners find only their own uploads', async () => {
    const { application, files } = await embed();
    application.decide(({ question }, response) => says(response, { owner: question.sender?.authorization }));
    for (const owner of ['0', "o'brien", '../x', '%2e', '{"a":1}', 'owner:anna', 'a b']) {
      const { url } = await createUpload(files, { length: 10, name: 'a.txt', headers: { Authorization: owner } });
      expect((await readRecord(url, { Authorization: owner })).state).toBe('receiving');
      expect((await fetch(`${url}/status`, { headers: { Authorization: 'another' } })).status).toBe(404);
    }
  });

  it('gives limits, which hold from the creation on', async () => {
    const { application, files } = await embed();
    application.decide((_asked, response) => says(response, { owner: 'anna', maxUploadSize: '9 B', allow: '.txt', keepFilesFor: '1d' }));
    expect(await createUpload(files, { length: 10, name: 'a.txt' })).toMatchObject({ status: 413, code: 'ERR_MAX_SIZE_EXCEEDED' });
    expect(await createUpload(files, { length: 9, name: 'a.png' })).toMatchObject({ status: 422 });
    expect(await createUpload(files, { length: 9, name: 'a.txt' })).toMatchObject({ status: 201 });
  });

  it.for([
    ['a problem document', 'application/problem+json', '{"title":"No.","detail":"Your trial is over."}', 'Your trial is over.'],
    ['JSON with a message', 'application/json', '{"message":"Your trial is over."}', 'Your trial is over.'],
    ['plain text', 'text/plain; charset=utf-8', 'Your trial\n is over.\u0007 \u202e', 'Your trial is over.'],
    ['long text', 'text/plain', 'x'.repeat(2000), `${'x'.repeat(299)}…`],
    ['a page', 'text/html', '<h1>Your trial is over.</h1>', undefined],
    ['JSON that is none', 'application/json', 'Your trial', undefined],
  ] as const)('refuses in its own words: %s', async ([, type, body, detail]) => {
    const bed = await withUpload();
    for (const [status, code] of [
      [401, 'ERR_UNAUTHORIZED'],
      [403, 'ERR_FORBIDDEN'],
      [429, 'ERR_TOO_MANY_REQUESTS'],
    ] as const) {
      bed.application.decide((_asked, response) => response.writeHead(status, { 'Content-Type': type, 'Retry-After': '17' }).end(body));
      const answer = await fetch(`${bed.upload}/status`);
      expect(answer.status).toBe(status);
      expect(answer.headers.get('Retry-After')).toBe('17');
      const problem = (await answer.json()) as { code: string; detail?: string };
      expect([problem.code, problem.detail]).toEqual([code, detail]);
      expect(await headUpload(bed.upload)).toMatchObject({ status });
    }
    expect(bed.errors()).toEqual([]);
    bed.application.decide((_asked, response) => says(response, { owner: 'anna' }));
    expect(await patchUpload(bed.upload, 0, BYTES)).toMatchObject({ status: 204, offset: 10 });
  });
});

describe('an application that does not decide is a server fault: 503, 423 to HEAD, a line in the log, and no upload is lost', () => {
  it.for([
    ['an error of its own', (_: Asked, response) => response.writeHead(500).end()],
    ['a 404', (_: Asked, response) => response.writeHead(404).end()],
    ['no JSON', (_: Asked, response) => response.end('<h1>Welcome</h1>')],
    ['nothing', (_: Asked, response) => response.writeHead(204).end()],
    ['no owner', (_: Asked, response) => says(response, { maxUploads: 5 })],
    ['null', (_: Asked, response) => says(response, null)],
    ['everyone as the owner', (_: Asked, response) => says(response, { owner: '' })],
    ['an owner with a NUL', (_: Asked, response) => says(response, { owner: 'a\0b' })],
    ['a limit that there is none of', (_: Asked, response) => says(response, { owner: 'anna', maxUpload: 5 })],
    ['a limit that is no number', (_: Asked, response) => says(response, { owner: 'anna', maxUploads: -1 })],
    ['a policy that is none', (_: Asked, response) => says(response, { owner: 'anna', allow: 'everything' })],
    ['5 MB', (_: Asked, response) => says(response, { owner: 'anna', metadata: { x: 'x'.repeat(5_000_000) } })],
    ['a broken connection', (_: Asked, response) => response.destroy()],
    [
      'half an answer',
      (_: Asked, response) => response.writeHead(200, { 'Content-Length': 100 }).write('{"owner"', () => response.destroy()),
    ],
  ] satisfies [string, Parameters<AccessApplication['decide']>[0]][])('%s', async ([, decide]) => {
    const bed = await withUpload();
    bed.application.decide(decide);
    expect(await headUpload(bed.upload)).toMatchObject({ status: 423 });
    const answer = await patchUpload(bed.upload, 0, BYTES);
    expect(answer).toMatchObject({ status: 503, code: 'ERR_ACCESS_UNAVAILABLE' });
    expect(answer.headers.get('Retry-After')).toBe('5');
    expect(bed.errors()).toHaveLength(2);
    bed.application.decide((_asked, response) => says(response, { owner: 'anna' }));
    expect(await headUpload(bed.upload)).toMatchObject({ status: 200, offset: 0 });
    expect(await patchUpload(bed.upload, 0, BYTES)).toMatchObject({ status: 204, offset: 10 });
  });

  it('that redirects is not followed, so that no other host gets the credentials', async () => {
    let shown = 0;
    const elsewhere = createServer((_request, response) => {
      shown += 1;
      says(response, { owner: 'anna' });
    });
    const location = await listenForTest(elsewhere);
    for (const status of [301, 302, 303, 307, 308]) {
      const bed = await withUpload();
      bed.application.decide((_asked, response) => response.writeHead(status, { Location: location }).end());
      expect(await patchUpload(bed.upload, 0, BYTES, ANNA)).toMatchObject({ status: 503, code: 'ERR_ACCESS_UNAVAILABLE' });
    }
    expect(shown).toBe(0);
  });

  it('that is unreachable fails without its password in the log', async () => {
    const gone = createServer();
    const url = await listenForTest(gone);
    gone.close();
    const address = new URL('/access?token=hunter3', url);
    address.username = 'landfall';
    address.password = 'hunter2';
    const bed = await embed({ accessUrl: address.href });
    expect(await createUpload(bed.files, { length: 10, name: 'a.txt' })).toMatchObject({ status: 503, code: 'ERR_ACCESS_UNAVAILABLE' });
    expect(bed.errors()).toHaveLength(1);
    expect(JSON.stringify(bed.lines)).not.toMatch(/hunter/);
    expect(bed.errors()[0]?.err?.message).toMatch(/LANDFALL_ACCESS_URL.*ECONNREFUSED/);
  });

  it.for([
    ['silent', () => {}],
    ['slow', (_: Asked, response) => setInterval(() => response.write(' '), 20).unref()],
  ] satisfies [string, Parameters<AccessApplication['decide']>[0]][])('%s', async ([, decide]) => {
    const application = await startAccessApplication();
    application.decide(decide);
    const asked = questions(application, { timeoutMs: 200 });
    await expect(asked(ANNA)).rejects.toMatchObject({ code: 'ERR_ACCESS_UNAVAILABLE', cause: { message: /no answer within 200 ms/ } });
  });
});

/** Asks the application directly, without a server. */
function questions({ url }: AccessApplication, options: { timeoutMs?: number } = {}) {
  const accessUrl = new AccessUrl({
    url,
    ownerHeader: '',
    ledger: { get: async () => undefined },
    addresses: new ClientAddresses([]),
    ...options,
  });
  const source = accessUrl.source(true);
  return (headers: Record<string, string>, intent: 'create' | 'append' | 'inspect' = 'create', id?: string) => {
    const request = new IncomingMessage(new Socket());
    for (const [name, value] of Object.entries(headers)) request.headers[name.toLowerCase()] = value;
    return source.identify(request, intent, id as never);
  };
}

describe('an answer of the application', () => {
  it('is cached as long as it says, for the same sender, intent and upload only', async () => {
    const application = await startAccessApplication();
    application.decide(({ question }, response) =>
      says(response, { owner: question.sender?.authorization ?? 'nobody' }, { 'Cache-Control': 'private, max-age=60' }),
    );
    const ask = questions(application);
    const a = '0'.repeat(31);
    for (const [headers, intent, id] of [
      [{ Authorization: 'anna' }, 'create', undefined],
      [{ Authorization: 'boris' }, 'create', undefined],
      [{ Authorization: 'anna', Cookie: 'session=1' }, 'create', undefined],
      [{ Authorization: 'anna' }, 'append', `${a}1`],
      [{ Authorization: 'anna' }, 'append', `${a}2`],
      [{ Authorization: 'anna' }, 'inspect', `${a}1`],
      [{}, 'inspect', `${a}1`],
    ] as const) {
      const before = application.asked.length;
      for (let n = 0; n < 3; n++) {
        const { Authorization: owner = 'nobody' } = headers as { Authorization?: string };
        expect(await ask(headers, intent, id)).toMatchObject({ owner });
      }
      expect(application.asked.length).toBe(before + 1);
    }
  });

  it('expires from the cache', async () => {
    const application = await startAccessApplication();
    application.decide((_asked, response) => says(response, { owner: 'anna' }, { 'Cache-Control': 'max-age=1' }));
    const ask = questions(application);
    await ask(ANNA);
    await expect
      .poll(async () => {
        await ask(ANNA);
        return application.asked.length;
      })
      .toBeGreaterThan(1);
  });

  it.for([undefined, 'no-store', 'max-age=60, no-store', 'no-cache, max-age=60', 'max-age=0', 'private', 'max-age=-5', 's-maxage=60'])(
    'is not cached when it says %s',
    async (cacheControl) => {
      const application = await startAccessApplication();
      application.decide((_asked, response) =>
        says(response, { owner: 'anna' }, cacheControl === undefined ? {} : { 'Cache-Control': cacheControl }),
      );
      const ask = questions(application);
      await ask(ANNA);
      await ask(ANNA);
      expect(application.asked).toHaveLength(2);
    },
  );

  it('that refuses is cached as well, except 429; an invalid one never is', async () => {
    const application = await startAccessApplication();
    const ask = questions(application);
    const kept = { 'Cache-Control': 'max-age=60' };
    for (const [status, times] of [
      [401, 1],
      [403, 1],
      [429, 2],
      [500, 2],
      [302, 2],
    ] as const) {
      application.decide((_asked, response) => refuses(response, status, 'No.', kept));
      const before = application.asked.length;
      for (let n = 0; n < 2; n++) await expect(ask({ Authorization: `of ${status}` })).rejects.toThrow();
      expect(application.asked.length - before, String(status)).toBe(times);
    }
  });

  it('serves equal concurrent questions', async () => {
    const application = await startAccessApplication();
    application.decide(async ({ question }, response) => {
      await sleep(50);
      says(response, { owner: question.sender?.authorization });
    });
    const ask = questions(application);
    const owners = Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? 'anna' : 'boris'));
    const identities = await Promise.all(owners.map((owner) => ask({ Authorization: owner })));
    expect(identities.map((identity) => identity?.owner)).toEqual(owners);
    expect(application.asked).toHaveLength(2);
  });
});

describe('the settings of LANDFALL_ACCESS_URL', () => {
  it.for([
    [{ access: 'url' }, /LANDFALL_ACCESS: For url set LANDFALL_ACCESS_URL/],
    [{ access: 'anonymous', accessUrl: 'https://app.example/access' }, /LANDFALL_ACCESS: Add url/],
    [{ access: 'anonymous', accessOwnerHeader: 'X-Owner' }, /LANDFALL_ACCESS: Add url/],
    [{ access: 'url', accessUrl: 'https://u:hunter2@app.example/', accessOwnerHeader: 'X-Owner' }, /LANDFALL_ACCESS_URL: With/],
  ] as const)('%j stop the start', async ([config, message]) => {
    const start = embedLandfall(config);
    await expect(start).rejects.toThrow(message);
    await expect(start).rejects.not.toThrow(/hunter2/);
  });

  it('send the name and the password of the address', async () => {
    const application = await startAccessApplication();
    const url = new URL(application.url);
    url.username = 'land fall';
    url.password = 'p:ä@';
    const { files } = await embedLandfall({ access: 'url', accessUrl: url.href });
    await createUpload(files, { length: 10, name: 'a.txt' });
    expect(lastOf(application).headers.authorization).toBe(`Basic ${Buffer.from('land fall:p:ä@').toString('base64')}`);
  });

  it('with anonymous: senders without credentials are not asked about, and senders with credentials are never anonymous', async () => {
    const { application, files } = await embed({ access: 'url,anonymous' });
    application.decide((_asked, response) => refuses(response, 401, 'Sign in.'));
    expect(await createUpload(files, { length: 10, name: 'a.txt' })).toMatchObject({ status: 201 });
    expect(application.asked).toHaveLength(0);
    for (const headers of [ANNA, { Cookie: 'a=b' }, { Authorization: 'Basic YTpi' }] as Record<string, string>[]) {
      expect(await createUpload(files, { length: 10, name: 'a.txt', headers })).toMatchObject({ status: 401 });
    }
    expect(application.asked).toHaveLength(3);
  });

  it('with keys: the application never gets a token of Landfall', async () => {
    const { application, files } = await embed({ access: 'keys,url' });
    const headers = { Authorization: `Bearer lf_${'0'.repeat(60)}` };
    expect(await createUpload(files, { length: 10, name: 'a.txt', headers })).toMatchObject({ status: 401 });
    expect(application.asked).toHaveLength(0);
    expect(await createUpload(files, { length: 10, name: 'a.txt', headers: ANNA })).toMatchObject({ status: 201 });
  });
});

describe('an application made for nginx’s auth_request', () => {
  const CONTRACT = { accessOwnerHeader: 'X-Owner' };

  it('is asked by GET with the sender’s credentials, and names the owner in a header', async () => {
    const { application, files } = await embed(CONTRACT);
    application.decide((_asked, response) => response.writeHead(204, { 'X-Owner': Buffer.from('анна').toString('latin1') }).end());
    const headers = { ...ANNA, Cookie: 'session=1', 'X-Owner': 'admin', 'X-Landfall-Intent': 'inspect' };
    const { url } = await createUpload(files, { length: 10, name: 'a.txt', headers });
    expect(lastOf(application)).toMatchObject({
      method: 'GET',
      url: '/access',
      headers: {
        authorization: ANNA.Authorization,
        cookie: 'session=1',
        'x-forwarded-for': '127.0.0.1',
        'x-original-method': 'POST',
        'x-original-uri': '/files',
        'x-landfall-intent': 'create',
      },
    });
    expect(lastOf(application).headers['x-owner']).toBeUndefined();
    expect(await patchUpload(url, 0, BYTES, headers)).toMatchObject({ status: 204, offset: 10 });
    expect(lastOf(application).headers).toMatchObject({ 'x-landfall-intent': 'append', 'x-landfall-upload': idOf(url) });
    // Such an application knows only requests: it is not asked before the verdict.
    expect(application.asked).toHaveLength(2);
    application.decide((_asked, response) => response.writeHead(204, { 'X-Owner': 'anna' }).end());
    expect(await headUpload(url, headers)).toMatchObject({ status: 404 });
  });

  it.for([
    ['no owner', {}],
    ['an empty one', { 'X-Owner': '' }],
    ['one that is no UTF-8', { 'X-Owner': '\xff\xfe' }],
  ] as const)('that names %s does not decide', async ([, headers]) => {
    const { application, files, errors } = await embed(CONTRACT);
    application.decide((_asked, response) => response.writeHead(200, headers).end('{"owner":"anna"}'));
    expect(await createUpload(files, { length: 10, name: 'a.txt' })).toMatchObject({ status: 503, code: 'ERR_ACCESS_UNAVAILABLE' });
    expect(errors()).toHaveLength(1);
  });

  it('has the challenge of a 401 passed on: the credentials were the sender’s', async () => {
    const challenge = 'Session realm="Shop"';
    const challengeFrom = async (settings: Parameters<typeof embed>[0]) => {
      const { application, files } = await embed(settings);
      application.decide((_asked, response) => refuses(response, 401, 'No.', { 'WWW-Authenticate': challenge }));
      return (await createUpload(files, { length: 10, name: 'a.txt' })).headers.get('WWW-Authenticate');
    };
    expect(await challengeFrom(CONTRACT)).toBe(challenge);
    // Asked in JSON, the application has seen the server's own credentials.
    expect(await challengeFrom({})).toBe('Bearer realm="Landfall"');
  });

  it('refuses a sender', async () => {
    const { application, files }: { application: AccessApplication } & EmbeddedLandfall = await embed(CONTRACT);
    for (const status of [401, 403]) {
      application.decide((_asked, response) => refuses(response, status, 'No.', { 'X-Owner': 'anna' }));
      expect(await createUpload(files, { length: 10, name: 'a.txt' })).toMatchObject({ status });
    }
  });
});
