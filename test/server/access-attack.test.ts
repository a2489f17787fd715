// An attacker who has a right of each kind, and wants what is another's. What he gets is counted: it must be nothing.
import { createHmac, randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createGrant, type GrantOptions } from '../../server/grants.ts';
import type { ConfigInput, LandfallHooks } from '../../server/index.ts';
import type { Action } from '../../server/ledger/limits.ts';
import { says, startAccessApplication } from '../support/access-application.ts';
import { bearer, giveKey, withCredentials } from '../support/credentials.ts';
import { type EmbeddedLandfall, embedLandfall } from '../support/landfall-embedded.ts';
import { giveLink } from '../support/links.ts';
import { head, rawRequest } from '../support/raw-http.ts';
import { createUpload, type ExtraHeaders, headUpload, idOf, patchUpload, readRecord, terminateUpload } from '../support/tus-requests.ts';

const SECRET = 'a secret that signs grants and nothing else';
const JWT_SECRET = 'a secret of the identity provider of this test';
const TEXT = Buffer.from('0123456789');
const HALF = TEXT.subarray(0, 4);
const FILE = { length: TEXT.length, name: 'a.txt' };
const NOTHING = '0'.repeat(32);
const seconds = () => Math.floor(Date.now() / 1000);

function signed(claims: object, secret: string, header: object = { alg: 'HS256', typ: 'JWT' }): string {
  const text = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

const jwt = (sub: string, claims: object = {}) => signed({ sub, exp: seconds() + 3600, ...claims }, JWT_SECRET);
const grant = (owner: string, options: Partial<GrantOptions> = {}) => createGrant(SECRET, { owner, expires: '1h', ...options });

let addresses = 0;
/** From an address of its own, so that no guess is refused for those before it. */
const fromElsewhere = () => ({ 'X-Forwarded-For': `2001:db8:${(++addresses).toString(16)}::1` });

/** Somebody with a right. */
interface Sender {
  name: string;
  owner: string;
  /** What alone it reaches, of its owner's; undefined: all of them. */
  confinedTo?: string;
  headers: ExtraHeaders;
}

interface Bed extends EmbeddedLandfall {
  senders: Sender[];
  /** Of those, who are in no other bed. */
  others: Sender[];
  /** Whose right is none, or is over. */
  strangers: Sender[];
}

const PROXIED = { trustedProxies: '127.0.0.1', jwtSecret: JWT_SECRET, grantSecrets: SECRET };

/** Everybody who can be given out a right by the server itself, among them several of one owner. */
async function withSenders(config: ConfigInput, hooks: LandfallHooks, others: Sender[]): Promise<Bed> {
  const server = await embedLandfall({ ...PROXIED, ...config }, hooks);
  const all = { limits: { actions: ['create', 'download', 'terminate'] as const } };
  const [first, second, own] = [
    await giveLink(server.dataDir, { owner: 'anna', ...all }),
    await giveLink(server.dataDir, { owner: 'anna', ...all }),
    await giveLink(server.dataDir, all),
  ];
  const removed = await giveKey(server);
  const withdrawn = await giveLink(server.dataDir, { owner: 'anna', ...all });
  await withCredentials(server, async (credentials) => {
    await credentials.remove(removed.id);
    await credentials.revokeGrant('revoked');
  });
  await withdrawn.withdraw();
  const ended = await giveKey(server, { endsAt: Date.now() - 1 });
  const of = (owner: string, name: string, token: string, confinedTo?: string): Sender => ({
    name,
    owner,
    headers: bearer(token),
    ...(confinedTo !== undefined && { confinedTo }),
  });
  return {
    ...server,
    senders: [
      of('anna', 'key', (await giveKey(server)).token),
      of('bert', 'key of another', (await giveKey(server, { owner: 'bert' })).token),
      of('anna', 'link', first.token, first.id),
      of('anna', 'link of the same owner', second.token, second.id),
      of(own.id, 'link of nobody', own.token, own.id),
      of('anna', 'grant', grant('anna', { id: 'one' }), 'grant:one'),
      of('anna', 'grant of the same owner', grant('anna', { id: 'two' }), 'grant:two'),
      // By its count it is the first, and it is another owner's.
      of('dora', 'grant of another under the same id', grant('dora', { id: 'one' }), 'grant:one'),
      of('carl', 'JWT', jwt('carl')),
      ...others,
    ],
    others,
    strangers: [
      of('anna', 'removed key', removed.token),
      of('anna', 'ended key', ended.token),
      of('anna', 'withdrawn link', withdrawn.token),
      of('anna', 'revoked grant', grant('anna', { id: 'revoked' })),
      of('anna', 'ended grant', signed({ jti: 'one', exp: seconds() - 400 * 86_400, landfall: { owner: 'anna' } }, SECRET)),
      of('anna', 'ended JWT', jwt('anna', { exp: seconds() - 60 })),
      of('anna', 'forged JWT', signed({ sub: 'anna', exp: seconds() + 60 }, 'a secret that the attacker made up himself')),
    ],
  };
}

/** Those who are known by other means than what the server gives out, beside those. */
const BEDS: Record<string, () => Promise<Bed>> = {
  'anonymous senders': () =>
    withSenders({ access: ['keys', 'links', 'jwt', 'grants', 'anonymous'] }, {}, [{ name: 'anonymous', owner: '', headers: {} }]),
  'an application that is asked': async () => {
    const application = await startAccessApplication();
    application.decide(({ question: { intent, sender } }, response) => {
      if (intent === 'finish') return response.writeHead(204).end();
      const [, owner] = /^user=(\w+)$/.exec(sender?.cookie ?? '') ?? [];
      return owner === undefined
        ? says(response, { detail: 'Nobody.' }, {}, 401)
        : says(response, { owner }, { 'Cache-Control': 'max-age=60' });
    });
    return withSenders({ access: ['keys', 'links', 'jwt', 'grants', 'url'], accessUrl: application.url }, {}, [
      { name: 'by its application', owner: 'emil', headers: { Cookie: 'user=emil' } },
      { name: 'another by its application', owner: 'fred', headers: { Cookie: 'user=fred' } },
    ]);
  },
  'an application that embeds it': () =>
    withSenders({ access: ['keys', 'links', 'jwt', 'grants'] }, { authenticate: ({ headers }) => headers['x-user']?.toString() ?? null }, [
      { name: 'embedded', owner: 'gina', headers: { 'X-User': 'gina' } },
      { name: 'another embedded', owner: 'hugo', headers: { 'X-User': 'hugo' } },
    ]),
};

const [FIRST_BED] = Object.keys(BEDS);

const mayReach = (sender: Sender, victim: Sender) =>
  sender.owner === victim.owner && (sender.confinedTo === undefined || sender.confinedTo === victim.confinedTo);

interface Attack {
  method: string;
  /** Behind the id. */
  rest?: string;
  door?: string;
  headers?: ExtraHeaders;
  body?: Buffer<ArrayBuffer>;
}

const TUS = { 'Tus-Resumable': '1.0.0' };
const APPEND = { ...TUS, 'Upload-Offset': '4', 'Content-Type': 'application/offset+octet-stream' };
const REST = TEXT.subarray(4);
const overridden = (method: string, headers: ExtraHeaders = TUS) => ({
  method: 'POST',
  headers: { ...headers, 'X-HTTP-Method-Override': method },
});

const ATTACKS: Attack[] = [
  { method: 'HEAD', headers: TUS },
  { method: 'HEAD' },
  { method: 'GET' },
  { method: 'GET', headers: { Range: 'bytes=0-1' } },
  { method: 'GET', headers: { 'If-None-Match': '*' } },
  { method: 'PATCH', headers: APPEND, body: REST },
  { method: 'PATCH', headers: { ...APPEND, 'Upload-Offset': '5' }, body: REST },
  { method: 'PATCH', headers: { ...APPEND, 'Upload-Offset': '9' }, body: TEXT.subarray(9) },
  { method: 'PATCH', headers: { ...APPEND, 'Upload-Length': '11' }, body: REST },
  { method: 'DELETE', headers: TUS },
  { ...overridden('PATCH', APPEND), body: REST },
  { ...overridden('patch', APPEND), body: REST },
  overridden('DELETE'),
  overridden('HEAD'),
  overridden('GET', {}),
  { method: 'GET', rest: '/status' },
  { method: 'HEAD', rest: '/status' },
  { method: 'GET', rest: '/status?wait=1' },
  { method: 'GET', rest: '/status?wait=x' },
  { method: 'DELETE', rest: '/status', headers: TUS },
  { method: 'PATCH', rest: '?offset=4', headers: APPEND, body: REST },
  { method: 'GET', rest: '/' },
  { method: 'GET', door: 'get-upload-url' },
  { method: 'POST', door: 'get-upload-url' },
];

/** All of an answer that may not differ between what is another's and what is not there. */
async function answerTo(url: string, id: string, { method, rest = '', door = 'files', headers, body }: Attack, shown: ExtraHeaders) {
  const answer = await fetch(`${url}/${door}/${id}${rest}`, {
    method,
    headers: { ...fromElsewhere(), ...headers, ...shown },
    redirect: 'manual',
    ...(body && { body }),
  });
  const text = (await answer.text()).replaceAll(id, 'ID');
  const told = [...answer.headers].filter(([name]) => !['date', 'x-request-id', 'connection', 'keep-alive'].includes(name));
  return { status: answer.status, text, headers: told };
}

describe.each(Object.keys(BEDS))('beside %s', (name) => {
  it('each sender at each door of what is another’s finds what he finds where nothing is', async () => {
    const bed = await (BEDS[name] as () => Promise<Bed>)();
    const { url, files, landfall } = bed;
    const victims = await Promise.all(
      bed.senders.map(async (sender) => {
        const { headers } = sender;
        const unfinished = await createUpload(files, { ...FILE, body: HALF, headers });
        const whole = await createUpload(files, { ...FILE, body: TEXT, headers });
        expect([unfinished.status, whole.status], sender.name).toEqual([201, 201]);
        await expect.poll(async () => (await readRecord(whole.url, headers)).state).toBe('accepted');
        return { sender, unfinished, whole, query: `?${(await landfall.downloadUrl(idOf(whole.url))).split('?')[1]}` };
      }),
    );
    const leaks: string[] = [];
    let tried = 0;
    const attackers = [...bed.senders, ...bed.strangers];
    // The others had their turn at one another in the first bed.
    const isNewHere = (sender: Sender) => bed.others.includes(sender) || name === FIRST_BED;
    await Promise.all(
      attackers.map(async (attacker) => {
        const isStranger = bed.strangers.includes(attacker);
        const own = victims.find(({ sender }) => sender === attacker);
        // An address that was signed for another file of his, or of somebody’s.
        const query = own?.query ?? victims[0]?.query ?? '';
        for (const attack of [...ATTACKS, { method: 'GET', rest: query }, { method: 'GET', rest: `/status${query}` }]) {
          const expected = await answerTo(url, NOTHING, attack, attacker.headers);
          const label = `${attacker.name}: ${JSON.stringify(attack)}`;
          if (expected.status < 400 || expected.status >= 500) leaks.push(`${label} is answered ${expected.status} where nothing is`);
          const isSigned = attack.rest?.startsWith('?expires') === true;
          const isPublic = isSigned || attack.door === 'get-upload-url' || attack.rest === '/';
          if (isStranger && !isPublic && expected.status !== 401) leaks.push(`${label} is not 401 but ${expected.status}`);
          for (const { sender, unfinished, whole, query: good } of victims) {
            if (!isStranger && mayReach(attacker, sender)) continue;
            if (![attacker, sender].some(isNewHere)) continue;
            for (const target of [unfinished, whole]) {
              if (isSigned && target === whole && good === query) continue;
              const got = await answerTo(url, idOf(target.url), attack, attacker.headers);
              tried++;
              if (JSON.stringify(got) === JSON.stringify(expected)) continue;
              leaks.push(`${label} at what is of ${sender.name}: ${JSON.stringify([got, expected])}`);
            }
          }
        }
      }),
    );
    for (const { sender, unfinished, whole } of victims) {
      const { headers } = sender;
      const { offset } = await headUpload(unfinished.url, headers);
      if (offset !== 4) leaks.push(`what ${sender.name} had begun stands at ${offset}`);
      if ((await (await fetch(whole.url, { headers })).text()) !== String(TEXT)) leaks.push(`the file of ${sender.name} is another`);
      const ended = await patchUpload(unfinished.url, 4, REST, headers);
      if (ended.status !== 204) leaks.push(`${sender.name} can’t go on: ${ended.status}`);
    }
    console.info(`${name}: ${tried} attempts of ${attackers.length} senders, ${leaks.length} leaks`);
    expect(leaks).toEqual([]);
    expect(tried).toBeGreaterThan(2000);
  });

  it('an idempotency key of another’s stands for nothing', async () => {
    const { files, senders, strangers } = await (BEDS[name] as () => Promise<Bed>)();
    const leaks: string[] = [];
    let tried = 0;
    const key = { 'Idempotency-Key': randomUUID() };
    const first = new Map<Sender, string>();
    for (const sender of senders) {
      // The same creation as all the others made under that key, and then one that is not.
      const earlier = [...first].filter(([other]) => !mayReach(sender, other) || sender.confinedTo !== other.confinedTo);
      const reached = [...first].filter(([other]) => !earlier.some(([one]) => one === other));
      const made = await createUpload(files, { ...FILE, headers: { ...key, ...sender.headers } });
      tried += earlier.length;
      if (made.status !== 201 || earlier.some(([, url]) => url === made.url)) leaks.push(`${sender.name}: ${made.status} ${made.url}`);
      if (reached.length === 0) {
        if (made.offset !== undefined && made.offset !== 0) leaks.push(`${sender.name} is told an offset: ${made.offset}`);
        await patchUpload(made.url, 0, HALF, sender.headers);
      }
      const again = await createUpload(files, { ...FILE, headers: { ...key, ...sender.headers } });
      if (again.url !== made.url || again.offset !== 4) leaks.push(`${sender.name} does not get his own: ${again.status} ${again.offset}`);
      first.set(sender, made.url);
    }
    for (const { name: stranger, headers } of strangers) {
      const made = await createUpload(files, { ...FILE, headers: { ...key, ...fromElsewhere(), ...headers } });
      tried++;
      if (made.status !== 401 || made.url !== '') leaks.push(`${stranger}: ${made.status}`);
    }
    const other = { 'Idempotency-Key': randomUUID() };
    for (const [index, sender] of senders.entries()) {
      if (senders.slice(0, index).some((earlier) => earlier.owner === sender.owner && earlier.confinedTo === sender.confinedTo)) continue;
      const made = await createUpload(files, { length: 20 + index, headers: { ...other, ...sender.headers } });
      tried++;
      if (made.status !== 201) leaks.push(`${sender.name} learns that the key is another’s: ${made.status}`);
    }
    console.info(`${name}: ${tried} keys of others, ${leaks.length} leaks`);
    expect(leaks).toEqual([]);
  });
});

describe('what is shown', () => {
  it('in the wrong place, or in no place, is 401 at each door, and nobody’s', async () => {
    const server = await embedLandfall({ access: ['keys', 'links', 'jwt', 'grants', 'anonymous'], ...PROXIED }, { isStandalone: true });
    const { url, files } = server;
    const [key, link] = [(await giveKey(server)).token, (await giveLink(server.dataDir)).token];
    const claims = { jti: 'a', exp: seconds() + 60, landfall: { owner: 'anna' } };
    const wrong = [
      // Of one kind under the name of another.
      `Bearer lfl_${key.slice(3)}`,
      `Bearer lf_${link.slice(4)}`,
      `Bearer ${key}.${key}.${key}`,
      `Bearer ${link}=`,
      `Bearer lf_${jwt('anna')}`,
      // A grant signed by the provider, a JWT signed by the maker of grants, one with the claim of a grant in its header.
      `Bearer ${signed(claims, JWT_SECRET)}`,
      `Bearer ${signed({ sub: 'anna', exp: seconds() + 60 }, SECRET)}`,
      `Bearer ${signed({ sub: 'anna', exp: seconds() + 60 }, SECRET, { alg: 'HS256', landfall: { owner: 'anna' } })}`,
      `Bearer ${signed({ ...claims, sub: 'anna' }, JWT_SECRET)}`,
      `Bearer ${signed({ ...claims, landfall: null, sub: 'anna' }, JWT_SECRET)}`,
      // As no scheme has it.
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
    // The form of a link takes links alone, whatever stands beside.
    for (const token of [key, jwt('anna'), grant('anna'), '', `lfl_${key.slice(3)}`]) {
      const form = new FormData();
      form.append('link', token);
      form.append('file', new Blob([TEXT]), 'a.txt');
      const headers = { ...bearer(key), ...fromElsewhere(), Accept: 'application/json' };
      const { status } = await fetch(`${url}/link/upload`, { method: 'POST', body: form, headers });
      tried++;
      if (status !== 401) leaks.push(`${token} in the form of a link: ${status}`);
    }
    // Two of them: the second never counts instead, nor does a false one become nobody.
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
    // In an address: it is looked at by nobody.
    const mine = await createUpload(files, { ...FILE, body: TEXT, headers: bearer(key) });
    for (const query of [`access_token=${key}`, `token=${key}`, `authorization=Bearer%20${key}`, `link=${link}`]) {
      const { status } = await fetch(`${mine.url}?${query}`);
      tried++;
      if (status !== 404) leaks.push(`${query}: ${status}`);
    }
    console.info(`${tried} ways to show a right, ${leaks.length} leaks`);
    expect(leaks).toEqual([]);
  });

  it('on a server that is mounted at /link is not looked for in forms', async () => {
    const server = await embedLandfall({}, { mountPath: '/link', authenticate: () => 'anna' });
    const form = new FormData();
    form.append('file', new Blob([TEXT]), 'a.txt');
    expect((await fetch(`${server.url}/link/upload`, { method: 'POST', body: form })).status).toBe(201);
    expect((await fetch(`${server.url}/link/link/upload`, { method: 'POST', body: form })).status).toBe(401);
  });
});

describe('a right that ended', () => {
  it('gives no address to download by, and those that it gave end with it', async () => {
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

describe('what a right allows', () => {
  const ACTIONS: readonly Action[] = ['create', 'download', 'terminate'];

  it('is all that it allows, also of its own owner’s uploads', async () => {
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

  it('is never more for what is odd in it', async () => {
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
      if (status !== 401 || code !== 'ERR_UNAUTHORIZED' || !answer.includes('The grant can not be read'))
        leaks.push(`${claim}: ${status} ${answer}`);
    }
    console.info(`${claims.length} grants with something odd in them, ${leaks.length} leaks`);
    expect(leaks).toEqual([]);
  });

  it('stands in the metadata whatever the sender says, and whoever reads it', async () => {
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

/** Names that something may take for one another, or for more than a name. */
const OWNERS = [
  ...['anna', 'Anna', 'ANNA', 'anna ', ' anna', 'anna.', 'a%6ena', 'ａnna', 'аnna', 'anna\u200b', '\u00e9', 'e\u0301', 'ß', 'ss', 'ı', 'i'],
  ...['owner:anna', 'address:192.0.2.1', 'address:', 'key:anna', 'url:anna', 'application:anna', 'grant:one', 'volume', 'owner:', ':'],
  ...['%', '_', '%%', '*', "'", "''", '"', '`', '\\', '\\0', "' or 1=1 --", '"; drop table uploads; --', '$1', '?', '{}', '[]', 'null'],
  ...['__proto__', 'constructor', 'toString', '../anna', '/', '👩‍👩‍👧', '\u202eanna', '0', '-0', 'NaN', 'x'.repeat(255), 'é'.repeat(255)],
];

describe('owners with every odd name', () => {
  it('have what is their own, and count by themselves', async () => {
    const application = await startAccessApplication();
    application.decide(({ question: { sender, upload } }, response) => {
      const owner = Buffer.from(sender?.cookie ?? '', 'hex').toString();
      if (upload.id === undefined) says(response, { owner, maxUploads: 2 });
      else says(response, { owner });
    });
    const server = await embedLandfall({
      access: ['jwt', 'grants', 'url', 'anonymous'],
      accessUrl: application.url,
      ownerMaxUploads: 3,
      anonymousMaxUploads: 2,
      ...PROXIED,
    });
    const { files } = server;
    const leaks: string[] = [];
    let tried = 0;
    const made = await Promise.all(
      OWNERS.map(async (owner, index) => {
        const shown: ExtraHeaders[] = [
          bearer(jwt(owner)),
          bearer(grant(owner, { id: `odd.${index}`, maxUploads: 1 })),
          { Cookie: Buffer.from(owner).toString('hex') },
        ];
        const uploads = [];
        // One by each way of being known; then there are three.
        for (const headers of shown) {
          const { status, url } = await createUpload(files, { ...FILE, headers });
          uploads.push({ shown: headers, status, url });
        }
        for (const headers of shown) {
          const { code } = await createUpload(files, { ...FILE, headers });
          tried++;
          if (code !== 'ERR_TOO_MANY_UPLOADS' && code !== 'ERR_ACCESS_USED_UP') leaks.push(`${owner} has a fourth: ${code}`);
        }
        return { owner, uploads };
      }),
    );
    for (const { owner, uploads } of made) {
      const statuses = uploads.map(({ status }) => status);
      if (String(statuses) !== '201,201,201') leaks.push(`${JSON.stringify(owner)} counts with another: ${statuses}`);
    }
    await Promise.all(
      made.map(async ({ owner, uploads }, index) => {
        const [own, others] = [uploads[0]?.shown ?? {}, made.filter((_other, at) => at !== index)];
        for (const { url } of uploads) {
          const { status } = await headUpload(url, own);
          tried++;
          if (status !== 200) leaks.push(`${JSON.stringify(owner)} has not what is his own: ${status}`);
        }
        for (const { owner: other, uploads: theirs } of others) {
          const at = index % 3;
          const { status } = await headUpload(theirs[at]?.url ?? '', uploads[(index + at) % 3]?.shown);
          tried++;
          if (status !== 404) leaks.push(`${JSON.stringify(owner)} finds what is of ${JSON.stringify(other)}: ${status}`);
        }
      }),
    );
    // Whoever calls himself like an address counts neither with it nor in its place.
    const from = { 'X-Forwarded-For': '192.0.2.1' };
    const anonymous = [];
    for (let n = 0; n < 3; n++) anonymous.push((await createUpload(files, { ...FILE, headers: from })).status);
    if (String(anonymous) !== '201,201,429') leaks.push(`the address counts with an owner: ${anonymous}`);
    console.info(`${OWNERS.length} owners, ${tried} attempts, ${leaks.length} leaks`);
    expect(leaks).toEqual([]);
  });
});

describe('a fault of what decides', () => {
  it('is never 5xx to HEAD, at any address', async () => {
    const application = await startAccessApplication();
    application.decide((_asked, response) => response.writeHead(500).end());
    const asking = await embedLandfall({ access: 'url', accessUrl: application.url });
    const embedded = await embedLandfall(
      {},
      {
        authenticate: () => {
          throw new Error('away');
        },
      },
    );
    const leaks: string[] = [];
    for (const { url } of [asking, embedded]) {
      for (const path of [
        `files/${NOTHING}`,
        `files/${NOTHING}/status`,
        `files/${NOTHING}?wait=1`,
        'files',
        'config',
        'upload',
        'link/upload',
      ]) {
        for (const headers of [TUS, {}]) {
          const direct = await fetch(`${url}/${path}`, { method: 'HEAD', headers });
          const override = await fetch(`${url}/${path}`, { method: 'POST', headers: { ...headers, 'X-HTTP-Method-Override': 'HEAD' } });
          for (const { status } of [direct, override]) if (status >= 500) leaks.push(`${path}: ${status}`);
        }
      }
    }
    expect(leaks).toEqual([]);
  });
});
