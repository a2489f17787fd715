// Each limit of an identity at each endpoint has its own code, and a refused request leaves nothing.
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Authenticate, ConfigInput, Limits } from '../../server/index.ts';
import { openSqlite } from '../../server/ledger/sqlite.ts';
import { countedFromRows, counters } from '../contract/quotas.ts';
import { filesBelow } from '../support/content.ts';
import { gateCheck } from '../support/gate-check.ts';
import { type EmbeddedLandfall, embedLandfall } from '../support/landfall-embedded.ts';
import { createUpload, type ExtraHeaders, headUpload, patchUpload, readRecord, terminateUpload } from '../support/tus-requests.ts';
import { sendForm } from './form-requests.ts';

interface Sent {
  status: number;
  code: string | undefined;
  /** The upload's address, if there is one. */
  url: string;
  headers: Headers;
}

type Door = (server: EmbeddedLandfall, name: string, bytes: Buffer<ArrayBuffer>, headers?: ExtraHeaders) => Promise<Sent>;

const DOORS: Record<string, Door> = {
  'a creation and its bytes': async ({ files }, name, bytes, headers = {}) => {
    const created = await createUpload(files, { length: bytes.byteLength, name, headers });
    return created.status === 201 ? { ...created, ...(await patchUpload(created.url, 0, bytes, headers)) } : created;
  },
  'a creation that brings its bytes': ({ files }, name, body, headers = {}) =>
    createUpload(files, { length: body.byteLength, name, body, headers }),
  'a creation without a length': async ({ files }, name, bytes, headers = {}) => {
    const created = await createUpload(files, { name, headers: { 'Upload-Defer-Length': '1', ...headers } });
    if (created.status !== 201) return created;
    const length = { 'Upload-Length': String(bytes.byteLength) };
    return { ...created, ...(await patchUpload(created.url, 0, bytes, { ...length, ...headers })) };
  },
  'a form': async ({ url, files }, name, content, headers = {}) => {
    const answer = await sendForm(`${url}/upload`, [{ name, content }], { Accept: '*/*', ...headers });
    const result = (await answer.json()) as { code?: string; error?: { code: string }; record?: { id: string } };
    const code = result.error?.code ?? result.code;
    return { status: answer.status, code, url: `${files}/${result.record?.id}`, headers: answer.headers };
  },
};
const NAMES = Object.keys(DOORS);
const BYTES = Buffer.from('0123456789');

function through(name: string): Door {
  const door = DOORS[name];
  if (door === undefined) throw new Error(`There is no ${name}.`);
  return door;
}

/** Limits by owner; a sender's credential is its owner's name. */
const GIVEN: Readonly<Record<string, Limits>> = {
  anna: {},
  'size of a file': { maxUploadBytes: 10 },
  'what may be sent': { allow: '.txt,.mp4' },
  'how many': { maxUploads: 2 },
  'bytes of all': { maxBytes: 25 },
  'fixed metadata': { metadata: { project: '42', filename: 'fixed.txt' } },
  'drop box': { actions: ['create'] },
  reader: { actions: ['download'] },
};

async function embed(config: ConfigInput = {}) {
  const lines: { level: number }[] = [];
  const logger = pino({ level: 'info' }, { write: (text: string) => void lines.push(JSON.parse(text)) });
  const authenticate: Authenticate = ({ headers: { authorization: owner = 'anna' } }) => ({ owner, limits: GIVEN[owner] ?? {} });
  const landfall = await embedLandfall(config, { logger, authenticate });
  return { ...landfall, errors: () => lines.filter(({ level }) => level >= 50) };
}

/** No bytes are staged, the sums match the rows, and no error was logged. */
async function expectNothingLeft(server: Awaited<ReturnType<typeof embed>>): Promise<void> {
  await expect.poll(() => filesBelow(`${server.dataDir}/staging`)).toEqual([]);
  const engine = await openSqlite(server.dataDir, { exclusive: false });
  expect(await counters(engine)).toEqual(await countedFromRows(engine));
  await engine.close();
  expect(server.errors()).toEqual([]);
}

/** Uploads that a refusal left and that may still resume: a creation without a length, say, whose bytes were too many. */
async function unfinished({ dataDir, files }: EmbeddedLandfall): Promise<{ owner: string; url: string }[]> {
  const engine = await openSqlite(dataDir, { exclusive: false });
  const rows = await engine.db.selectFrom('uploads').select(['id', 'owner']).where('state', '=', 'receiving').execute();
  await engine.close();
  return rows.map(({ id, owner }) => ({ owner, url: `${files}/${id}` }));
}

describe.for(NAMES)('%s', (name) => {
  const send = through(name);

  it('obeys each limit of its identity', async () => {
    const server = await embed({ allow: 'text,images' });
    const by = (owner: string) => (file: string, bytes: Buffer<ArrayBuffer>) => send(server, file, bytes, { Authorization: owner });

    const sized = by('size of a file');
    expect(await sized('a.txt', BYTES)).toMatchObject({ code: undefined });
    expect(await sized('a.txt', Buffer.from('0123456789A'))).toMatchObject({ status: 413, code: 'ERR_MAX_SIZE_EXCEEDED' });

    // A type that the server's policy refuses can't be allowed by an identity.
    const narrowed = by('what may be sent');
    expect(await narrowed('a.txt', BYTES)).toMatchObject({ code: undefined });
    for (const file of ['a.csv', 'a.png', 'a.mp4'])
      expect(await narrowed(file, BYTES)).toMatchObject({ status: 422, code: 'ERR_TYPE_NOT_ALLOWED' });

    const counted = by('how many');
    expect(await counted('a.txt', BYTES)).toMatchObject({ code: undefined });
    // Refused uploads do not count.
    expect(await counted('a.txt', Buffer.from([0, 1, 2, 3]))).toMatchObject({ status: 422, code: 'ERR_TEXT_INVALID' });
    expect(await counted('a.txt', BYTES)).toMatchObject({ code: undefined });
    for (let n = 0; n < 2; n++) expect(await counted('a.txt', BYTES)).toMatchObject({ status: 403, code: 'ERR_ACCESS_USED_UP' });

    const summed = by('bytes of all');
    for (let n = 0; n < 2; n++) expect(await summed('a.txt', BYTES)).toMatchObject({ code: undefined });
    expect(await summed('a.txt', BYTES)).toMatchObject({ status: 413, code: 'ERR_QUOTA_EXCEEDED' });
    expect(await summed('a.txt', BYTES.subarray(0, 5))).toMatchObject({ code: undefined });
    expect(await summed('a.txt', BYTES.subarray(0, 1))).toMatchObject({ status: 413, code: 'ERR_QUOTA_EXCEEDED' });

    expect(await by('reader')('a.txt', BYTES)).toMatchObject({ status: 403, code: 'ERR_ACTION_NOT_ALLOWED' });
    for (const { owner, url } of await unfinished(server)) await terminateUpload(url, { Authorization: owner });
    await expectNothingLeft(server);
  });

  it('has the metadata of its identity, and is readable only as the identity allows', async () => {
    const server = await embed();
    const fixed = { Authorization: 'fixed metadata' };
    const { url } = await send(server, 'a.txt', BYTES, fixed);
    const answer = await headUpload(url, fixed);
    const pairs = (answer.headers.get('Upload-Metadata') ?? '').split(',').map((pair) => pair.split(' '));
    const metadata = Object.fromEntries(pairs.map(([key, value = '']) => [key, Buffer.from(value, 'base64').toString()]));
    expect(metadata).toEqual({ project: '42', filename: 'fixed.txt' });
    expect(await readRecord(url, fixed)).toMatchObject({ originalName: 'fixed.txt' });

    const dropped = { headers: { Authorization: 'drop box' } };
    const { url: drop, code } = await send(server, 'a.txt', BYTES, dropped.headers);
    expect(code).toBeUndefined();
    const file = await fetch(drop, dropped);
    expect([file.status, await file.json()]).toMatchObject([403, { code: 'ERR_ACTION_NOT_ALLOWED' }]);
    expect(await terminateUpload(drop, dropped.headers)).toMatchObject({ status: 403, code: 'ERR_ACTION_NOT_ALLOWED' });
    expect(await readRecord(drop, dropped.headers)).toMatchObject({ state: 'accepted' });
  });

  it('obeys the limit of bytes that an owner may store', async () => {
    const server = await embed({ ownerMaxStored: 25 });
    for (let n = 0; n < 2; n++) expect(await send(server, 'a.txt', BYTES)).toMatchObject({ code: undefined });
    expect(await send(server, 'a.txt', BYTES)).toMatchObject({ status: 413, code: 'ERR_QUOTA_EXCEEDED' });
    expect(await send(server, 'a.txt', BYTES.subarray(0, 5))).toMatchObject({ code: undefined });
  });

  it('obeys the limit of bytes that an owner may have unfinished', async () => {
    const server = await embed({ ownerMaxReserved: 9 });
    expect(await send(server, 'a.txt', BYTES)).toMatchObject({ status: 413, code: 'ERR_QUOTA_EXCEEDED' });
    expect(await send(server, 'a.txt', BYTES.subarray(0, 9))).toMatchObject({ code: undefined });
  });

  it('obeys the limit of unfinished uploads of an owner', async () => {
    const server = await embed({ ownerMaxUploads: 1 });
    const { url } = await createUpload(server.files, { length: 10, name: 'a.txt' });
    const refused = await send(server, 'a.txt', BYTES);
    expect(refused).toMatchObject({ status: 429, code: 'ERR_TOO_MANY_UPLOADS' });
    expect(Number(refused.headers.get('Retry-After'))).toBeGreaterThan(0);
    expect(await terminateUpload(url)).toMatchObject({ status: 204 });
    expect(await send(server, 'a.txt', BYTES)).toMatchObject({ code: undefined });
    await expectNothingLeft(server);
  });

  it('obeys the limit of uploads that an owner may start in a minute', async () => {
    const server = await embed({ ownerMaxRate: 2 });
    for (let n = 0; n < 2; n++) expect(await send(server, 'a.txt', BYTES)).toMatchObject({ code: undefined });
    const refused = await send(server, 'a.txt', BYTES);
    expect(refused).toMatchObject({ status: 429, code: 'ERR_TOO_MANY_UPLOADS' });
    const seconds = Number(refused.headers.get('Retry-After'));
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThanOrEqual(60);
    expect(refused.headers.get('RateLimit-Policy')).toBe('"creations";q=2;w=60');
    expect(refused.headers.get('RateLimit')).toBe(`"creations";r=0;t=${seconds}`);
    await expectNothingLeft(server);
  });

  it('counts for the sender’s address when the sender is anonymous, behind a trusted proxy', async () => {
    const server = await embedLandfall({ access: 'anonymous', trustedProxies: '127.0.0.1', anonymousMaxStored: 15, anonymousMaxRate: 5 });
    const by = (address: string) => ({ 'X-Forwarded-For': `198.51.100.9, ${address}` });
    expect(await send(server, 'a.txt', BYTES, by('203.0.113.1'))).toMatchObject({ code: undefined });
    expect(await send(server, 'a.txt', BYTES, by('203.0.113.1'))).toMatchObject({ status: 413, code: 'ERR_QUOTA_EXCEEDED' });
    expect(await send(server, 'a.txt', BYTES, by('203.0.113.2'))).toMatchObject({ code: undefined });
    // A whole IPv6 network counts as one sender.
    expect(await send(server, 'a.txt', BYTES, by('2001:db8::1'))).toMatchObject({ code: undefined });
    expect(await send(server, 'a.txt', BYTES, by('2001:db8::2'))).toMatchObject({ status: 413, code: 'ERR_QUOTA_EXCEEDED' });
    expect(await send(server, 'a.txt', BYTES, by('2001:db8:0:1::1'))).toMatchObject({ code: undefined });
    // This machine's address has no limit.
    for (let n = 0; n < 7; n++) expect(await send(server, 'a.txt', BYTES)).toMatchObject({ code: undefined });
    const last = Array.from({ length: 7 }, () => send(server, 'a.txt', BYTES, by('203.0.113.1')));
    expect((await Promise.all(last)).filter(({ status, code }) => status === 429 && code === 'ERR_TOO_MANY_UPLOADS')).toHaveLength(4);
  });
});

describe('a length that is not known at the creation', () => {
  const limits = { maxBytes: 70_000_000 };
  const deferred = { 'Upload-Defer-Length': '1' };

  it.for(['a form', 'tus'])('counts as the length once it is known, also while the file is inspected: %s', async (door) => {
    const { check, open, seen } = gateCheck();
    const server = await embedLandfall({}, { checks: [check], authenticate: () => ({ owner: 'anna', limits }) });
    // Before the server closes, which waits for the check.
    onTestFinished(open);
    const bytes = Buffer.alloc(100_000, 'a');
    let sent: Promise<{ status: number }>;
    if (door === 'a form') sent = sendForm(`${server.url}/upload`, [{ name: 'a.txt', content: bytes }]);
    else {
      const { url } = await createUpload(server.files, { name: 'a.txt', body: bytes.subarray(0, 50_000), headers: deferred });
      sent = patchUpload(url, 50_000, bytes.subarray(50_000), { 'Upload-Length': '100000' });
    }
    await expect.poll(() => seen.begun).toBe(1);
    expect(await createUpload(server.files, { length: 69_900_001, name: 'b.txt' })).toMatchObject({ code: 'ERR_QUOTA_EXCEEDED' });
    expect(await createUpload(server.files, { length: 69_900_000, name: 'b.txt' })).toMatchObject({ status: 201 });
    open();
    expect((await sent).status).toBe(door === 'a form' ? 201 : 204);
  });

  it('counts as the length, too, when it is declared after the last byte', async () => {
    const { check, open, seen } = gateCheck();
    const server = await embedLandfall({}, { checks: [check], authenticate: () => ({ owner: 'anna', limits }) });
    // Before the server closes, which waits for the check.
    onTestFinished(open);
    const { url } = await createUpload(server.files, { name: 'a.txt', body: Buffer.alloc(10, 'a'), headers: deferred });
    const declared = patchUpload(url, 10, '', { 'Upload-Length': '10' });
    await expect.poll(() => seen.begun).toBe(1);
    expect(await createUpload(server.files, { length: 69_999_990, name: 'b.txt' })).toMatchObject({ status: 201 });
    open();
    expect((await declared).status).toBe(204);
  });

  it('is refused at its declaration as it would be at the creation, and another may be declared', async () => {
    const server = await embedLandfall({ ownerMaxReserved: 80_000_000 }, { authenticate: () => ({ owner: 'anna', limits }) });
    const { url } = await createUpload(server.files, { name: 'a.txt', headers: deferred });
    const declare = (length: number) => patchUpload(url, 0, 'hello', { 'Upload-Length': String(length) });
    expect(await declare(70_000_001)).toMatchObject({ status: 413, code: 'ERR_QUOTA_EXCEEDED' });
    expect(await declare(80_000_001)).toMatchObject({ status: 413, code: 'ERR_QUOTA_EXCEEDED' });
    const { offset, headers } = await headUpload(url);
    expect([offset, headers.get('Upload-Defer-Length'), headers.get('Upload-Length')]).toEqual([0, '1', null]);
    expect(await declare(60_000_000)).toMatchObject({ status: 204, offset: 5 });
    // All of it is reserved now.
    expect(await createUpload(server.files, { length: 10_000_001, name: 'b.txt' })).toMatchObject({ status: 413 });
    expect(await createUpload(server.files, { length: 10_000_000, name: 'b.txt' })).toMatchObject({ status: 201 });
    expect(await patchUpload(url, 5, 'hello', { 'Upload-Length': '60000000' })).toMatchObject({ status: 204, offset: 10 });
  });
});
