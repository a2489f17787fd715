// A start that fails with PostgreSQL leaves no connection and no lease, and the next start succeeds once the fault is fixed.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createLandfall } from '../../server/index.ts';
import { failedStart } from '../support/failed-start.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { leftBehind } from '../support/left-behind.ts';
import { listenForTest } from '../support/listen.ts';
import { postgresForTests } from '../support/postgres.ts';
import { startTcpSwitch } from '../support/tcp-switch.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, idOf, terminateUpload } from '../support/tus-requests.ts';
import { PATIENT } from './patient.ts';

const postgres = postgresForTests();

const connections = async (database: string) =>
  postgres.query(`select application_name, query from pg_stat_activity where datname = '${new URL(database).pathname.slice(1)}'`);

/** The server closes a connection a moment after its client did. */
async function expectNothingLeft(database: string, dataDir: string): Promise<void> {
  await vi.waitFor(async () => expect(await connections(database)).toEqual([]), PATIENT);
  await expect.poll(() => leftBehind(dataDir)).toEqual([]);
}

describe('a start that fails', () => {
  it('because this process can not register leaves nothing behind, and the next one succeeds once the fault is fixed', async () => {
    const table = 'holders';
    const databaseUrl = await postgres.database();
    const dataDir = testDirectory();
    await (await embedLandfall({ databaseUrl, dataDir })).close();
    writeFileSync(join(dataDir, 'staging/ab', `ab${randomBytes(15).toString('hex')}`), 'left over');
    await postgres.query(`alter table ${table} rename to away`, databaseUrl);
    const landfall = createLandfall({ databaseUrl, dataDir, logLevel: 'silent' });
    onTestFinished(() => landfall.close());
    await expect(landfall.start()).rejects.toThrow(table);
    await expectNothingLeft(databaseUrl, dataDir);
    await postgres.query(`alter table away rename to ${table}`, databaseUrl);
    expect(await postgres.query('select owner from holders where "isDead" = 0', databaseUrl)).toEqual([]);
    await landfall.start();
    await landfall.close();
    await expectNothingLeft(databaseUrl, dataDir);
  });

  it("is not caused by staged files that the server can't tell from uploads: it looks for them again later", async () => {
    const databaseUrl = await postgres.database();
    const dataDir = testDirectory();
    const first = await embedLandfall({ databaseUrl, dataDir });
    const { url } = await createUpload(first.files, { length: 10 });
    await terminateUpload(url);
    await first.close();
    const left = join(dataDir, 'staging', idOf(url).slice(0, 2), idOf(url));
    writeFileSync(left, 'left over');
    await postgres.query('alter table uploads rename to away', databaseUrl);
    const { close } = await embedLandfall({ databaseUrl, dataDir, sweepInterval: 100 });
    await postgres.query('alter table away rename to uploads', databaseUrl);
    await expect.poll(() => existsSync(left)).toBe(false);
    await close();
  });

  it('because PostgreSQL is unreachable is followed by one that succeeds when it is back', async () => {
    const url = new URL(await postgres.database());
    const proxy = await startTcpSwitch(url.hostname, Number(url.port));
    url.port = String(proxy.port);
    const dataDir = testDirectory();
    const landfall = createLandfall({ databaseUrl: url.href, dataDir, logLevel: 'silent' });
    onTestFinished(() => landfall.close());
    await proxy.off();
    await expect(landfall.start()).rejects.toThrow("can't be reached");
    await proxy.on();
    await landfall.start();
  });

  it('because the staging directory can not be made leaves no connection', async () => {
    const databaseUrl = await postgres.database();
    const dataDir = testDirectory();
    mkdirSync(dataDir, { recursive: true });
    writeFileSync(join(dataDir, 'staging'), 'x');
    const landfall = createLandfall({ databaseUrl, dataDir, logLevel: 'silent' });
    onTestFinished(() => landfall.close());
    await expect(landfall.start()).rejects.toThrow('EEXIST');
    await expectNothingLeft(databaseUrl, dataDir);
  });

  it('because its port is taken releases its lease', async () => {
    const { port } = new URL(await listenForTest(createServer()));
    const databaseUrl = await postgres.database();
    const { code, said } = await failedStart({ LANDFALL_DATABASE_URL: databaseUrl, LANDFALL_PORT: port });
    expect(said).toMatch(/^landfall-server: LANDFALL_PORT: another process listens on port \d+ of .*\n$/);
    expect(code).toBe(2);
    expect(await postgres.query('select "isDead" from holders', databaseUrl)).toEqual([{ isDead: 1 }]);
  });
});
