// Credentials in the wrong place, expired, or malformed: none is ever worth more than it grants.
import { createHmac } from 'node:crypto';
import express from 'express';
import { describe, expect, it } from 'vitest';
import type { Action } from '../../server/ledger/limits.ts';
import { expectOwnersApart } from '../contract/odd-owners.ts';
import { bearer, giveKey } from '../support/credentials.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { giveLink } from '../support/links.ts';
import { head, rawRequest } from '../support/raw-http.ts';
import { fromElsewhere, grant, JWT_SECRET, jwt, PROXIED, SECRET, seconds, signed, TEXT } from '../support/rights.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord, terminateUpload } from '../support/tus-requests.ts';

const FILE = { length: TEXT.length, name: 'a.txt' };
const HALF = TEXT.subarray(0, 4);
const REST = TEXT.subarray(4);
const NOTHING = '0'.repeat(32);

describe('a credential', () => {
  it('in the wrong place, or missing, is 401 at each endpoint, and stands for nobody', async () => {
    const server = await embedLandfall({ access: ['keys', 'links', 'jwt', 'grants', 'anonymous'], ...PROXIED }, { isStandalone: true });
    const { url, files } = server;
    const [key, link] = [(await giveKey(server)).token, (await giveLink(server.dataDir)).token];
    const claims = { jti: 'a', exp: seconds() + 60, landfall: { owner: 'anna' } };
    const wrong = [
      // A credential of one kind with the prefix of another.
      `Bearer lfl_${key.slice(3)}`,
      `Bearer lf_${link.slice(4)}`,
      `Bearer ${key}.${key}.${key}`,
      `Bearer ${link}=`,
      `Bearer lf_${jwt('anna')}`,
      // A grant signed with the provider's secret, a JWT signed with the grant secret, and one with a grant's claim in its
      // header.
      `Bearer ${signed(claims, JWT_SECRET)}`,
      `Bearer ${signed({ sub: 'anna', exp: seconds() + 60 }, SECRET)}`,
      `Bearer ${signed({ sub: 'anna', exp: seconds() + 60 }, SECRET, { alg: 'HS256', landfall: { owner: 'anna' } })}`,
      `Bearer ${signed({ ...claims, sub: 'anna' }, JWT_SECRET)}`,
      `Bearer ${signed({ ...claims, landfall: null, sub: 'anna' }, JWT_SECRET)}`,
      // In no scheme.
      key,
      link,
      jwt('anna'),
      `Token ${key}`,
      `Key ${key}`,
      `JWT ${jwt('anna')}`,
      `Bearer: ${key}`,
      `Bearer,${key}`,
      `Bearer "${key}"`,
      `Bearer ${key}, Bearer ${key}`,
      `Bearer Bearer ${key}`,
      'Bearer',
      'null',
      'undefined',
    ];
    const leaks: string[] = [];
    let tried = 0;
    for (const authorization of wrong) {
      const headers = () => ({ Authorization: authorization, ...fromElsewhere() });
      const form = new FormData();
      form.append('file', new Blob([TEXT]), 'a.txt');
      const answers = [
        (await createUpload(files, { ...FILE, headers: headers() })).status,
        (await headUpload(`${files}/${NOTHING}`, headers())).status,
        (await fetch(`${url}/config`, { headers: headers() })).status,
        (await fetch(`${url}/upload`, { method: 'POST', body: form, headers: headers() })).status,
        (await fetch(`${url}/upload/multiple`, { method: 'POST', body: form, headers: headers() })).status,
      ];
      tried += answers.length;
      if (answers.some((status) => status !== 401)) leaks.push(`${authorization}: ${answers}`);
    }
    // The form of a link takes links only, whatever else the request has.
    for (const token of [key, jwt('anna'), grant('anna'), '', `lfl_${key.slice(3)}`]) {
      const form = new FormData();
      form.append('link', token);
      form.append('file', new Blob([TEXT]), 'a.txt');
      const headers = { ...bearer(key), ...fromElsewhere(), Accept: 'application/json' };
      const { status } = await fetch(`${url}/link/upload`, { method: 'POST', body: form, headers });
      tried++;
      if (status !== 401) leaks.push(`${token} in the form of a link: ${status}`);
    }
    // Two credentials: the second never counts instead, and a wrong one does not make the sender anonymous.
    const create = (lines: string[]) =>
      rawRequest(files, [
        head('POST /files HTTP/1.1', 'Host: localhost', 'Tus-Resumable: 1.0.0', 'Upload-Length: 4', 'Connection: close', ...lines),
      ]);
    for (const [lines, status] of [
      [[`Authorization: Bearer lf_${'0'.repeat(60)}`, `Authorization: Bearer ${key}`], 401],
      [['Authorization: ', `Authorization: Bearer lf_${'0'.repeat(60)}`], 201],
    ] as const) {
      const answer = await create([...lines]);
      tried++;
      if (answer.status !== status) leaks.push(`${lines}: ${answer.status}`);
    }
    // In the address: the server ignores it.
    const mine = await createUpload(files, { ...FILE, body: TEXT, headers: bearer(key) });
    for (const query of [`access_token=${key}`, `token=${key}`, `authorization=Bearer%20${key}`, `link=${link}`]) {
      const { status } = await fetch(`${mine.url}?${query}`);
      tried++;
      if (status !== 404) leaks.push(`${query}: ${status}`);
    }
    console.info(`${tried} ways to show a right, ${leaks.length} leaks`);
    expect(leaks).toEqual([]);
  });

  it('a server mounted at /link does not look for a link in forms', async () => {
    const server = await embedLandfall({}, { authenticate: () => 'anna' }, ({ handler }) => express().use('/link', handler));
    const form = new FormData();
    form.append('file', new Blob([TEXT]), 'a.txt');
    expect((await fetch(`${server.url}/link/upload`, { method: 'POST', body: form })).status).toBe(201);
    const { status } = await fetch(`${server.url}/link/link/upload`, {
      method: 'POST',
      body: form,
      headers: { Accept: 'application/json' },
    });
    expect(status).toBe(401);
  });
});

describe('an expired right', () => {
  it('gives out no download address, and ends those that it gave out', async () => {
    const server = await embedLandfall({ access: ['links', 'grants'], grantSecrets: SECRET, downloadLifetime: '1d' });
    const endsAt = Date.now() + 3000;
    const link = await giveLink(server.dataDir, { endsAt, limits: { actions: ['create', 'download'] } });
    const exp = Math.ceil(endsAt / 1000);
    const rights = [bearer(link.token), bearer(signed({ jti: 'ends', exp, landfall: { owner: 'anna' } }, SECRET))];
    const told: string[] = [];
    const uploads = [];
    for (const headers of rights) {
      const { url } = await createUpload(server.files, { ...FILE, body: TEXT, headers });
      const record = await readRecord(url, headers);
      told.push(`${server.url}${record.url}`);
      uploads.push({ url, headers });
      expect(Number(new URL(told.at(-1) ?? '').searchParams.get('expires'))).toBe(exp);
    }
    for (const address of told) await expect.poll(async () => (await fetch(address)).status).toBe(403);
    for (const { url, headers } of uploads) {
      expect((await fetch(url, { headers })).status).toBe(401);
      expect(await readRecord(url, headers)).toMatchObject({ state: 'accepted', url: null });
    }
  });
});

describe('the scope of a right', () => {
  const ACTIONS: readonly Action[] = ['create', 'download', 'terminate'];

  it("limits a sender, also with its own owner's uploads", async () => {
    const server = await embedLandfall({ access: 'keys' });
    const all = (await giveKey(server)).headers;
    const leaks: string[] = [];
    for (let set = 0; set < 8; set++) {
      const actions = ACTIONS.filter((_action, index) => (set >> index) & 1);
      const { headers } = await giveKey(server, { limits: { actions } });
      const unfinished = await createUpload(server.files, { ...FILE, body: HALF, headers: all });
      const whole = await createUpload(server.files, { ...FILE, body: TEXT, headers: all });
      const may = (action: Action) => actions.includes(action);
      const form = new FormData();
      form.append('file', new Blob([TEXT]), 'a.txt');
      const got = {
        create: (await createUpload(server.files, { ...FILE, headers })).status,
        form: (await fetch(`${server.url}/upload`, { method: 'POST', body: form, headers })).status,
        get: (await fetch(whole.url, { headers })).status,
        head: (await fetch(whole.url, { method: 'HEAD', headers })).status,
        url: (await readRecord(whole.url, headers)).url !== null,
        inspect: (await headUpload(unfinished.url, headers)).status,
        append: (await patchUpload(unfinished.url, 4, REST.subarray(0, 2), headers)).status,
        terminate: (await terminateUpload(unfinished.url, headers)).status,
      };
      const expected = {
        create: may('create') ? 201 : 403,
        form: may('create') ? 201 : 403,
        get: may('download') ? 200 : 403,
        head: may('download') ? 200 : 403,
        url: may('download'),
        inspect: 200,
        append: may('create') ? 204 : 403,
        terminate: may('terminate') ? 204 : 403,
      };
      if (JSON.stringify(got) !== JSON.stringify(expected)) leaks.push(`${actions}: ${JSON.stringify(got)}`);
    }
    expect(leaks).toEqual([]);
  });

  it('never grows by odd values in it', async () => {
    const server = await embedLandfall({ access: 'grants', trustedProxies: '127.0.0.1', grantSecrets: SECRET });
    const odd: Record<string, unknown>[] = [
      ...[-1, 0.5, 2 ** 53, 1e300, '5', '', null, true, [], [5], {}].map((maxUploads) => ({ maxUploads })),
      ...[-1, 0.5, 2 ** 54, '', ' ', 'none', '-1', '1e3', '0x10', '∞', 'Infinity', 'unlimited', null, true, [5]].flatMap((size) => [
        { maxUploadSize: size },
        { maxBytes: size },
      ]),
      ...['', null, 'create', ['*'], ['inspect'], ['append'], ['finish'], [['create']], { 0: 'create' }].map((actions) => ({ actions })),
      ...[null, [], 'a', { a: 1 }, { 'a b': 'x' }, { a: 'x\ny' }, { a: 'x\0' }, { '': 'x' }, { 'a,b': 'x' }].map((metadata) => ({
        metadata,
      })),
      ...[null, 5, ['image'], 'no such kind', '../x'].map((allow) => ({ allow })),
      ...[null, -1, 'soon', 'never', true].map((keepFilesFor) => ({ keepFilesFor })),
      ...['', null, 5, [], ['anna'], { toString: 'anna' }, 'a\0b', 'a\nb', '\ud800', 'x'.repeat(256)].map((owner) => ({ owner })),
      { maxUpload: 5 },
      { MaxUploads: 5 },
      { limits: { maxUploads: 5 } },
      { maxUploadBytes: 5 },
      { keepFilesForMs: 5 },
      { source: 'key' },
      { credential: null },
      { isConfined: false },
    ];
    const literal = ['{"__proto__":{"owner":"anna"}}', '{"owner":"anna","__proto__":{}}'];
    const claims = [...odd.map((limits) => JSON.stringify({ owner: 'anna', ...limits })), ...literal];
    const leaks: string[] = [];
    for (const claim of claims) {
      const text = [`{"alg":"HS256"}`, `{"jti":"odd","exp":${seconds() + 60},"landfall":${claim}}`]
        .map((part) => Buffer.from(part).toString('base64url'))
        .join('.');
      const token = `${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`;
      const {
        status,
        code,
        text: answer,
      } = await createUpload(server.files, { ...FILE, headers: { ...bearer(token), ...fromElsewhere() } });
      if (status !== 401 || code !== 'ERR_UNAUTHORIZED' || !answer.includes('The grant cannot be read'))
        leaks.push(`${claim}: ${status} ${answer}`);
    }
    console.info(`${claims.length} grants with something odd in them, ${leaks.length} leaks`);
    expect(leaks).toEqual([]);
  });

  it('includes its metadata, whatever the sender says', async () => {
    const server = await embedLandfall({ access: 'grants', grantSecrets: SECRET });
    const many = Object.fromEntries(Array.from({ length: 16 }, (_none, index) => [`key${index}`, 'x']));
    const creations = [
      { metadata: { order: '1', name: 'evil.exe', filename: 'evil.exe', type: 'text/html' } },
      { metadata: { ORDER: '1', ...many, key15: '' } },
      { metadata: { long: 'x'.repeat(3000) } },
    ];
    const fixed = { order: '4711', name: 'fixed.txt', filetype: 'text/plain' };
    const headers = bearer(grant('anna', { metadata: fixed }));
    const ids = new Set<string>();
    for (const creation of creations.map(({ metadata }) => ({ metadata: Object.fromEntries(Object.entries(metadata).slice(0, 16)) }))) {
      const made = await createUpload(server.files, { length: 4, ...creation, headers });
      expect(made.status).toBe(201);
      ids.add(idOf(made.url));
      expect(await readRecord(made.url, headers)).toMatchObject({ originalName: 'fixed.txt' });
    }
    const form = new FormData();
    form.append('file', new Blob([TEXT]), `${'long '.repeat(700)}\n.exe`);
    const sent = await fetch(`${server.url}/upload`, { method: 'POST', body: form, headers });
    const { record } = (await sent.json()) as { record: { id: string; name: string } };
    expect(record.name).toBe('fixed.txt');
    ids.add(record.id);
    for await (const { type, data } of server.landfall.events({ signal: AbortSignal.timeout(60_000) })) {
      if (type !== 'upload.created') continue;
      expect(data.metadata).toMatchObject(fixed);
      expect(data).toMatchObject({ originalName: 'fixed.txt', claimedType: 'text/plain' });
      expect(data.metadata).not.toMatchObject({ filename: 'evil.exe' });
      ids.delete(data.id);
      if (ids.size === 0) break;
    }
    expect([...ids]).toEqual([]);
  });
});

it('owners with odd names reach only their own uploads, and count separately', () => expectOwnersApart({}));
