// A start that fails leaves nothing open, and the next start succeeds once the fault is fixed.
import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createLandfall } from '../../server/index.ts';
import { Ledger } from '../../server/ledger/ledger.ts';
import { openSqlite } from '../../server/ledger/sqlite.ts';
import { newUpload } from '../contract/new-upload.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { leftBehind } from '../support/left-behind.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, patchUpload } from '../support/tus-requests.ts';

interface Cause {
  what: string;
  make(dataDir: string): Promise<void> | void;
  mend(dataDir: string): Promise<void> | void;
}

/** Moves the original away, and makes something else in its place. */
function blocked(name: string, make: (path: string) => void): Pick<Cause, 'make' | 'mend'> {
  return {
    make: (dataDir) => make(join(dataDir, name)),
    mend: (dataDir) => rmSync(join(dataDir, name), { recursive: true }),
  };
}

function inLedger(dataDir: string, statement: string): void {
  const database = new DatabaseSync(join(dataDir, 'ledger.sqlite'));
  database.exec(statement);
  database.close();
}

/** The first step that needs the table fails. */
function missingTable(table: string, more: (dataDir: string) => void = () => undefined): Pick<Cause, 'make' | 'mend'> {
  return {
    async make(dataDir) {
      await (await embedLandfall({ dataDir })).close();
      more(dataDir);
      inLedger(dataDir, `alter table ${table} rename to away`);
    },
    mend: (dataDir) => inLedger(dataDir, `alter table away rename to ${table}`),
  };
}

const file = (path: string) => writeFileSync(path, 'x');
const CAUSES: Cause[] = [
  { what: 'the ledger is no database', ...blocked('ledger.sqlite', (path) => writeFileSync(path, 'not a database, '.repeat(400))) },
  { what: 'a folder stands in the ledger’s place', ...blocked('ledger.sqlite', (path) => mkdirSync(path)) },
  { what: 'a folder stands in the lock’s place', ...blocked('server.lock', (path) => mkdirSync(path)) },
  { what: 'the lock is no database', ...blocked('server.lock', (path) => writeFileSync(path, 'not a database, '.repeat(400))) },
  { what: 'the staging directory is a file', ...blocked('staging', file) },
  {
    what: 'a folder of the staging directory is a file',
    ...blocked('staging/7f', (path) => {
      mkdirSync(join(path, '..'));
      file(path);
    }),
  },
  { what: 'the directory of final files is a file', ...blocked('files', file) },
  {
    what: 'the ledger is newer than the program',
    async make(dataDir) {
      await (await embedLandfall({ dataDir })).close();
      inLedger(dataDir, "insert into kysely_migration values ('9999-from-the-future', '2999-01-01T00:00:00.000Z')");
    },
    mend: (dataDir) => inLedger(dataDir, "delete from kysely_migration where name like '9999%'"),
  },
  { what: 'the locks of earlier processes can not be cleared', ...missingTable('locks') },
  { what: 'the boot can not be written down', ...missingTable('facts') },
  {
    what: 'the ledger can not tell which staged bytes have an upload',
    ...missingTable('uploads', (dataDir) => file(join(dataDir, 'staging/ab', `ab${randomBytes(15).toString('hex')}`))),
  },
  { what: 'the leases of earlier processes can not be voided', ...missingTable('uploads') },
];

describe('a start that fails', () => {
  it.for(CAUSES)('because $what leaves nothing behind, and the next one succeeds once the fault is fixed', async ({ make, mend }) => {
    const dataDir = testDirectory();
    await make(dataDir);
    const landfall = createLandfall({ dataDir, logLevel: 'silent' });
    onTestFinished(() => landfall.close());
    const words = await landfall.start().then(
      () => 'it started',
      (error: Error) => error.message,
    );
    expect(words).not.toMatch(/it started|Another process serves/);
    await expect.poll(() => leftBehind(dataDir)).toEqual([]);
    await expect(landfall.start()).rejects.toThrow(words.replace(/ '.*$/, ''));
    await mend(dataDir);
    await landfall.start();
    await landfall.close();
    await expect.poll(() => leftBehind(dataDir)).toEqual([]);
  });

  it('lets another server in the same process use the directory', async () => {
    const dataDir = testDirectory();
    file(join(dataDir, 'staging'));
    const first = createLandfall({ dataDir, logLevel: 'silent' });
    await expect(first.start()).rejects.toThrow();
    rmSync(join(dataDir, 'staging'));
    await embedLandfall({ dataDir });
    await first.close();
  });

  it('does not mark bytes as proved that it did not look at', async () => {
    const dataDir = testDirectory();
    await (await embedLandfall({ dataDir })).close();
    const ledger = new Ledger(await openSqlite(dataDir, { exclusive: false }));
    const { id } = newUpload();
    await ledger.create(newUpload({ id, length: 1000 }), true);
    writeFileSync(join(dataDir, 'staging', id.slice(0, 2), id), 'as a power cut may have left it');
    inLedger(dataDir, 'alter table facts rename to away');
    const landfall = createLandfall({ dataDir, logLevel: 'silent' });
    await expect(landfall.start()).rejects.toThrow('facts');
    await landfall.close();
    expect(await ledger.get(id)).toMatchObject({ state: 'receiving', provenOffset: 0 });
    await ledger.close();
  });
});

describe('foreign files in the staging directory', () => {
  it('are ignored, at the start and later', async () => {
    const dataDir = testDirectory();
    const staging = join(dataDir, 'staging');
    const strangers = ['.DS_Store', 'lost+found', '.nfs000000000a1b2c3d', 'ab/.nfs000000000a1b2c3d', 'ab/lost+found', 'cd/old.renewed'];
    mkdirSync(join(staging, 'lost+found'), { recursive: true });
    mkdirSync(join(staging, 'ab/lost+found'), { recursive: true });
    mkdirSync(join(staging, 'cd/old.renewed'), { recursive: true });
    mkdirSync(join(staging, 'not ours', randomBytes(16).toString('hex')), { recursive: true });
    for (const name of strangers.filter((stranger) => stranger.includes('.nfs') || stranger.includes('.DS'))) file(join(staging, name));
    const server = await embedLandfall({ dataDir });
    const { url } = await createUpload(server.files, { length: 5, name: 'notes.txt' });
    expect(await patchUpload(url, 0, 'hello')).toMatchObject({ status: 204 });
    await server.close();
    await embedLandfall({ dataDir });
    // The server deleted none of them, either.
    for (const name of strangers) renameSync(join(staging, name), join(staging, `${name}.seen`));
  });
});
