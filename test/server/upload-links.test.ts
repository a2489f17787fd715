// Upload links: what a guest may and may not do at every endpoint.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { withoutSettings } from '../support/environment.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { giveLink } from '../support/links.ts';
import { REPOSITORY } from '../support/repository.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord, terminateUpload } from '../support/tus-requests.ts';

const TEXT = Buffer.from('a few words, long enough to be a text\n');
const DAY_MS = 86_400_000;

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

/** The terms that the page asks for before it shows anything. */
async function termsOf(url: string, token?: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${url}/config`, token === undefined ? {} : { headers: bearer(token) });
  return { status: response.status, ...((await response.json()) as Record<string, unknown>) };
}

const send = (files: string, token: string, name = 'a.txt') =>
  createUpload(files, { length: TEXT.length, name, body: TEXT, headers: bearer(token) });

async function sendForm(url: string, fields: [string, string][], files: [string, string][], accept = 'application/json') {
  const form = new FormData();
  for (const [name, value] of fields) form.append(name, value);
  for (const [name, content] of files) form.append('files', new Blob([content]), name);
  const response = await fetch(`${url}/link/upload`, { method: 'POST', body: form, headers: { Accept: accept } });
  return { status: response.status, text: await response.text() };
}

async function run(dataDir: string, args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [join(REPOSITORY, 'server/main.ts'), ...args], {
    cwd: testDirectory(),
    env: { ...withoutSettings(), LANDFALL_DATA_DIR: dataDir, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await ended, out, err };
}

describe('a guest', () => {
  it('gets the accepted types and the link’s expiry, and uploads accordingly', async () => {
    const { url, files, dataDir } = await embedLandfall();
    const endsAt = Date.now() + DAY_MS;
    const limits = { maxUploads: 2, maxBytes: 1000, maxUploadBytes: 500, allow: 'text' };
    const { token } = await giveLink(dataDir, { endsAt, limits });
    const terms = await termsOf(url, token);
    expect(terms).toMatchObject({
      status: 200,
      maxUploadSize: 500,
      grant: { title: 'Footage for Anna', endsAt: new Date(endsAt).toISOString(), uploadsLeft: 2, bytesLeft: 1000 },
    });
    expect(Object.keys((terms.policy as { types: object }).types)).not.toContain('png');
    expect((await send(files, token)).status).toBe(201);
    expect(await termsOf(url, token)).toMatchObject({ grant: { uploadsLeft: 1, bytesLeft: 1000 - TEXT.length } });
    expect(await createUpload(files, { length: 501, name: 'b.txt', headers: bearer(token) })).toMatchObject({ status: 413 });
    expect(await createUpload(files, { length: 5, name: 'b.png', headers: bearer(token) })).toMatchObject({ status: 422 });
    expect((await send(files, token, 'c.txt')).status).toBe(201);
    expect(await send(files, token, 'd.txt')).toMatchObject({ status: 403, code: 'ERR_ACCESS_USED_UP' });
    expect(await termsOf(url, token)).toMatchObject({ grant: { uploadsLeft: 0 } });
  });

  it('reaches uploads of the same link only, although all have the same owner', async () => {
    const { files, dataDir } = await embedLandfall({ access: ['links', 'anonymous'] });
    const [one, other] = await Promise.all([giveLink(dataDir, { owner: 'anna' }), giveLink(dataDir, { owner: 'anna' })]);
    const { url } = await createUpload(files, { length: 10, name: 'a.txt', headers: bearer(one.token) });
    const open = await createUpload(files, { length: 10, name: 'a.txt' });
    for (const [address, headers] of [
      [url, bearer(other.token)],
      [url, {}],
      [open.url, bearer(one.token)],
    ] as const) {
      expect((await headUpload(address, headers)).status).toBe(404);
      expect((await patchUpload(address, 0, Buffer.from('0123456789'), headers)).status).toBe(404);
      expect((await terminateUpload(address, headers)).status).toBe(404);
      expect((await fetch(`${address}/status`, { headers })).status).toBe(404);
    }
    expect((await headUpload(url, bearer(one.token))).status).toBe(200);
    expect((await terminateUpload(url, bearer(one.token))).status).toBe(204);
  });

  it('downloads nothing, not even own uploads', async () => {
    const { url, files, dataDir, landfall } = await embedLandfall();
    const { token } = await giveLink(dataDir);
    const sent = await send(files, token);
    expect(await readRecord(sent.url, bearer(token))).toMatchObject({ state: 'accepted', url: null });
    expect((await fetch(sent.url, { headers: bearer(token) })).status).toBe(403);
    expect((await fetch(url + (await landfall.downloadUrl(idOf(sent.url))))).status).toBe(200);
  });

  it('is nobody with an invalid token, and never counts as an anonymous sender', async () => {
    const { url, files, dataDir } = await embedLandfall();
    const { token } = await giveLink(dataDir);
    const other = await giveLink(dataDir);
    const wrong = [
      `${token.slice(0, -1)}${token.endsWith('0') ? '1' : '0'}`,
      `${token}0`,
      token.slice(0, 16) + other.token.slice(16),
      'lfl_',
    ];
    for (const guess of wrong) {
      expect(await send(files, guess), guess).toMatchObject({ status: 401, code: 'ERR_UNAUTHORIZED' });
      expect((await termsOf(url, guess)).status).toBe(401);
    }
  });

  it('completes an upload started before the link expired, and starts no new one', async () => {
    const { url, files, dataDir } = await embedLandfall();
    const { token } = await giveLink(dataDir, { endsAt: Date.now() + 3000 });
    const begun = await createUpload(files, { length: TEXT.length, name: 'a.txt', headers: bearer(token) });
    expect(begun.status).toBe(201);
    await expect.poll(async () => (await termsOf(url, token)).code).toBe('ERR_ACCESS_EXPIRED');
    expect(await send(files, token)).toMatchObject({ status: 401, code: 'ERR_ACCESS_EXPIRED' });
    expect(await patchUpload(begun.url, 0, TEXT, bearer(token))).toMatchObject({ status: 204, offset: TEXT.length });
    expect(await readRecord(begun.url, bearer(token))).toMatchObject({ state: 'accepted' });
  });

  it('can do nothing more once the link was withdrawn', async () => {
    const { url, files, dataDir } = await embedLandfall();
    const { token, withdraw } = await giveLink(dataDir);
    const begun = await createUpload(files, { length: TEXT.length, name: 'a.txt', headers: bearer(token) });
    expect(await withdraw()).toBe(true);
    await expect.poll(async () => (await termsOf(url, token)).code).toBe('ERR_ACCESS_WITHDRAWN');
    expect(await send(files, token)).toMatchObject({ status: 401 });
    expect(await patchUpload(begun.url, 0, TEXT, bearer(token))).toMatchObject({ status: 401 });
    expect((await headUpload(begun.url, bearer(token))).status).toBe(401);
  });
});

describe('/config', () => {
  it('tells a client without credentials whether it must sign in', async () => {
    const open = await embedLandfall();
    expect(await termsOf(open.url)).not.toHaveProperty('signIn');
    const closed = await embedLandfall({ access: ['keys'] });
    expect(await termsOf(closed.url)).toMatchObject({ status: 200, signIn: true, maxUploadSize: 1024 ** 4 });
    const { headers } = await fetch(`${closed.url}/config`);
    expect([headers.get('Cache-Control'), headers.get('Vary')]).toEqual(['private, no-cache', expect.stringContaining('Authorization')]);
  });
});

describe('the form of a link', () => {
  it('reads the token from a field, and the fields about the sender', async () => {
    const { url, dataDir } = await embedLandfall({ access: ['links'] });
    const { token, id } = await giveLink(dataDir);
    const said: [string, string][] = [
      ['link', ` ${url}/link#${token} `],
      ['senderName', 'Ben'],
      ['senderMessage', 'Two takes.\r\nThe second is better.'],
    ];
    const { status, text: answer } = await sendForm(url, said, [['a.txt', TEXT.toString()]]);
    expect(status).toBe(201);
    const { record } = JSON.parse(answer);
    expect(record).toMatchObject({ state: 'accepted', name: 'a.txt', url: null });
    const shown = await run(dataDir, ['show', record.id]);
    expect(JSON.parse(shown.out)).toMatchObject({
      source: 'link',
      credential: id,
      metadata: { filename: 'a.txt', senderName: 'Ben', senderMessage: 'Two takes. The second is better.' },
    });
  });

  it('answers a page to a person, with a way back and no link to the files', async () => {
    const { url, dataDir } = await embedLandfall();
    const { token } = await giveLink(dataDir);
    const files: [string, string][] = [
      ['a.txt', TEXT.toString()],
      ['b.png', 'no picture'],
    ];
    const { status, text: page } = await sendForm(url, [['link', token]], files, 'text/html');
    expect(status).toBe(207);
    expect(page).toContain('Some files were not accepted');
    expect(page).toContain('href="/link"');
    expect(page).not.toContain('/files/');
  });

  it.for([
    ['no address', []],
    ['an address of nothing', [['link', 'lfl_0123456789ab']]],
    ['another token', [['link', 'lf_0123456789ab']]],
  ] as [string, [string, string][]][])('with %s accepts nothing, and says so', async ([, fields]) => {
    const { url } = await embedLandfall();
    const answer = await sendForm(url, fields, [['a.txt', TEXT.toString()]]);
    expect([answer.status, JSON.parse(answer.text)]).toEqual([
      401,
      expect.objectContaining({ error: expect.objectContaining({ code: 'ERR_UNAUTHORIZED' }) }),
    ]);
    expect((await sendForm(url, fields, [['a.txt', TEXT.toString()]], 'text/html')).text).toContain('Sign in to upload.');
  });

  it('with a file before the token accepts nothing', async () => {
    const { url, dataDir } = await embedLandfall();
    const { token } = await giveLink(dataDir);
    const form = new FormData();
    form.append('files', new Blob([TEXT]), 'a.txt');
    form.append('link', token);
    expect((await fetch(`${url}/link/upload`, { method: 'POST', body: form })).status).toBe(401);
  });

  it('without a file says so on the page', async () => {
    const { url, dataDir } = await embedLandfall();
    const { token } = await giveLink(dataDir);
    const { status, text: page } = await sendForm(url, [['link', token]], [], 'text/html');
    expect([status, page]).toEqual([400, expect.stringContaining('Choose a file first.')]);
  });
});

describe('landfall-server link', () => {
  it('prints an address once, lists its uploads, and withdraws it', async () => {
    const { url, files, dataDir } = await embedLandfall();
    const limits = ['--expires', '14d', '--max-size', '200GB', '--max-uploads', '3', '--allow', 'text'];
    const made = await run(dataDir, ['link', 'Footage for Anna', ...limits], { LANDFALL_PUBLIC_URL: 'https://uploads.example/' });
    const [, token = '', id = ''] = /^https:\/\/uploads\.example\/link#(lfl_([0-9a-f]{12})[0-9a-f]{48})\n$/.exec(made.out) ?? [];
    expect([made.code, made.err]).toEqual([0, expect.stringContaining('Footage for Anna')]);
    expect(made.err).not.toContain(token);
    expect(await termsOf(url, token)).toMatchObject({ maxUploadSize: 200e9, grant: { title: 'Footage for Anna', uploadsLeft: 3 } });
    expect((await send(files, token)).status).toBe(201);
    const listed = await run(dataDir, ['link', 'ls']);
    expect(listed.out).toMatch(new RegExp(`^${id} .*1 uploads.*“Footage for Anna”`));
    expect(JSON.parse((await run(dataDir, ['link', 'ls', '--json'])).out)).toMatchObject({ id, uploads: 1, removedAt: null });
    expect((await run(dataDir, ['link', 'ls', '--json'])).out).not.toContain('secretHash');
    expect(await run(dataDir, ['link', 'rm', id])).toMatchObject({ code: 0, out: `${id} removed\n` });
    expect(await run(dataDir, ['link', 'rm', id])).toMatchObject({ code: 1 });
    await expect.poll(async () => (await send(files, token)).code).toBe('ERR_ACCESS_WITHDRAWN');
  });

  it.for([
    [['link']],
    [['link', 'a', 'b']],
    [['link', '']],
    [['link', 'x', '--expires', 'soon']],
    [['link', 'rm', '../x']],
    [['key', 'add', 'anna', '--owner', 'ben']],
  ])('reports the fault in %j', async ([args]) => {
    const { code, out, err } = await run(testDirectory(), args as string[]);
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(/^landfall-server: \S/);
  });
});

describe('landfall-server url', () => {
  it('prints an address with which anybody downloads, until it expires', async () => {
    const { url, files, dataDir } = await embedLandfall();
    const { token } = await giveLink(dataDir);
    const id = idOf((await send(files, token)).url);
    const env = { LANDFALL_PUBLIC_URL: url };
    const { out, code } = await run(dataDir, ['url', id, '--expires', '1h'], env);
    expect(code).toBe(0);
    expect(await (await fetch(out.trim())).text()).toBe(TEXT.toString());
    expect(Number(new URL(out.trim()).searchParams.get('expires'))).toBeLessThanOrEqual(Math.ceil(Date.now() / 1000) + 3600);
    expect(await run(dataDir, ['url', '0'.repeat(32)], env)).toMatchObject({
      code: 1,
      out: expect.stringContaining('There is no such upload.'),
    });
    expect(await run(dataDir, ['url', id, '--expires', 'soon'], env)).toMatchObject({ code: 2 });
    expect(await run(dataDir, ['url', id], { ...env, LANDFALL_DOWNLOADS: 'off' })).toMatchObject({ code: 1 });
  });
});
