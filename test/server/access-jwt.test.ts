// JWTs of other issuers: every known attack, rotated keys, and an unreachable provider.
import { createHmac, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';
import { exportJWK, SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import type { Intent } from '../../server/access/identity.ts';
import { jwtTokens, PUBLIC_KEY_ALGORITHMS } from '../../server/access/jwt.ts';
import { keysAt } from '../../server/access/jwt-keys.ts';
import type { ConfigInput, LandfallHooks } from '../../server/index.ts';
import { bearer } from '../support/credentials.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { listenForTest } from '../support/listen.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, patchUpload } from '../support/tus-requests.ts';

const SECRET = 'a secret of the application which is long enough';
const ISSUER = 'https://login.example';
const FILE = { length: 4, name: 'a.txt', body: Buffer.from('text') };
const HOUR = 3600;
const now = () => Math.floor(Date.now() / 1000);
const CLAIMS = { sub: 'anna', iss: ISSUER, aud: 'uploads' };

type Claims = Record<string, unknown>;
type Header = { alg: string; [name: string]: unknown };

function sign(claims: Claims, key: Uint8Array | KeyObject, header: Header): Promise<string> {
  return new SignJWT({ exp: now() + HOUR, ...claims }).setProtectedHeader(header).sign(key);
}

function bySecret(claims: Claims, secret = SECRET): Promise<string> {
  return sign(claims, Buffer.from(secret), { alg: 'HS256' });
}

/** A token that no library would make. */
function forged(header: Claims, claims: Claims, signature = ''): string {
  return `${[header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.${signature}`;
}

const RSA = generateKeyPairSync('rsa', { modulusLength: 2048 });
const PEM = RSA.publicKey.export({ type: 'spki', format: 'pem' }) as string;

async function serve(config: ConfigInput, hooks: LandfallHooks = {}) {
  const server = await embedLandfall({ access: 'jwt', jwtIssuer: ISSUER, jwtAudience: 'uploads', ...config }, hooks);
  const create = (token: string) => createUpload(server.files, { ...FILE, headers: bearer(token) });
  return { ...server, create };
}

describe('a token signed with a secret', () => {
  it('names the owner, who finds only its own uploads', async () => {
    const { create } = await serve({ jwtSecret: SECRET });
    const [anna, bert] = [await bySecret(CLAIMS), await bySecret({ ...CLAIMS, sub: 'bert' })];
    const { status, url } = await create(anna);
    expect(status).toBe(201);
    expect(await headUpload(url, bearer(anna))).toMatchObject({ status: 200, offset: 4 });
    expect(await headUpload(url, bearer(await bySecret({ ...CLAIMS, jti: 'another' })))).toMatchObject({ status: 200 });
    expect(await headUpload(url, bearer(bert))).toMatchObject({ status: 404 });
  });

  it('takes the owner from the configured claim', async () => {
    const { create } = await serve({ jwtSecret: SECRET, jwtOwnerClaim: 'email' });
    expect(await create(await bySecret({ ...CLAIMS, email: 'anna@example.com' }))).toMatchObject({ status: 201 });
    const nameless = await create(await bySecret(CLAIMS));
    expect(nameless).toMatchObject({ status: 401, code: 'ERR_UNAUTHORIZED' });
    expect(nameless.text).toContain('email');
  });

  const TRICKS: [string, () => Promise<string>][] = [
    ['of another secret', () => bySecret(CLAIMS, 'another secret of another application')],
    ['for another application', () => bySecret({ ...CLAIMS, aud: 'mail' })],
    ['for nobody', () => bySecret({ sub: 'anna', iss: ISSUER })],
    ['of another issuer', () => bySecret({ ...CLAIMS, iss: 'https://evil.example' })],
    ['that counts only later', () => bySecret({ ...CLAIMS, nbf: now() + HOUR })],
    ['without an end', () => bySecret({ ...CLAIMS, exp: undefined })],
    ['whose end is a word', () => bySecret({ ...CLAIMS, exp: 'never' })],
    ['that names nobody', () => bySecret({ ...CLAIMS, sub: undefined })],
    ['that names the empty owner', () => bySecret({ ...CLAIMS, sub: '' })],
    ['that names a number', () => bySecret({ ...CLAIMS, sub: 7 as unknown as string })],
    ['that names a list', () => bySecret({ ...CLAIMS, sub: ['anna'] as unknown as string })],
    ['that is a grant', () => bySecret({ ...CLAIMS, jti: '1', landfall: { owner: 'anna' } })],
    ['without a signature', async () => forged({ alg: 'none' }, { ...CLAIMS, exp: now() + HOUR })],
    ['of no algorithm, in other words', async () => forged({ alg: 'nOnE' }, { ...CLAIMS, exp: now() + HOUR })],
    ['of no algorithm, with a signature', async () => forged({ alg: 'none' }, { ...CLAIMS, exp: now() + HOUR }, 'AAAA')],
    ['of an algorithm for public keys', () => sign(CLAIMS, RSA.privateKey, { alg: 'RS256' })],
    ['with its own key', async () => sign(CLAIMS, RSA.privateKey, { alg: 'RS256', jwk: await exportJWK(RSA.publicKey) })],
    [
      'with an extension that must be understood',
      async () => {
        const signed = forged({ alg: 'HS256', crit: ['x'], x: 1 }, { ...CLAIMS, exp: now() + HOUR }).slice(0, -1);
        return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
      },
    ],
    [
      'whose claims are a list',
      async () => {
        const signed = `${Buffer.from('{"alg":"HS256"}').toString('base64url')}.${Buffer.from('["anna"]').toString('base64url')}`;
        return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
      },
    ],
    ['whose signature is cut', async () => (await bySecret(CLAIMS)).slice(0, -4)],
    ['that is encrypted', async () => 'eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAA.AAAA.AAAA'],
  ];
  it('is 401 for every defect', async () => {
    const { create, files } = await serve({ jwtSecret: SECRET, trustedProxies: '127.0.0.1' });
    for (const [index, [what, make]] of TRICKS.entries()) {
      const headers = { ...bearer(await make()), 'X-Forwarded-For': `192.0.2.${index}` };
      expect(await createUpload(files, { ...FILE, headers }), what).toMatchObject({ status: 401, code: 'ERR_UNAUTHORIZED' });
    }
    expect(await create(await bySecret(CLAIMS))).toMatchObject({ status: 201 });
  });

  it('is 401 when any one character is changed', async () => {
    const { create, files } = await serve({ jwtSecret: SECRET, trustedProxies: '127.0.0.1' });
    const token = await bySecret(CLAIMS);
    // The last character of a signature has bits that are ignored.
    for (let at = 0; at < token.length - 1; at += 17) {
      const changed = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`;
      const headers = { ...bearer(changed), 'X-Forwarded-For': `192.0.2.${at % 250}` };
      expect((await createUpload(files, { ...FILE, headers })).status, changed).toBe(401);
    }
    expect(await create(token)).toMatchObject({ status: 201 });
  });

  it('that has expired is answered 401 with that reason, and a sender renews it', async () => {
    const { create } = await serve({ jwtSecret: SECRET });
    const { url } = await create(await bySecret(CLAIMS));
    const ended = await bySecret({ ...CLAIMS, exp: now() - HOUR });
    expect(await create(ended)).toMatchObject({ status: 401, code: 'ERR_ACCESS_EXPIRED' });
    expect(await headUpload(url, bearer(ended))).toMatchObject({ status: 401 });
    expect(await create(await bySecret({ ...CLAIMS, exp: now() - HOUR }, 'another secret of another application'))).toMatchObject({
      code: 'ERR_UNAUTHORIZED',
    });
  });

  it('of another issuer is judged by the application that embeds the server', async () => {
    const { create } = await serve(
      { jwtSecret: SECRET },
      { authenticate: ({ headers }) => (headers.authorization?.includes('.') ? 'app' : null) },
    );
    expect(await create(await bySecret({ ...CLAIMS, iss: 'https://app.example' }))).toMatchObject({ status: 201 });
    expect(await create(await bySecret(CLAIMS, 'another secret of another application'))).toMatchObject({ status: 401 });
  });
});

describe('a token signed with a private key', () => {
  async function keyFile(...pems: string[]): Promise<string> {
    const path = join(testDirectory(), 'keys.pem');
    await writeFile(path, pems.join('\n'));
    return path;
  }

  it('counts by each key in the file, and by no removed key', async () => {
    const [second, third] = [generateKeyPairSync('rsa', { modulusLength: 2048 }), generateKeyPairSync('ed25519')];
    const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }) as string;
    const path = await keyFile(PEM, pem(second.publicKey), pem(third.publicKey));
    const { create } = await serve({ jwtPublicKeyFile: path });
    const tokens = [
      await sign(CLAIMS, RSA.privateKey, { alg: 'RS256' }),
      await sign(CLAIMS, second.privateKey, { alg: 'PS512' }),
      await sign(CLAIMS, third.privateKey, { alg: 'EdDSA' }),
    ];
    for (const token of tokens) expect(await create(token)).toMatchObject({ status: 201 });
    await writeFile(path, pem(second.publicKey));
    await expect.poll(async () => (await create(tokens[0] ?? '')).status).toBe(401);
    expect(await create(tokens[1] ?? '')).toMatchObject({ status: 201 });
  });

  it.for(['HS256', 'HS384', 'HS512'])('is not verified with the public key as a secret: %s', async (alg) => {
    const { create } = await serve({ jwtPublicKeyFile: await keyFile(PEM) });
    for (const secret of [PEM, PEM.trim(), RSA.publicKey.export({ type: 'spki', format: 'der' }).toString('latin1')]) {
      const signed = forged({ alg }, { ...CLAIMS, exp: now() + HOUR }).slice(0, -1);
      const signature = createHmac(alg.replace('HS', 'sha'), secret).update(signed).digest('base64url');
      expect(await create(`${signed}.${signature}`)).toMatchObject({ status: 401 });
    }
  });

  it('makes the server refuse to start with a private key, with no key, or with something else', async () => {
    const privatePem = RSA.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    for (const [text, says] of [
      [privatePem, 'private key'],
      ['hello', 'no public key'],
      ['-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----', 'cannot be read'],
    ] as const) {
      await expect(serve({ jwtPublicKeyFile: await keyFile(text) })).rejects.toThrow(says);
    }
    await expect(serve({ jwtPublicKeyFile: '/nowhere/keys.pem' })).rejects.toThrow('LANDFALL_JWT_PUBLIC_KEY_FILE');
  });
});

describe('the settings', () => {
  it.for([
    [{ access: 'jwt' }, 'For jwt set one of'],
    [{ access: 'jwt', jwtSecret: SECRET, jwtPublicKeyFile: 'x' }, 'For jwt set one of'],
    [{ access: 'jwt', jwtJwksUrl: 'https://login.example/keys' }, 'LANDFALL_JWT_ISSUER'],
    [{ jwtSecret: SECRET }, 'Add jwt'],
    [{ access: 'keys', jwtAudience: 'uploads' }, 'Add jwt'],
    [{ access: 'grants' }, 'For grants set'],
    [{ grantSecrets: SECRET }, 'Add grants'],
    [{ access: 'anonymous', grantPublicKeyFiles: 'x' }, 'Add grants'],
  ] as [ConfigInput, string][])('%j do not start: %s', async ([config, says]) => {
    await expect(embedLandfall(config)).rejects.toThrow(says);
  });
});

/** A provider whose answers for its key set the test chooses. */
async function provider() {
  let asked = 0;
  let answer: RequestListener = (_request, response) => response.writeHead(503).end();
  const server = createServer((request, response) => {
    asked += 1;
    answer(request, response);
  });
  const url = await listenForTest(server);
  return {
    url: `${url}/keys`,
    asked: () => asked,
    answers(next: RequestListener) {
      answer = next;
    },
    async publishes(...keys: { publicKey: KeyObject; kid: string }[]) {
      const jwks = { keys: await Promise.all(keys.map(async ({ publicKey, kid }) => ({ ...(await exportJWK(publicKey)), kid }))) };
      answer = (_request, response) => response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(jwks));
    },
  };
}

function pair(kid: string) {
  return { ...generateKeyPairSync('ec', { namedCurve: 'P-256' }), kid };
}

const byKey = ({ privateKey, kid }: ReturnType<typeof pair>, claims: Claims = CLAIMS) => sign(claims, privateKey, { alg: 'ES256', kid });

describe('a token signed with a provider’s key', () => {
  it('counts even when the key is newer than the server’s start', async () => {
    const [first, second] = [pair('1'), pair('2')];
    const keys = await provider();
    await keys.publishes(first);
    const { create } = await serve({ jwtJwksUrl: keys.url });
    const token = await byKey(first);
    expect(await create(token)).toMatchObject({ status: 201 });
    expect(await create(token)).toMatchObject({ status: 201 });
    expect(keys.asked()).toBe(1);
    await keys.publishes(first, second);
    await expect.poll(async () => (await create(await byKey(second))).status).toBe(201);
    // Invented key names do not make the server ask the provider each time.
    const asked = keys.asked();
    const answers = [];
    for (let n = 0; n < 10; n++) answers.push((await create(await byKey({ ...second, kid: `x${n}` }))).status);
    expect(answers.filter((status) => status !== 401 && status !== 503)).toEqual([]);
    expect(keys.asked() - asked).toBeLessThan(10);
    await expect.poll(async () => (await create(await byKey({ ...second, kid: 'x' }))).status).toBe(401);
  });

  it.for([
    ['is away', (_request, response) => response.writeHead(500).end()],
    ['sends away', (_request, response) => response.writeHead(302, { Location: 'http://127.0.0.1:9/keys' }).end()],
    ['answers nonsense', (_request, response) => response.writeHead(200).end('<html>')],
    ['has no keys', (_request, response) => response.writeHead(200).end('{"keys":[]}')],
    ['answers 5 MB', (_request, response) => response.writeHead(200).end(Buffer.alloc(5_000_000, ' '))],
    // Each request waits for its timeout of 5 s.
    ...(process.env.LANDFALL_TEST_LONG === '1' ? [['hangs', () => undefined]] : []),
  ] as [string, RequestListener][])('that %s is 503, 423 to HEAD, and no reason to let anybody in', async ([, answer]) => {
    const keys = await provider();
    const only = pair('1');
    keys.answers(answer);
    const { create, files } = await serve({ jwtJwksUrl: keys.url });
    expect(await create(await byKey(only))).toMatchObject({ status: 503, code: 'ERR_ACCESS_UNAVAILABLE' });
    const address = `${files}/${randomBytes(16).toString('hex')}`;
    expect(await headUpload(address, bearer(await byKey(only)))).toMatchObject({ status: 423 });
    expect(await patchUpload(address, 0, 'x', bearer(await byKey(only)))).toMatchObject({ status: 503 });
  });

  it('counts by the keys read last while the provider is away, for as long as the server trusts those', async () => {
    const only = pair('1');
    const keys = await provider();
    await keys.publishes(only);
    const times = { refreshMs: 0, pauseMs: 0, maxAgeMs: 3_600_000 };
    const kindWith = (maxAgeMs: number) =>
      jwtTokens({
        keys: keysAt(keys.url, { ...times, maxAgeMs }),
        algorithms: PUBLIC_KEY_ALGORITHMS,
        issuer: ISSUER,
        audiences: [],
        ownerClaim: 'sub',
      });
    const [believing, doubting] = [kindWith(times.maxAgeMs), kindWith(0)];
    const ask = async (kind: typeof believing, text: string) => kind.identify({ text, digest: text }, 'create' satisfies Intent);
    const token = await byKey(only);
    expect(await ask(believing, token)).toMatchObject({ owner: 'anna' });
    expect(await ask(doubting, token)).toMatchObject({ owner: 'anna' });
    keys.answers((_request, response) => response.writeHead(503).end());
    for (let n = 0; n < 3; n++) {
      expect(await ask(believing, token)).toMatchObject({ owner: 'anna' });
      expect(await ask(believing, await byKey(only, { ...CLAIMS, jti: String(n) }))).toMatchObject({ owner: 'anna' });
    }
    await expect(ask(doubting, token)).rejects.toMatchObject({ code: 'ERR_ACCESS_UNAVAILABLE' });
    // While the provider is away, the server can't tell whether an unknown key exists.
    await expect(ask(believing, await byKey(pair('2')))).rejects.toMatchObject({ code: 'ERR_ACCESS_UNAVAILABLE' });
    await keys.publishes(only);
    expect(await ask(doubting, token)).toMatchObject({ owner: 'anna' });
  });

  it('no longer counts once its key is removed', async () => {
    const [first, second] = [pair('1'), pair('2')];
    const keys = await provider();
    await keys.publishes(first, second);
    const source = keysAt(keys.url, { refreshMs: 0, pauseMs: 0, maxAgeMs: 3_600_000 });
    const kind = jwtTokens({ keys: source, algorithms: PUBLIC_KEY_ALGORITHMS, issuer: ISSUER, audiences: [], ownerClaim: 'sub' });
    const token = await byKey(first);
    expect(await kind.identify({ text: token, digest: token }, 'create')).toMatchObject({ owner: 'anna' });
    await keys.publishes(second);
    await expect.poll(() => kind.identify({ text: token, digest: token }, 'create')).toBe(null);
  });
});
