// A server that can't start with its database says why.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { failedStart } from '../support/failed-start.ts';
import { freePort } from '../support/free-port.ts';
import { postgresForTests } from '../support/postgres.ts';
import { testDirectory } from '../support/temp-dir.ts';

const postgres = postgresForTests();

describe('a server that can not start says why in one line', () => {
  it('when no server listens there, which may pass', async () => {
    const { code, said } = await failedStart({ LANDFALL_DATABASE_URL: `postgres://somebody@127.0.0.1:${await freePort()}/landfall` });
    expect(said).toMatch(/^landfall-server: PostgreSQL can't be reached: .*ECONNREFUSED.*\. Look at LANDFALL_DATABASE_URL\.\n$/);
    expect(code).toBe(1);
  });

  it('when the database does not exist', async () => {
    const { code, said } = await failedStart({ LANDFALL_DATABASE_URL: postgres.address('nobody_made_it') });
    expect(said).toMatch(/^landfall-server: PostgreSQL refuses: database "nobody_made_it" does not exist\. Make it, .*\n$/);
    expect(code).toBe(2);
  });

  it('when the role does not exist', async () => {
    const url = new URL(await postgres.database());
    url.username = 'nobody';
    const { code, said } = await failedStart({ LANDFALL_DATABASE_URL: url.href });
    expect(said).toMatch(/^landfall-server: PostgreSQL refuses: role "nobody" does not exist\. Look at the role .*\n$/);
    expect(code).toBe(2);
  });

  it('when the role may not create tables', async () => {
    const address = await postgres.database();
    await postgres.query('create role reader login');
    await postgres.query('revoke create on schema public from public', address);
    const url = new URL(address);
    url.username = 'reader';
    const { code, said } = await failedStart({ LANDFALL_DATABASE_URL: url.href });
    expect(said).toMatch(/^landfall-server: The role in LANDFALL_DATABASE_URL may not make tables\. .*\n$/);
    expect(code).toBe(2);
  });

  it('when the data directory can not be used', async () => {
    const file = join(testDirectory(), 'file');
    writeFileSync(file, '');
    const { code, said } = await failedStart({ LANDFALL_DATA_DIR: file });
    expect(said).toContain(`landfall-server: ${file} cannot be written to (EEXIST). Name another directory with LANDFALL_DATA_DIR`);
    expect(code).toBe(2);
  });
});
