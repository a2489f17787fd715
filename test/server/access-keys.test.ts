// Keys, and a server without settings, which fails closed.
import { createHmac } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../../server/config/config.ts';
import { createGrant } from '../../server/grants.ts';
import { runCredentialsCommand } from '../../server/operator/credentials-commands.ts';
import type { LimitOptions } from '../../server/operator/limit-options.ts';
import { UsageError } from '../../server/operator/usage.ts';
import { says, startAccessApplication } from '../support/access-application.ts';
import { bearer, giveKey, withCredentials } from '../support/credentials.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { startLandfall } from '../support/landfall-process.ts';
import { giveLink } from '../support/links.ts';
import { runServerCommand } from '../support/server-command.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, patchUpload, terminateUpload } from '../support/tus-requests.ts';

const TEXT = Buffer.from('0123456789');
const FILE = { length: TEXT.length, name: 'a.txt', body: TEXT };

const SECRET = 'a secret of the application which is long enough';

function jwtOf(claims: object, secret: string): string {
  const text = [{ alg: 'HS256' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

/** A standalone server without keys and settings is open: these tests give it a key. */
const STANDALONE = { isStandalone: true };

describe('a key', () => {
  it('lets its owner upload, and reaches only its uploads, at each endpoint', async () => {
    const server = await embedLandfall({ access: 'keys' });
    const [anna, again, bert] = [await giveKey(server), await giveKey(server), await giveKey(server, { owner: 'bert' })];
    const created = await createUpload(server.files, { ...FILE, body: TEXT.subarray(0, 4), headers: anna.headers });
    expect(created).toMatchObject({ status: 201, offset: 4 });
    const { url } = created;
    expect(await headUpload(url, again.headers)).toMatchObject({ status: 200, offset: 4 });
    const ofBert = { ...bert.headers };
    expect(await headUpload(url, ofBert)).toMatchObject({ status: 404 });
    expect(await patchUpload(url, 4, TEXT.subarray(4), ofBert)).toMatchObject({ status: 404 });
    expect(await terminateUpload(url, ofBert)).toMatchObject({ status: 404 });
    expect((await fetch(`${url}/status`, { headers: ofBert })).status).toBe(404);
    expect(await patchUpload(url, 4, TEXT.subarray(4), anna.headers)).toMatchObject({ status: 204, offset: 10 });
    expect((await fetch(url, { headers: ofBert })).status).toBe(404);
    expect(await (await fetch(url, { headers: again.headers })).text()).toBe(String(TEXT));
    const form = new FormData();
    form.append('file', new Blob([TEXT]), 'b.txt');
    expect((await fetch(`${server.url}/upload`, { method: 'POST', body: form })).status).toBe(401);
    const sent = await fetch(`${server.url}/upload`, {
      method: 'POST',
      body: form,
      headers: { ...anna.headers, Accept: 'application/json' },
    });
    expect(sent.status).toBe(201);
  });

  it('is stored in plain text neither in the ledger nor in a list of keys', async () => {
    const server = await embedLandfall({ access: 'keys' });
    const { token, id, headers } = await giveKey(server);
    expect(await createUpload(server.files, { ...FILE, headers })).toMatchObject({ status: 201 });
    await server.close();
    for (const name of (await readdir(server.dataDir)).filter((file) => file.startsWith('ledger'))) {
      expect((await readFile(join(server.dataDir, name))).includes(token.slice(-40)), name).toBe(false);
    }
    const [key] = await withCredentials(server, (credentials) => credentials.list('key'));
    expect(key).toMatchObject({ id, owner: 'anna', removedAt: null });
    expect(JSON.stringify(key)).not.toContain(token.slice(-40));
  });

  it('no longer counts soon after its removal; another key of the owner continues, when finishes are not rechecked', async () => {
    const server = await embedLandfall({ access: 'keys', accessRecheck: false });
    const [first, second] = [await giveKey(server), await giveKey(server)];
    const { url } = await createUpload(server.files, { ...FILE, body: TEXT.subarray(0, 4), headers: first.headers });
    expect(await withCredentials(server, (credentials) => credentials.remove(first.id))).toBe(true);
    expect(await withCredentials(server, (credentials) => credentials.remove(first.id))).toBe(false);
    await expect.poll(async () => (await headUpload(url, first.headers)).status).toBe(401);
    expect(await patchUpload(url, 4, TEXT.subarray(4), first.headers)).toMatchObject({ status: 401, code: 'ERR_UNAUTHORIZED' });
    expect(await patchUpload(url, 4, TEXT.subarray(4), second.headers)).toMatchObject({ status: 204, offset: 10 });
  });

  it('that has expired is answered 401 with that reason, and a sender renews it', async () => {
    const server = await embedLandfall({ access: 'keys' });
    const ended = await giveKey(server, { endsAt: Date.now() - 1 });
    const lasting = await giveKey(server, { endsAt: Date.now() + 3_600_000 });
    const { url } = await createUpload(server.files, { ...FILE, body: TEXT.subarray(0, 4), headers: lasting.headers });
    expect(await createUpload(server.files, { ...FILE, headers: ended.headers })).toMatchObject({
      status: 401,
      code: 'ERR_ACCESS_EXPIRED',
    });
    expect(await headUpload(url, ended.headers)).toMatchObject({ status: 401 });
    expect(await patchUpload(url, 4, TEXT.subarray(4), ended.headers)).toMatchObject({ status: 401, code: 'ERR_ACCESS_EXPIRED' });
  });

  it('is held to its limits', async () => {
    const server = await embedLandfall({ access: 'keys', logLevel: 'error' });
    const limits = { maxUploads: 2, maxUploadBytes: 10, actions: ['create'], metadata: { project: '42' }, allow: 'text' } as const;
    const { headers } = await giveKey(server, { limits });
    const tooLarge = { length: 11, name: 'a.txt', headers };
    expect(await createUpload(server.files, tooLarge)).toMatchObject({ status: 413, code: 'ERR_MAX_SIZE_EXCEEDED' });
    const created = await createUpload(server.files, { ...FILE, headers });
    expect(created).toMatchObject({ status: 201, offset: 10 });
    expect(await fetch(created.url, { headers })).toMatchObject({ status: 403 });
    expect(await createUpload(server.files, { ...FILE, name: 'a.png', headers })).toMatchObject({ status: 422 });
    expect(await createUpload(server.files, { ...FILE, name: 'b.txt', headers })).toMatchObject({ status: 201 });
    expect(await createUpload(server.files, { ...FILE, name: 'c.txt', headers })).toMatchObject({
      status: 403,
      code: 'ERR_ACCESS_USED_UP',
    });
  });
});

describe('an invalid credential', () => {
  const TOKENS = [
    `lf_${'0'.repeat(60)}`,
    'lf_',
    `lfl_${'0'.repeat(60)}`,
    'hunter2',
    'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm5hIn0.',
    '../../etc/passwd',
    '',
    'a b',
  ];

  it('is 401 even where anonymous senders may upload', async () => {
    const server = await embedLandfall({}, STANDALONE);
    for (const token of TOKENS) {
      const answer = await createUpload(server.files, { ...FILE, headers: bearer(token) });
      expect(answer, token).toMatchObject({ status: 401, code: 'ERR_UNAUTHORIZED' });
    }
    expect(await createUpload(server.files, FILE)).toMatchObject({ status: 201 });
    expect(await createUpload(server.files, { ...FILE, headers: { Authorization: 'Basic YTpi' } })).toMatchObject({ status: 201 });
  });

  it('is 401 for a key with any one digit changed', async () => {
    const server = await embedLandfall({ access: ['keys', 'anonymous'] });
    const { token, headers } = await giveKey(server);
    for (const at of [0, 2, 3, 14, 15, 40, token.length - 1]) {
      const changed = `${token.slice(0, at)}${token[at] === '1' ? '2' : '1'}${token.slice(at + 1)}`;
      expect((await createUpload(server.files, { ...FILE, headers: bearer(changed) })).status, changed).toBe(401);
    }
    for (const changed of [token.slice(0, -1), `${token}0`, token.toUpperCase()]) {
      expect((await createUpload(server.files, { ...FILE, headers: bearer(changed) })).status, changed).toBe(401);
    }
    expect(await createUpload(server.files, { ...FILE, headers })).toMatchObject({ status: 201 });
  });

  it('is limited by address; a sender with a good key continues, from that address and from others', async () => {
    const server = await embedLandfall({ access: ['keys', 'anonymous'], trustedProxies: '127.0.0.1' });
    const [known, fresh] = [await giveKey(server), await giveKey(server)];
    const from = (address: string, token: string) => ({ 'X-Forwarded-For': address, ...bearer(token) });
    const create = (address: string, token: string) => createUpload(server.files, { ...FILE, headers: from(address, token) });
    expect(await create('192.0.2.1', known.token)).toMatchObject({ status: 201 });
    const answers = [];
    for (let n = 10; n < 40; n++) answers.push(await create('192.0.2.1', `lf_${n}${'0'.repeat(58)}`));
    expect(answers.map(({ status }) => status)).toEqual([...Array(20).fill(401), ...Array(10).fill(429)]);
    expect(answers.at(-1)).toMatchObject({ code: 'ERR_TOO_MANY_REQUESTS' });
    const seconds = Number(answers.at(-1)?.headers.get('Retry-After'));
    expect(seconds >= 1 && seconds <= 60).toBe(true);
    expect(await create('192.0.2.1', known.token)).toMatchObject({ status: 201 });
    expect(await create('192.0.2.1', fresh.token)).toMatchObject({ status: 201 });
    expect(await create('192.0.2.2', fresh.token)).toMatchObject({ status: 201 });
    const { url } = await createUpload(server.files, { ...FILE, headers: from('192.0.2.3', known.token) });
    expect(await headUpload(url, from('192.0.2.1', `lf_${'1'.repeat(60)}`))).toMatchObject({ status: 429 });
  });
});

describe('an address with too many failures', () => {
  const wrong = (n: number) => bearer(`lf_${String(n).padStart(60, '0')}`);
  async function statuses(files: string, headersOf: (n: number) => Record<string, string>): Promise<number[]> {
    const answers = [];
    for (let n = 0; n < 25; n++) answers.push((await createUpload(files, { ...FILE, headers: { ...wrong(n), ...headersOf(n) } })).status);
    return answers;
  }

  it('of IPv6 counts as its whole network', async () => {
    const server = await embedLandfall({ access: 'keys', trustedProxies: '127.0.0.1' });
    const answers = await statuses(server.files, (n) => ({ 'X-Forwarded-For': `2001:db8:0:1::${n.toString(16)}` }));
    expect(answers.slice(20)).toEqual(Array(5).fill(429));
    expect((await statuses(server.files, () => ({ 'X-Forwarded-For': '2001:db8:0:2::1' })))[0]).toBe(401);
  });

  it('refuses no valid credential of any kind, though the server has never seen it', async () => {
    const application = await startAccessApplication();
    application.decide(({ question }, response) => says(response, { owner: question.sender?.authorization }));
    const settings = { jwtSecret: SECRET, grantSecrets: SECRET, accessUrl: application.url } as const;
    const server = await embedLandfall({ access: ['keys', 'links', 'grants', 'jwt', 'url'], ...settings });
    const create = (token: string) => createUpload(server.files, { ...FILE, headers: bearer(token) });
    const signed = (n: number, secret = SECRET) => jwtOf({ sub: 'anna', exp: Date.now() / 1000 + 3600, n }, secret);
    const grant = (secret: string) => createGrant(secret, { owner: 'guest', expires: '1h' });
    const begun = await createUpload(server.files, { length: TEXT.length, name: 'a.txt', headers: bearer(signed(1)) });
    expect((await statuses(server.files, () => ({}))).slice(20)).toEqual(Array(5).fill(429));
    const other = 'another secret which is as long as it should be';
    for (const token of [`lfl_${'0'.repeat(60)}`, grant(other), signed(2, other)])
      expect(await create(token)).toMatchObject({ status: 429 });
    const renewed = bearer(signed(3));
    expect(await headUpload(begun.url, renewed)).toMatchObject({ status: 200, offset: 0 });
    expect(await patchUpload(begun.url, 0, TEXT, renewed)).toMatchObject({ status: 204 });
    const [key, link] = [await giveKey(server), await giveLink(server.dataDir)];
    for (const token of [key.token, link.token, grant(SECRET), signed(4), 'of-the-application'])
      expect(await create(token), token).toMatchObject({ status: 201 });
  });

  it('of an untrusted proxy is not shut out for one of its senders; an address of this machine is', async () => {
    const server = await embedLandfall({ access: 'keys' });
    expect(await statuses(server.files, () => ({ 'X-Forwarded-For': '192.0.2.1' }))).toEqual(Array(25).fill(401));
    expect((await statuses(server.files, () => ({}))).slice(20)).toEqual(Array(5).fill(429));
  });
});

describe('without access settings', () => {
  it('a server on loopback is open until it gets a key, and never again', async () => {
    const dataDir = testDirectory();
    await using server = await startLandfall({ dataDir });
    const open = await createUpload(server.files, FILE);
    expect(open).toMatchObject({ status: 201 });
    const { id, headers } = await giveKey({ dataDir });
    await expect.poll(async () => (await createUpload(server.files, FILE)).status).toBe(401);
    expect(await createUpload(server.files, { ...FILE, headers })).toMatchObject({ status: 201 });
    expect((await fetch(open.url)).status).toBe(401);
    await withCredentials({ dataDir }, (credentials) => credentials.remove(id));
    await expect.poll(async () => (await createUpload(server.files, { ...FILE, headers })).status).toBe(401);
    expect(await createUpload(server.files, FILE)).toMatchObject({ status: 401, code: 'ERR_UNAUTHORIZED' });
    await server.kill();
    await server.start();
    expect(await createUpload(server.files, FILE)).toMatchObject({ status: 401, code: 'ERR_UNAUTHORIZED' });
  });

  it('a server reachable by others starts with a key, and refuses to start without one', async () => {
    const dataDir = testDirectory();
    const env = { LANDFALL_DATA_DIR: dataDir, LANDFALL_HOST: '0.0.0.0', LANDFALL_PORT: '0' };
    await withCredentials({ dataDir }, async () => undefined);
    const refused = await runServerCommand([], env);
    expect(refused.code).toBe(2);
    expect(refused.err).toContain('landfall-server key add OWNER');
    const added = await runServerCommand(['key', 'add', 'anna', '--max-size', '10', '--title', 'studio'], env);
    expect(added).toMatchObject({ code: 0, out: expect.stringMatching(/^lf_[0-9a-f]{60}\n$/) });
    await using server = await startLandfall({ dataDir, env: { LANDFALL_HOST: '0.0.0.0' } });
    const headers = bearer(added.out.trim());
    expect(await createUpload(server.files, FILE)).toMatchObject({ status: 401 });
    expect(await createUpload(server.files, { ...FILE, headers })).toMatchObject({ status: 201 });
    expect(await createUpload(server.files, { ...FILE, length: 11, headers })).toMatchObject({ status: 413 });
    const listed = await runServerCommand(['key', 'ls'], env);
    const [name = ''] = listed.out.split(' ');
    expect(listed.out).toMatch(/^[0-9a-f]{12} .* no end .* 1 uploads, 10 bytes {2}anna {2}--max-size 10 bytes {2}“studio”\n$/);
    const [asJson] = (await runServerCommand(['key', 'ls', '--json'], env)).out.trimEnd().split('\n');
    expect(JSON.parse(asJson ?? '')).toEqual({
      id: name,
      kind: 'key',
      owner: 'anna',
      title: 'studio',
      limits: { maxUploadBytes: 10 },
      createdAt: expect.any(Number),
      endsAt: null,
      removedAt: null,
      uploads: 1,
      bytes: 10,
    });
    expect(await runServerCommand(['key', 'rm', name], env)).toMatchObject({ code: 0, out: `${name} removed\n` });
    await expect.poll(async () => (await createUpload(server.files, { ...FILE, headers })).status).toBe(401);
    expect((await runServerCommand(['key', 'rm', name], env)).code).toBe(1);
  });

  it('an application that knows its senders judges credentials that are no key, and keys count beside it', async () => {
    const authenticate = ({ headers }: IncomingMessage) => (headers.authorization === 'Bearer mine' ? 'bert' : null);
    const server = await embedLandfall({}, { authenticate });
    const { headers } = await giveKey(server);
    expect(await createUpload(server.files, { ...FILE, headers: bearer('mine') })).toMatchObject({ status: 201 });
    expect(await createUpload(server.files, { ...FILE, headers })).toMatchObject({ status: 201 });
    expect(await createUpload(server.files, { ...FILE, headers: bearer('yours') })).toMatchObject({ status: 401 });
    expect(await createUpload(server.files, FILE)).toMatchObject({ status: 401 });
  });
});

describe('an invalid command line', () => {
  it.for([
    ['key', 'add', 'anna', 'bert'],
    ['key', 'add', 'anna', '--max-upload-size', '5GB'],
    ['ls', '--max-uploads', '5'],
    ['grant', 'anna', '--expires', '1d'],
  ])('%s %s %s %s gives out no key', async (args) => {
    const dataDir = testDirectory();
    const ran = await runServerCommand(args, { LANDFALL_DATA_DIR: dataDir });
    expect(ran).toMatchObject({ code: 2, out: '' });
    expect(ran.err.trimEnd().split('\n')).toHaveLength(1);
    expect(existsSync(join(dataDir, 'ledger.sqlite'))).toBe(false);
  });

  const config = () => resolveConfig({ dataDir: testDirectory(), grantSecrets: 's'.repeat(32) });
  const silent = { output: { write: () => true }, notes: { write: () => true } };
  it.for([
    ['key', [], {}],
    ['key', ['add'], {}],
    ['key', ['add', ''], {}],
    ['key', ['add', 'a\nb'], {}],
    ['key', ['rm', '../x'], {}],
    ['key', ['ls'], {}],
    ['key', ['add', 'anna'], { 'max-size': 'big' }],
    ['key', ['add', 'anna'], { 'max-uploads': '1.5' }],
    ['key', ['add', 'anna'], { actions: 'create,fly' }],
    ['key', ['add', 'anna'], { metadata: ['project'] }],
    ['key', ['add', 'anna'], { metadata: ['my project=42'] }],
    ['key', ['add', 'anna'], { allow: 'nothing-of-the-kind' }],
    ['key', ['add', 'anna'], { expires: 'soon' }],
    ['grant', ['anna'], {}],
    ['grant', ['anna'], { expires: '0' }],
    ['grant', ['anna'], { expires: '1d', id: 'a b' }],
    ['grant', ['revoke'], {}],
    ['grant', ['revoke', 'a b'], {}],
  ] as [string, string[], LimitOptions][])('%s %j with %j says what to write', async ([command, operands, options]) => {
    const settings = config();
    await expect(runCredentialsCommand(command, operands, options, settings, silent)).rejects.toThrow(UsageError);
    expect(await withCredentials(settings, (credentials) => credentials.list('key'))).toEqual([]);
  });
});
