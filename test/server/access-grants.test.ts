// Grants: upload rights that an application signed. Tests cover their scope, owner, counts and expiry.
import { createHmac, generateKeyPairSync, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createGrant, type GrantOptions } from '../../server/grants.ts';
import type { ConfigInput } from '../../server/index.ts';
import { bearer, withCredentials } from '../support/credentials.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { REPOSITORY } from '../support/repository.ts';
import { runServerCommand } from '../support/server-command.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, patchUpload, terminateUpload } from '../support/tus-requests.ts';

const SECRET = 'a secret that signs grants and nothing else';
const TEXT = Buffer.from('0123456789');
const HALF = TEXT.subarray(0, 4);
const FILE = { length: TEXT.length, name: 'a.txt' };
const DAY = 86_400;
const now = () => Math.floor(Date.now() / 1000);

async function serve(config: ConfigInput = {}) {
  const server = await embedLandfall({ access: ['grants', 'anonymous'], grantSecrets: SECRET, trustedProxies: '127.0.0.1', ...config });
  let addresses = 0;
  /** Each sender has its own address, so that the limit of failures of one refuses no other. */
  const from = (token: string) => ({ ...bearer(token), 'X-Forwarded-For': `2001:db8:${(++addresses).toString(16)}::1` });
  const create = (token: string, body: Uint8Array<ArrayBuffer> = TEXT, creation = FILE) =>
    createUpload(server.files, { ...creation, body, headers: from(token) });
  return { ...server, create, from };
}

function grant(options: Partial<GrantOptions> = {}): string {
  return createGrant(SECRET, { owner: 'order-1', expires: '1h', ...options });
}

/** A token as another language may make it, right or wrong. */
function signed(claims: object, secret = SECRET, header: object = { alg: 'HS256', typ: 'JWT' }): string {
  const text = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

describe('a grant', () => {
  it('uploads for its owner, and reaches only the uploads that it created', async () => {
    const { create, url: server, from, files } = await serve();
    const [mine, other] = [grant(), grant()];
    const created = await create(mine, HALF);
    expect(created).toMatchObject({ status: 201, offset: 4 });
    const { url } = created;
    expect(await headUpload(url, from(other))).toMatchObject({ status: 404 });
    expect(await patchUpload(url, 4, TEXT.subarray(4), from(other))).toMatchObject({ status: 404 });
    expect(await terminateUpload(url, from(other))).toMatchObject({ status: 404 });
    expect(await headUpload(url)).toMatchObject({ status: 404 });
    expect(await patchUpload(url, 4, TEXT.subarray(4), from(mine))).toMatchObject({ status: 204, offset: 10 });
    expect(await (await fetch(url, { headers: from(mine) })).text()).toBe(String(TEXT));
    expect((await fetch(url, { headers: from(other) })).status).toBe(404);
    expect((await fetch(url)).status).toBe(404);
    const form = new FormData();
    form.append('file', new Blob([TEXT]), 'b.txt');
    const sent = await fetch(`${server}/upload`, { method: 'POST', body: form, headers: { ...from(mine), Accept: 'application/json' } });
    expect(sent.status).toBe(201);
    expect(files).toContain(server);
  });

  it('is held to its limits', async () => {
    const { create, from, files } = await serve();
    const token = grant({ maxUploads: 3, maxUploadSize: '10', maxBytes: 25, allow: 'text', actions: ['create'] });
    expect(await create(token, HALF, { length: 11, name: 'a.txt' })).toMatchObject({ status: 413, code: 'ERR_MAX_SIZE_EXCEEDED' });
    expect(await create(token, TEXT, { length: 10, name: 'a.png' })).toMatchObject({ status: 422 });
    const first = await create(token);
    expect(first).toMatchObject({ status: 201, offset: 10 });
    expect((await fetch(first.url, { headers: from(token) })).status).toBe(403);
    const second = await create(token, HALF);
    expect(await create(token)).toMatchObject({ status: 413, code: 'ERR_QUOTA_EXCEEDED' });
    expect(await create(token, HALF, { length: 5, name: 'a.txt' })).toMatchObject({ status: 201 });
    expect(await createUpload(files, { length: 0, name: 'e.txt', headers: from(token) })).toMatchObject({
      status: 403,
      code: 'ERR_ACCESS_USED_UP',
    });
    expect(await terminateUpload(second.url, from(token))).toMatchObject({ status: 403, code: 'ERR_ACTION_NOT_ALLOWED' });
  });

  it('for seven uploads makes seven of fifty concurrent ones, small and large', async () => {
    for (const body of [TEXT, HALF]) {
      const { create, from, files } = await serve();
      const token = grant({ maxUploads: 7 });
      const answers = await Promise.all(Array.from({ length: 50 }, () => create(token, body)));
      const made = answers.filter(({ status }) => status === 201);
      expect(made).toHaveLength(7);
      expect(answers.filter(({ status, code }) => status === 403 && code === 'ERR_ACCESS_USED_UP')).toHaveLength(43);
      const again = createGrant(SECRET, { owner: 'order-1', expires: '1h', maxUploads: 7 });
      expect(await createUpload(files, { ...FILE, headers: from(again) })).toMatchObject({ status: 201 });
    }
  });

  it('made again under the same id has only the remaining uploads of the first', async () => {
    const { create, from } = await serve();
    const id = randomUUID();
    const { url } = await create(grant({ id, maxUploads: 1 }), HALF);
    expect(await create(grant({ id, maxUploads: 1, expires: '2h' }))).toMatchObject({ code: 'ERR_ACCESS_USED_UP' });
    expect(await headUpload(url, from(grant({ id, expires: '2h' })))).toMatchObject({ status: 200, offset: 4 });
    expect(await create(grant({ id, maxUploads: 2 }))).toMatchObject({ status: 201 });
    expect(await headUpload(url, from(grant({ id, owner: 'order-2' })))).toMatchObject({ status: 404 });
  });

  it('lets a sender complete uploads after its expiry, starts no new one, and even that not forever', async () => {
    const { create, from } = await serve({ expireAfter: '7d', keepRecordsFor: '24h' });
    const id = randomUUID();
    const endedAt = (exp: number) => signed({ jti: id, exp, landfall: { owner: 'order-1' } });
    const { url } = await create(grant({ id }), HALF);
    const { url: whole } = await create(grant({ id }));
    const ended = endedAt(now() - 7 * DAY);
    const expired = { status: 401, code: 'ERR_ACCESS_EXPIRED' };
    expect(await create(ended)).toMatchObject(expired);
    expect((await fetch(whole, { headers: from(ended) })).status).toBe(401);
    expect(await terminateUpload(url, from(ended))).toMatchObject(expired);
    expect(await headUpload(url, from(ended))).toMatchObject({ status: 200, offset: 4 });
    expect((await fetch(`${whole}/status`, { headers: from(ended) })).status).toBe(200);
    const over = endedAt(now() - 8 * DAY - 1);
    expect(await headUpload(url, from(over))).toMatchObject({ status: 401 });
    expect(await patchUpload(url, 4, TEXT.subarray(4), from(over))).toMatchObject(expired);
    expect(await patchUpload(url, 4, TEXT.subarray(4), from(ended))).toMatchObject({ status: 204, offset: 10 });
    expect(await headUpload(url, from(signed({ jti: 'another', exp: now() - DAY, landfall: { owner: 'order-1' } })))).toMatchObject({
      status: 404,
    });
  });

  it('that was revoked is refused everywhere', async () => {
    const { create, from, dataDir } = await serve();
    const [token, other] = [grant({ id: 'lost.phone' }), grant()];
    const { url } = await create(token, HALF);
    expect(await runServerCommand(['grant', 'revoke', token], { LANDFALL_DATA_DIR: dataDir })).toMatchObject({
      code: 0,
      out: 'lost.phone revoked\n',
    });
    await expect.poll(async () => (await headUpload(url, from(token))).status).toBe(401);
    expect(await patchUpload(url, 4, TEXT.subarray(4), from(token))).toMatchObject({ status: 401, code: 'ERR_UNAUTHORIZED' });
    expect(await create(grant({ id: 'lost.phone', expires: '2h' }))).toMatchObject({ status: 401 });
    expect(await create(other)).toMatchObject({ status: 201 });
    await withCredentials({ dataDir }, (credentials) => credentials.revokeGrant('lost.phone'));
    expect(await withCredentials({ dataDir }, (credentials) => credentials.list('grant'))).toHaveLength(1);
  });

  it('can be made by a shell command, which prints only the token', async () => {
    const { create, from } = await serve();
    const limits = ['--max-uploads', '1', '--metadata', 'order=4711', '--keep-files-for', '30d', '--max-size', '1 KiB'];
    const ran = await runServerCommand(['grant', 'order-1', '--expires', '14d', ...limits], {
      LANDFALL_GRANT_SECRETS: `${SECRET},${'x'.repeat(32)}`,
    });
    expect(ran).toMatchObject({ code: 0, out: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+\n$/) });
    expect(ran.err).not.toContain(SECRET);
    const token = ran.out.trim();
    const { url } = await create(token, HALF);
    expect((await headUpload(url, from(token))).headers.get('Upload-Metadata')).toContain(`order ${btoa('4711')}`);
    expect(await create(token)).toMatchObject({ code: 'ERR_ACCESS_USED_UP' });
  });
});

describe('a grant’s signature', () => {
  it('counts by either of two secrets', async () => {
    const [old, next] = ['the old one of the two '.repeat(2), 'the new one of the two '.repeat(2)].map((text) => text.trim()) as [
      string,
      string,
    ];
    const { create } = await serve({ grantSecrets: [next, old] });
    for (const secret of [old, next]) {
      expect(await create(createGrant(secret, { owner: 'a', expires: '1h' }))).toMatchObject({ status: 201 });
    }
    expect(await create(grant())).toMatchObject({ status: 401 });
  });

  it('counts by an Ed25519 key whose public half the server has', async () => {
    const [key, other] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')];
    const path = join(testDirectory(), 'grants.pem');
    const pem = key.publicKey.export({ type: 'spki', format: 'pem' }) as string;
    await writeFile(path, pem);
    const { create } = await serve({ grantSecrets: '', grantPublicKeyFiles: path });
    const options: GrantOptions = { owner: 'a', expires: '1h' };
    expect(await create(createGrant(key.privateKey, options))).toMatchObject({ status: 201 });
    expect(await create(createGrant(key.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, options))).toMatchObject({
      status: 201,
    });
    expect(await create(createGrant(other.privateKey, options))).toMatchObject({ status: 401 });
    // A published key is no secret.
    const claims = { jti: '1', exp: now() + 60, landfall: { owner: 'a' } };
    for (const secret of [pem, pem.trim()]) expect(await create(signed(claims, secret))).toMatchObject({ status: 401 });
  });

  it('counts by nothing else, however it is changed', async () => {
    const { create } = await serve();
    const claims = { jti: 'x', exp: now() + 60, landfall: { owner: 'order-1', maxUploads: 1 } };
    const [header = '', payload = '', signature = ''] = signed(claims).split('.');
    const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const changes: object[] = [
      { ...claims, jti: 'y' },
      { ...claims, exp: now() + 61 },
      { ...claims, nbf: 0 },
      { ...claims, landfall: { ...claims.landfall, owner: 'order-2' } },
      { ...claims, landfall: { ...claims.landfall, maxUploads: 2 } },
      { ...claims, landfall: { owner: 'order-1' } },
      { ...claims, sub: 'order-1' },
    ];
    for (const changed of changes)
      expect((await create(`${header}.${encoded(changed)}.${signature}`)).status, JSON.stringify(changed)).toBe(401);
    for (const alg of ['none', 'None', 'HS512', 'RS256', 'EdDSA']) {
      const other = encoded({ alg, typ: 'JWT' });
      expect((await create(`${other}.${payload}.${signature}`)).status, alg).toBe(401);
      expect((await create(`${other}.${payload}.`)).status, alg).toBe(401);
    }
    for (const token of [
      `${header}.${payload}`,
      `${header}.${payload}.`,
      `${header}.${payload}.${signature.slice(0, -2)}`,
      `.${payload}.${signature}`,
    ]) {
      expect((await create(token)).status, token).toBe(401);
    }
    expect(await create(signed(claims, 'another secret of another application'))).toMatchObject({ status: 401 });
    expect(await create(signed(claims))).toMatchObject({ status: 201 });
  });
});

describe('an invalid claim of a grant', () => {
  const right = { jti: 'x', exp: now() + 3600, landfall: { owner: 'order-1' } };
  const WRONG: [object, string][] = [
    [{ ...right, jti: undefined }, 'jti'],
    [{ ...right, jti: 7 }, 'jti'],
    [{ ...right, jti: '' }, 'jti'],
    [{ ...right, jti: 'a b' }, 'jti'],
    [{ ...right, jti: 'x'.repeat(129) }, 'jti'],
    [{ ...right, exp: undefined }, 'exp'],
    [{ ...right, exp: '2099' }, 'exp'],
    [{ ...right, landfall: {} }, 'landfall.owner'],
    [{ ...right, landfall: { owner: '' } }, 'landfall.owner'],
    [{ ...right, landfall: { owner: 'a\0b' } }, 'landfall.owner'],
    [{ ...right, landfall: { owner: 'a', maxUpload: 1 } }, 'maxUpload'],
    [{ ...right, landfall: { owner: 'a', maxUploads: '1' } }, 'landfall.maxUploads'],
    [{ ...right, landfall: { owner: 'a', maxUploads: -1 } }, 'landfall.maxUploads'],
    [{ ...right, landfall: { owner: 'a', maxUploadSize: 'big' } }, 'landfall.maxUploadSize'],
    [{ ...right, landfall: { owner: 'a', allow: 'nothing-of-the-kind' } }, 'landfall.allow'],
    [{ ...right, landfall: { owner: 'a', actions: ['fly'] } }, 'landfall.actions'],
    [{ ...right, landfall: { owner: 'a', metadata: { a: 1 } } }, 'landfall.metadata'],
    [{ ...right, landfall: { owner: 'a', metadata: { 'a b': '1' } } }, 'landfall.metadata'],
    [{ ...right, landfall: { owner: 'a', metadata: { 'a,b': '1' } } }, 'landfall.metadata'],
    [{ ...right, landfall: { owner: 'a', metadata: { 'a\r\nX-Y: z': '1' } } }, 'landfall.metadata'],
    [{ ...right, landfall: { owner: 'a', metadata: { größe: '1' } } }, 'landfall.metadata'],
    [{ ...right, landfall: { owner: 'a', metadata: { a: 'b\nc' } } }, 'landfall.metadata'],
    [{ ...right, landfall: 'order-1' }, 'landfall'],
    [{ ...right, landfall: null }, 'landfall'],
    [{ ...right, nbf: now() + 600 }, 'is not valid yet'],
  ];

  it('is 401, and the answer names the claim', async () => {
    const { create } = await serve();
    for (const [claims, says] of WRONG) {
      const answer = await create(signed(claims));
      expect(answer, JSON.stringify(claims)).toMatchObject({ status: 401, code: 'ERR_UNAUTHORIZED', text: expect.stringContaining(says) });
    }
    expect(await create(signed(right))).toMatchObject({ status: 201 });
  });
});

describe('createGrant', () => {
  it.for([
    [{ owner: '' }, 'owner'],
    [{ expires: 0 }, 'future'],
    [{ expires: 'soon' }, 'soon'],
    [{ expires: new Date(0) }, 'future'],
    [{ expires: new Date('never') }, 'future'],
    [{ id: 'a b' }, 'id'],
    [{ maxUploads: 1.5 }, '1.5'],
    [{ maxUploadSize: 'big' }, 'big'],
    [{ maxBytes: -1 }, '-1'],
    [{ maxUpload: 1 }, 'maxUpload'],
  ] as [Partial<GrantOptions>, string][])('refuses %j', ([options, says]) => {
    expect(() => grant(options)).toThrow(says);
  });

  it('refuses a secret that is too short, and a key of the wrong type', () => {
    const options: GrantOptions = { owner: 'a', expires: '1h' };
    expect(() => createGrant('short', options)).toThrow('32 bytes');
    expect(() => createGrant(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, options)).toThrow('Ed25519');
    expect(() => createGrant(generateKeyPairSync('ed25519').publicKey, options)).toThrow('Ed25519');
  });

  it('imports no installed package', () => {
    const seen = new Set<string>();
    const read = (path: string) => {
      for (const [, specifier = ''] of readFileSync(path, 'utf8').matchAll(/^import .*'([^']+)';$/gm)) {
        if (seen.has(specifier)) continue;
        seen.add(specifier);
        if (specifier.startsWith('.')) read(join(path, '..', specifier));
      }
    };
    read(join(REPOSITORY, 'server/grants.ts'));
    expect([...seen].sort()).toEqual(['../shared/units.ts', 'node:crypto']);
  });
});
