// Keys and grants with several processes on one ledger: every process knows what another one gave out, revoked or counted.
import { expect, it } from 'vitest';
import { createGrant } from '../../server/grants.ts';
import { bearer, giveKey, withCredentials } from '../support/credentials.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { postgresForTests } from '../support/postgres.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload } from '../support/tus-requests.ts';

const postgres = postgresForTests({ fsync: false });
const SECRET = 'a secret that signs grants and nothing else';
const TEXT = Buffer.from('text');
const FILE = { length: 4, name: 'a.txt', body: TEXT };

async function two(settings: Parameters<typeof embedLandfall>[0]) {
  const place = { dataDir: testDirectory(), databaseUrl: await postgres.database() };
  const serve = () => embedLandfall({ ...settings, ...place });
  return { place, servers: [await serve(), await serve()] as const };
}

it('a key counts at each process until it is removed', async () => {
  const { place, servers } = await two({});
  for (const { files } of servers) expect(await createUpload(files, FILE)).toMatchObject({ status: 201 });
  const { id, headers } = await giveKey(place);
  for (const { files } of servers) {
    await expect.poll(async () => (await createUpload(files, FILE)).status).toBe(401);
    expect(await createUpload(files, { ...FILE, headers })).toMatchObject({ status: 201 });
  }
  await withCredentials(place, (credentials) => credentials.remove(id));
  for (const { files } of servers) {
    await expect.poll(async () => (await createUpload(files, { ...FILE, headers })).status).toBe(401);
    expect(await createUpload(files, FILE)).toMatchObject({ status: 401 });
  }
});

it('a grant for seven uploads makes seven of fifty concurrent ones at two processes, and none once it is revoked', async () => {
  const { place, servers } = await two({ access: 'grants', grantSecrets: SECRET });
  const headers = bearer(createGrant(SECRET, { owner: 'order-1', id: 'g', expires: '1h', maxUploads: 7 }));
  for (const body of [TEXT, TEXT.subarray(0, 2)]) {
    const some = body === TEXT ? headers : bearer(createGrant(SECRET, { owner: 'order-1', expires: '1h', maxUploads: 7 }));
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) => createUpload(servers[n % 2 === 0 ? 0 : 1].files, { ...FILE, body, headers: some })),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(7);
    expect(answers.filter(({ code }) => code === 'ERR_ACCESS_USED_UP')).toHaveLength(43);
  }
  await withCredentials(place, (credentials) => credentials.revokeGrant('g'));
  for (const { files } of servers) {
    await expect.poll(async () => (await createUpload(files, { ...FILE, headers })).status).toBe(401);
  }
});
