// Quotas of senders, of keys and of the disk, with three processes that are killed: the sums always match the rows, and no
// limit is ever exceeded.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { openPostgres } from '../../server/ledger/postgres.ts';
import { VOLUME } from '../../server/ledger/quotas.ts';
import { countedFromRows, counters } from '../contract/quotas.ts';
import { giveKey } from '../support/credentials.ts';
import { LandfallProcess } from '../support/landfall-process.ts';
import { postgresForTests } from '../support/postgres.ts';
import { randomFrom, testSeed } from '../support/random.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf, patchUpload, terminateUpload } from '../support/tus-requests.ts';

const isLong = process.env.LANDFALL_TEST_LONG === '1';
const BURDEN = isLong ? { operations: 3000, killEveryMs: 1000, maxKills: 60 } : { operations: 300, killEveryMs: 500, maxKills: 3 };
const AT_ONCE = 12;
const MAX_BYTES = 100_000;
const KEY_UPLOADS = isLong ? 40 : 6;

const postgres = postgresForTests();

it('after random operations and kills the sums equal those of the rows, and no limit was ever exceeded', async () => {
  const dataDir = testDirectory();
  const databaseUrl = await postgres.database();
  const seed = testSeed();
  console.log(`LANDFALL_TEST_SEED=${seed} repeats it.`);
  const random = randomFrom(seed);
  const key = await giveKey({ dataDir, databaseUrl }, { limits: { maxUploads: KEY_UPLOADS, maxBytes: KEY_UPLOADS * MAX_BYTES } });
  const processes = [0, 1, 2].map(
    () =>
      new LandfallProcess({
        dataDir,
        env: {
          LANDFALL_DATABASE_URL: databaseUrl,
          LANDFALL_DATABASE_CONNECTIONS: '5',
          LANDFALL_ACCESS: 'keys,anonymous',
          LANDFALL_TRUSTED_PROXIES: '127.0.0.1',
          LANDFALL_ANONYMOUS_MAX_UPLOADS: '8',
          LANDFALL_ANONYMOUS_MAX_STORED: `${MAX_BYTES * 30}B`,
          LANDFALL_ANONYMOUS_MAX_RATE: '',
          LANDFALL_OWNER_MAX_UPLOADS: '8',
          LANDFALL_LEASE: '2s',
          LANDFALL_RESERVE_FOR: '1s',
          LANDFALL_SWEEP_INTERVAL: '500ms',
          LANDFALL_EXPIRE_AFTER: isLong ? '6s' : '3s',
        },
      }),
  );
  for (const server of processes) onTestFinished(() => server.kill());
  await Promise.all(processes.map((server) => server.start()));
  const engine = openPostgres(databaseUrl, { connections: 2 });
  onTestFinished(() => engine.close());

  const senders = [key.headers, ...['203.0.113.1', '203.0.113.2', '2001:db8::1'].map((address) => ({ 'X-Forwarded-For': address }))];
  const uploads: { id: string; headers: Record<string, string>; length: number }[] = [];
  const answers = new Map<string, number>();
  const up = new Set(processes);
  const anywhere = () => random.pick([...up]).files;

  async function operate(): Promise<string> {
    const known = uploads.length === 0 || random.happens(0.45) ? undefined : random.pick(uploads.slice(-40));
    const { headers = random.pick(senders), length = random.between(1, MAX_BYTES) } = known ?? {};
    if (known !== undefined) {
      const url = `${anywhere()}/${known.id}`;
      if (random.happens(0.15)) return `DELETE ${(await terminateUpload(url, headers)).status}`;
      const { status, offset = 0 } = await headUpload(url, headers);
      if (status !== 200) return `HEAD ${status}`;
      const bytes = Buffer.alloc(random.happens(0.5) ? length - offset : random.between(0, length - offset), 'a');
      const declared = random.happens(0.5) ? { 'Upload-Length': String(length) } : {};
      return `PATCH ${(await patchUpload(url, offset, bytes, { ...headers, ...declared })).status}`;
    }
    const kind = random.fraction();
    const brought = Buffer.alloc(kind < 0.3 ? length : random.between(1, length), kind < 0.1 ? '\0' : 'a');
    const deferred = { 'Upload-Defer-Length': '1' };
    const created = await createUpload(anywhere(), {
      name: 'a.txt',
      ...(kind < 0.7 ? { length } : {}),
      ...(kind < 0.6 ? { body: brought } : {}),
      headers: { ...headers, ...(kind < 0.7 ? {} : deferred) },
    });
    if (created.url !== '') uploads.push({ id: idOf(created.url), headers, length });
    return `POST ${created.code ?? created.status}`;
  }

  let left = BURDEN.operations;
  const work = Array.from({ length: AT_ONCE }, async () => {
    while (left > 0) {
      left -= 1;
      const answer = await operate().catch(() => 'cut off');
      answers.set(answer, (answers.get(answer) ?? 0) + 1);
    }
  });
  let isOver = false;
  const over = Promise.all(work).finally(() => {
    isOver = true;
  });
  let kills = 0;
  while (!isOver && kills < BURDEN.maxKills) {
    await Promise.race([over, sleep(BURDEN.killEveryMs)]);
    const server = random.pick(processes);
    await server.kill();
    up.delete(server);
    kills += 1;
    expect(await beyondTheirLimits(databaseUrl), `a limit was exceeded after kill ${kills}`).toEqual([]);
    await server.start();
    up.add(server);
  }
  await over;
  console.log(`${kills} kills`, Object.fromEntries([...answers].sort()));

  // Kills hit requests, every kind of limit refused some, and every kind of operation succeeded.
  const seen = [...answers.keys()];
  for (const answer of ['cut off', 'POST 201', 'PATCH 204', 'DELETE 204', 'POST ERR_TOO_MANY_UPLOADS']) expect(seen).toContain(answer);
  expect(seen.some((answer) => answer === 'POST ERR_ACCESS_USED_UP' || answer === 'POST ERR_QUOTA_EXCEEDED')).toBe(true);
  for (const server of processes) await server.kill();
  expect(await beyondTheirLimits(databaseUrl)).toEqual([]);
  const counted = await counters(engine);
  expect(counted).toEqual(await countedFromRows(engine));
  expect(counted.get(key.id)?.uploads).toBeGreaterThan(0);
  expect(counted.get(VOLUME)?.unfinished).toBeGreaterThan(0);

  // Unfinished uploads expire, and release their quota.
  await processes[0]?.start();
  const unfinished = () => engine.db.selectFrom('uploads').select('id').where('state', 'in', ['receiving', 'inspecting']).execute();
  await expect.poll(unfinished).toEqual([]);
  const rest = await counters(engine);
  expect(rest).toEqual(await countedFromRows(engine));
  for (const count of rest.values()) expect(count).toMatchObject({ unfinished: 0, reservedBytes: 0 });
});

/** Scopes over their limit: there must never be one. The disk's limit changes with the free space. */
function beyondTheirLimits(databaseUrl: string): Promise<unknown[]> {
  return postgres.query(
    `select * from quotas where scope <> 'volume' and (unfinished > "maxUnfinished" or "reservedBytes" > "maxReservedBytes"
      or "storedBytes" + "reservedBytes" > "maxStoredBytes"
      or scope like 'key:%' and (uploads > ${KEY_UPLOADS} or bytes > ${KEY_UPLOADS * MAX_BYTES}))`,
    databaseUrl,
  );
}
