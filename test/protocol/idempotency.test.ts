// `Idempotency-Key` on a creation: repeating a creation leads to the same upload, and never to another file's.
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { filesBelow, videoBytes } from '../support/content.ts';
import { type EmbeddedLandfall, embedLandfall } from '../support/landfall-embedded.ts';
import {
  type Creation,
  type CreationAnswer,
  createUpload,
  headUpload,
  patchUpload,
  readRecord,
  terminateUpload,
} from '../support/tus-requests.ts';

const KEY = { 'Idempotency-Key': 'one' };
const REUSED = { status: 422, code: 'ERR_IDEMPOTENCY_KEY_REUSED', url: '' };
const FIRST: Creation = { length: 6, name: 'payroll.txt', headers: KEY };
const TEXT = Buffer.from('hello\n');

const OTHERS: [string, Creation][] = [
  ['another name', { ...FIRST, name: 'other.csv' }],
  ['another length', { ...FIRST, length: 7 }],
  ['a length that comes last', { name: 'payroll.txt', headers: { ...KEY, 'Upload-Defer-Length': '1' } }],
  ['other metadata', { ...FIRST, metadata: { project: 'x' } }],
  ['no metadata', { length: 6, headers: KEY }],
];

/** Starts a server that tells users apart by a header. */
function serveOwners(): Promise<EmbeddedLandfall> {
  return embedLandfall({}, { authenticate: ({ headers }) => (headers['x-user'] ? String(headers['x-user']) : null) });
}

const by = (user: string, creation: Creation): Creation => ({ ...creation, headers: { ...creation.headers, 'X-User': user } });

describe('an Idempotency-Key of a known owner', () => {
  it.for(OTHERS)('is refused with %s, before and after the verdict, and the upload continues', async ([, other]) => {
    const { files } = await serveOwners();
    const { url } = await createUpload(files, by('anna', FIRST));
    expect(await createUpload(files, by('anna', other))).toMatchObject(REUSED);
    expect(await patchUpload(url, 0, TEXT, { 'X-User': 'anna' })).toMatchObject({ status: 204, offset: 6 });
    expect(await createUpload(files, by('anna', other))).toMatchObject(REUSED);
    expect(await createUpload(files, by('anna', FIRST))).toMatchObject({ status: 201, url, offset: 6 });
    expect((await createUpload(files, by('bert', other))).status).toBe(201);
    expect(await (await fetch(url, { headers: { 'X-User': 'anna' } })).text()).toBe(String(TEXT));
  });

  it('names one upload for simultaneous creations, and the differing creations are refused', async () => {
    const { files } = await serveOwners();
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, n) => createUpload(files, by('anna', n % 2 === 0 ? FIRST : { ...FIRST, name: 'other.csv' }))),
    );
    const made = answers.filter(({ status }) => status === 201);
    expect(new Set(made.map(({ url }) => url)).size).toBe(1);
    expect(made).toHaveLength(6);
    expect(answers.filter(({ code }) => code === REUSED.code)).toHaveLength(6);
  });

  it('names the same upload, whatever the order of the metadata', async () => {
    const { files } = await serveOwners();
    const first = await createUpload(files, by('anna', { length: 6, metadata: { filename: 'a.txt', project: 'x' }, headers: KEY }));
    const again = await createUpload(files, by('anna', { length: 6, metadata: { project: 'x', filename: 'a.txt' }, headers: KEY }));
    expect(again).toMatchObject({ status: 201, url: first.url });
  });
});

describe('an Idempotency-Key that strangers share on an open server', () => {
  it.for(OTHERS)('names a separate upload for a creation with %s', async ([, other]) => {
    const { files } = await embedLandfall();
    const [mine, theirs] = [await createUpload(files, FIRST), await createUpload(files, other)];
    expect([mine.status, theirs.status]).toEqual([201, 201]);
    expect(theirs.url).not.toBe(mine.url);
    expect((await createUpload(files, FIRST)).url).toBe(mine.url);
    expect((await createUpload(files, other)).url).toBe(theirs.url);
    expect((await terminateUpload(theirs.url)).status).toBe(204);
    expect(await headUpload(mine.url)).toMatchObject({ status: 200, offset: 0 });
  });

  it('names one upload for equal simultaneous creations, and a separate one for each that differs', async () => {
    const { files } = await embedLandfall();
    const names = Array.from({ length: 12 }, (_, n) => `${n % 3}.txt`);
    const answers = await Promise.all(names.map((name) => createUpload(files, { ...FIRST, name })));
    expect(answers.map(({ status }) => status)).toEqual(Array(12).fill(201));
    expect(new Set(answers.map(({ url }) => url)).size).toBe(3);
  });
});

describe('a body that is repeated with its creation', () => {
  const LENGTH = 3_000_000;
  const sha1 = (bytes: Uint8Array) => `sha1 ${createHash('sha1').update(bytes).digest('base64')}`;

  function damage(bytes: Buffer<ArrayBuffer>, at: number): Buffer<ArrayBuffer> {
    const damaged = Buffer.from(bytes);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    return damaged;
  }

  const create = (files: string, body: Buffer<ArrayBuffer>, headers: Record<string, string> = {}): Promise<CreationAnswer> =>
    createUpload(files, { length: LENGTH, name: 'film.mp4', body, headers: { ...KEY, ...headers } });

  it.for([
    ['accepted', LENGTH],
    ['receiving', 2_000_000],
  ] as const)('is compared with the stored bytes of an upload that is %s', async ([state, sent]) => {
    const { files, dataDir } = await embedLandfall();
    const bytes = await videoBytes(LENGTH);
    const body = bytes.subarray(0, sent);
    const { url } = await create(files, body);
    expect(await create(files, body)).toMatchObject({ status: 201, url, offset: sent });
    for (const at of [0, 1_000_000, sent - 1]) expect(await create(files, damage(body, at))).toMatchObject(REUSED);
    // The server compares a shorter or longer body with the stored bytes as far as both reach.
    expect(await create(files, bytes.subarray(0, 1000))).toMatchObject({ status: 201, url, offset: sent });
    expect(await create(files, damage(bytes.subarray(0, 1000), 999))).toMatchObject(REUSED);
    expect(await create(files, bytes)).toMatchObject({ status: 201, url, offset: sent });
    expect(await readRecord(url)).toMatchObject({ state, offset: sent });
    expect(await filesBelow(join(dataDir, 'files'))).toHaveLength(state === 'accepted' ? 1 : 0);
  });

  it('is compared with an upload under inspection, and gets the verdict of that upload', async () => {
    const verdict = Promise.withResolvers<{ code: 'ERR_CHECK_REFUSED' }>();
    const { files } = await embedLandfall({ patience: 100 }, { checks: [{ name: 'gate', run: () => verdict.promise }] });
    const bytes = await videoBytes(LENGTH);
    const { url } = await create(files, bytes);
    expect(await create(files, damage(bytes, LENGTH - 1))).toMatchObject(REUSED);
    expect(await create(files, bytes)).toMatchObject({ status: 201, url, offset: LENGTH - 1 });
    verdict.resolve({ code: 'ERR_CHECK_REFUSED' });
    await expect.poll(async () => (await readRecord(url)).state).toBe('rejected');
    for (const body of [bytes, damage(bytes, 0)])
      expect(await create(files, body)).toMatchObject({ status: 422, code: 'ERR_CHECK_REFUSED' });
  });

  it('is not taken for another file when it was damaged on the network', async () => {
    const { files } = await embedLandfall();
    const bytes = await videoBytes(LENGTH);
    const { url } = await create(files, bytes);
    expect(await create(files, damage(bytes, 5), { 'Upload-Checksum': sha1(bytes) })).toMatchObject({ status: 460 });
    const other = damage(bytes, 5);
    expect(await create(files, other, { 'Upload-Checksum': sha1(other) })).toMatchObject(REUSED);
    expect(await create(files, bytes, { 'Upload-Checksum': sha1(bytes) })).toMatchObject({ status: 201, url, offset: LENGTH });
  });
});

describe('an Idempotency-Key in a row older than the hash of the creation', () => {
  it.for(['', 'anna'])('names its upload, whatever the creation: owner "%s"', async (user) => {
    const { files, dataDir } = user === '' ? await embedLandfall() : await serveOwners();
    const { url } = await createUpload(files, by(user, FIRST));
    const database = new DatabaseSync(join(dataDir, 'ledger.sqlite'));
    database.exec(`update uploads set creationFingerprint = null, idempotencyKey = 'one'`);
    database.close();
    expect(await createUpload(files, by(user, FIRST))).toMatchObject({ status: 201, url });
    expect(await createUpload(files, by(user, { ...FIRST, name: 'other.csv' }))).toMatchObject({ status: 201, url });
  });
});

it('the server tells Idempotency-Keys of any printable characters apart', async () => {
  const { files } = await embedLandfall();
  const keys = ['a', 'A', 'a:', '%61', randomBytes(64).toString('hex')];
  const answers = await Promise.all(keys.map((key) => createUpload(files, { ...FIRST, headers: { 'Idempotency-Key': key } })));
  expect(new Set(answers.map(({ url }) => url)).size).toBe(keys.length);
});
