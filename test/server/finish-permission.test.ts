// A right is revoked between the last byte and the finish: the server asks again the authority that granted it.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { AccessUrl } from '../../server/access/access-url.ts';
import { ClientAddresses } from '../../server/access/anonymous.ts';
import { createFinishPermission } from '../../server/access/finish-permission.ts';
import { createGrant } from '../../server/grants.ts';
import type { ConfigInput } from '../../server/index.ts';
import type { Credentials } from '../../server/ledger/credentials.ts';
import { newUploadId } from '../../server/ledger/upload-id.ts';
import { refuses, says, startAccessApplication } from '../support/access-application.ts';
import { filesBelow } from '../support/content.ts';
import { bearer, giveKey, withCredentials } from '../support/credentials.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, patchUpload, readRecord } from '../support/tus-requests.ts';
import { DAY, interrupted, openFinishBed } from './finish-bed.ts';

const BYTES = Buffer.from('0123456789');
const SECRET = 'a-secret-of-the-application-that-signs-grants';

/** A server whose last check waits until the test releases it, and how often that check ran. */
async function embed(config: ConfigInput) {
  const lines: { level: number; err?: { message: string } }[] = [];
  const logger = pino({ level: 'info' }, { write: (text: string) => void lines.push(JSON.parse(text)) });
  const { promise: proceeded, resolve: proceed } = Promise.withResolvers<void>();
  const seen = { checked: 0 };
  const check = {
    name: 'gate',
    async run() {
      seen.checked += 1;
      await proceeded;
      return undefined;
    },
  };
  const landfall = await embedLandfall(config, { logger, checks: [check] });
  return { ...landfall, seen, proceed, faults: () => lines.filter(({ level }) => level >= 40).map(({ err }) => err?.message) };
}

async function embedWithApplication(config: ConfigInput = {}) {
  const application = await startAccessApplication();
  return { application, ...(await embed({ access: 'url', accessUrl: application.url, ...config })) };
}

/** Resolves once all bytes are stored and the checks have started. */
async function sendAll(bed: { files: string; seen: { checked: number } }, headers: Record<string, string> = {}) {
  const { url } = await createUpload(bed.files, { length: 10, name: 'a.txt', headers });
  const sent = patchUpload(url, 0, BYTES, headers);
  await expect.poll(() => bed.seen.checked).toBe(1);
  return { url, sent };
}

describe('the application, asked again before a file is accepted', () => {
  it('refuses it for good with a 403, in its own words', async () => {
    const bed = await embedWithApplication();
    const { url, sent } = await sendAll(bed, { Authorization: 'Bearer anna' });
    bed.application.decide(({ question }, response) =>
      question.intent === 'finish' ? refuses(response, 403, 'The project was closed.') : says(response, { owner: 'anna' }),
    );
    bed.proceed();
    expect(await sent).toMatchObject({ status: 422, code: 'ERR_FORBIDDEN' });
    expect(await readRecord(url)).toMatchObject({
      state: 'rejected',
      error: { code: 'ERR_FORBIDDEN', detail: 'The project was closed.' },
    });
    await expect.poll(() => filesBelow(bed.dataDir).then((files) => files.filter((file) => /^(?:files|staging)\//.test(file)))).toEqual([]);
    // The question has none of the sender's credentials; the sender may be gone by then.
    expect(bed.application.asked.find(({ question }) => question.intent === 'finish')?.question).toMatchObject({
      upload: { owner: 'anna', state: 'inspecting', length: 10, name: 'a.txt' },
    });
    expect(JSON.stringify(bed.application.asked.filter(({ question }) => question.intent === 'finish'))).not.toContain('Bearer anna');
    expect(bed.faults()).toEqual([]);
  });

  it.for([401, 404, 429, 500, 302])('does not refuse it with %i: the server asks again, and repeats no check', async (status) => {
    const bed = await embedWithApplication({ patience: '0s' });
    bed.application.decide(({ question }, response) =>
      question.intent === 'finish' ? refuses(response, status, 'No.') : says(response, { owner: 'anna' }),
    );
    const { url, sent } = await sendAll(bed);
    bed.proceed();
    expect(await sent).toMatchObject({ status: 503, code: 'ERR_INSPECTION_PENDING' });
    const finishes = () => bed.application.intents().filter((intent) => intent === 'finish').length;
    await expect.poll(finishes).toBeGreaterThan(1);
    expect((await readRecord(url)).state).toBe('inspecting');
    expect(bed.faults().length).toBeGreaterThan(0);
    for (const message of bed.faults()) expect(message).toMatch(/right now/);
    bed.application.decide((_asked, response) => says(response, { owner: 'anna' }));
    await expect.poll(async () => (await readRecord(url)).state).toBe('accepted');
    expect(bed.seen.checked).toBe(1);
  });

  it('is not asked when LANDFALL_ACCESS_RECHECK is false', async () => {
    const bed = await embedWithApplication({ accessRecheck: false });
    bed.proceed();
    const { sent } = await sendAll(bed);
    expect(await sent).toMatchObject({ status: 204, offset: 10 });
    expect(bed.application.intents()).not.toContain('finish');
  });

  it('is not asked about uploads made with a key', async () => {
    const bed = await embedWithApplication({ access: 'url,keys' });
    bed.proceed();
    const { headers } = await giveKey(bed);
    const { sent } = await sendAll(bed, headers);
    expect(await sent).toMatchObject({ status: 204, offset: 10 });
    expect(bed.application.asked).toEqual([]);
  });

  it('refuses it after a crash between publishing and the verdict, and the published file is removed', async () => {
    const application = await startAccessApplication();
    application.decide((_asked, response) => refuses(response, 403, 'No.'));
    const accessUrl = new AccessUrl({
      url: application.url,
      ownerHeader: '',
      ledger: { get: async () => undefined },
      addresses: new ClientAddresses([]),
    });
    const bed = await openFinishBed({ permission: createFinishPermission({ credentials: { get: async () => undefined }, accessUrl }) });
    const id = newUploadId();
    await bed.put(BYTES, interrupted(id, { source: 'url', owner: 'anna' }));
    const published = join(bed.dataDir, 'files', DAY, id, 'name.txt');
    await mkdir(dirname(published), { recursive: true });
    await writeFile(published, BYTES);
    await bed.finisher.start();
    expect(await bed.verdict(id)).toMatchObject({ state: 'rejected', errorCode: 'ERR_FORBIDDEN' });
    await expect.poll(() => bed.published()).toEqual([]);
    await expect.poll(() => bed.staged()).toEqual([]);
  });
});

describe('a key', () => {
  it('that was revoked between the last byte and the finish refuses the file', async () => {
    const dataDir = testDirectory();
    const bed = await embed({ access: 'keys', dataDir });
    const { id, headers } = await giveKey({ dataDir });
    const other = await giveKey({ dataDir });
    const { url, sent } = await sendAll(bed, headers);
    await withCredentials({ dataDir }, (credentials) => credentials.remove(id));
    bed.proceed();
    expect(await sent).toMatchObject({ status: 422, code: 'ERR_FORBIDDEN' });
    expect(await readRecord(url, other.headers)).toMatchObject({ state: 'rejected', error: { code: 'ERR_FORBIDDEN' } });
    expect(bed.faults()).toEqual([]);
  });

  it.for([
    [
      'a link',
      'links',
      async (place: { dataDir: string }) => {
        const { id, token } = await withCredentials(place, (credentials) =>
          credentials.add('link', { owner: 'anna', title: '', limits: {}, endsAt: null }),
        );
        return { token, takeBack: (credentials: Credentials) => credentials.remove(id) };
      },
    ],
    [
      'a grant',
      'grants',
      async () => {
        const token = createGrant(SECRET, { owner: 'anna', expires: '1h', id: 'order-1' });
        return { token, takeBack: (credentials: Credentials) => credentials.revokeGrant('order-1') };
      },
    ],
  ] as const)('and %s, revoked between the last byte and the finish, refuse the file', async ([, access, give]) => {
    const dataDir = testDirectory();
    const bed = await embed({ access, dataDir, ...(access === 'grants' && { grantSecrets: SECRET }) });
    const { token, takeBack } = await give({ dataDir });
    const { sent } = await sendAll(bed, bearer(token));
    await withCredentials({ dataDir }, async (credentials) => void (await takeBack(credentials)));
    bed.proceed();
    expect(await sent).toMatchObject({ status: 422, code: 'ERR_FORBIDDEN' });
  });

  it('that has expired since, or is still valid, does not refuse it', async () => {
    const dataDir = testDirectory();
    const bed = await embed({ access: 'keys', dataDir });
    const { headers } = await giveKey({ dataDir }, { endsAt: Date.now() + 3000 });
    const { sent } = await sendAll(bed, headers);
    await expect.poll(async () => (await fetch(`${bed.files}/${'0'.repeat(32)}/status`, { headers })).status, { interval: 100 }).toBe(401);
    bed.proceed();
    expect(await sent).toMatchObject({ status: 204, offset: 10 });
  });

  it('that was revoked does not refuse it when LANDFALL_ACCESS_RECHECK is false', async () => {
    const dataDir = testDirectory();
    const bed = await embed({ access: 'keys', dataDir, accessRecheck: false });
    const { id, headers } = await giveKey({ dataDir });
    const { sent } = await sendAll(bed, headers);
    await withCredentials({ dataDir }, (credentials) => credentials.remove(id));
    bed.proceed();
    expect(await sent).toMatchObject({ status: 204, offset: 10 });
  });
});
