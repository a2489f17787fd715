// An attacker with a right of each kind asks for other owners' uploads. The test counts what he gets: it must be nothing.
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { ConfigInput, LandfallHooks } from '../../server/index.ts';
import { says, startAccessApplication } from '../support/access-application.ts';
import { bearer, giveKey, withCredentials } from '../support/credentials.ts';
import { type EmbeddedLandfall, embedLandfall } from '../support/landfall-embedded.ts';
import { giveLink } from '../support/links.ts';
import { fromElsewhere, grant, jwt, PROXIED, SECRET, seconds, signed, TEXT } from '../support/rights.ts';
import { createUpload, type ExtraHeaders, headUpload, idOf, patchUpload, readRecord } from '../support/tus-requests.ts';

const HALF = TEXT.subarray(0, 4);
const FILE = { length: TEXT.length, name: 'a.txt' };
const NOTHING = '0'.repeat(32);

/** A sender with a right. */
interface Sender {
  name: string;
  owner: string;
  /** The only uploads of its owner that it reaches; undefined: all of them. */
  confinedTo?: string;
  headers: ExtraHeaders;
}

interface Bed extends EmbeddedLandfall {
  senders: Sender[];
  /** Senders that exist in no other bed. */
  others: Sender[];
  /** Senders without a right, or with an expired one. */
  strangers: Sender[];
}

/** One sender for each right that the server itself gives out, among them several of one owner. */
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
      // Has the id of the first grant, but another owner.
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

/** Senders with rights that the server itself does not give out, beside those. */
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
  /** The path after the id. */
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

/** All parts of an answer that must be equal for another owner's upload and for a missing one. */
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
  it('a sender that asks for another owner’s upload, at any endpoint, gets the answer for a missing one', async () => {
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
    // The first bed already tried its senders on one another.
    const isNewHere = (sender: Sender) => bed.others.includes(sender) || name === FIRST_BED;
    await Promise.all(
      attackers.map(async (attacker) => {
        const isStranger = bed.strangers.includes(attacker);
        const own = victims.find(({ sender }) => sender === attacker);
        // An address that was signed for another file of the sender, or of anybody.
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

  it('another owner’s idempotency key finds nothing', async () => {
    const { files, senders, strangers } = await (BEDS[name] as () => Promise<Bed>)();
    const leaks: string[] = [];
    let tried = 0;
    const key = { 'Idempotency-Key': randomUUID() };
    const first = new Map<Sender, string>();
    for (const sender of senders) {
      // First the same creation as all others made under that key, then a different one.
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

describe('a failing access decision', () => {
  it('never answers HEAD with 5xx, at any address', async () => {
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
