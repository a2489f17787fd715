// The adopt command imports uploads from a stopped @tus/server with @tus/file-store.
import { stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { testAdoptedNames, testAdoption } from '../contract/adoption.ts';
import { filesBelow, videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { operatorCommand } from '../support/operator-command.ts';
import { startStockTus } from '../support/other-server.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, idOf, patchUpload } from '../support/tus-requests.ts';

async function open() {
  const directory = testDirectory();
  return {
    directory,
    start: (names?: string) => startStockTus({ STOCK_DIRECTORY: directory, ...(names && { STOCK_NAMES: names }) }),
    flags: ['--file-store', directory],
    named: idOf,
    everything: () => filesBelow(directory),
  };
}

describe('adopt --file-store', () => {
  testAdoption(open);
  testAdoptedNames(open);

  it('hard-links a finished file where it can, and copies an unfinished one', async () => {
    const { directory, start, flags } = await open();
    const other = await start();
    const bytes = await videoBytes(20_000);
    const whole = await createUpload(other.files, { length: bytes.byteLength, name: 'a.mp4' });
    await patchUpload(whole.url, 0, bytes);
    const half = await createUpload(other.files, { length: bytes.byteLength, name: 'b.mp4' });
    await patchUpload(half.url, 0, bytes.subarray(0, 10_000));
    await other.kill();
    const dataDir = testDirectory();
    await operatorCommand(['adopt', ...flags], { LANDFALL_DATA_DIR: dataDir });
    expect((await stat(join(directory, idOf(whole.url)))).nlink).toBe(2);
    expect((await stat(join(directory, idOf(half.url)))).nlink).toBe(1);
  });

  it("leaves uploads that can't resume, says why, and imports the others", async () => {
    const { directory, start, flags } = await open();
    const other = await start();
    const { url } = await createUpload(other.files, { length: 1000, name: 'a.mp4' });
    await other.kill();
    await writeFile(join(directory, 'torn.json'), '{"id":"to');
    await writeFile(join(directory, 'torn'), 'bytes');
    await writeFile(join(directory, 'lost.json'), '{"id":"lost","size":100,"offset":0}');
    await writeFile(join(directory, 'long.json'), '{"id":"long","size":3,"offset":0}');
    await writeFile(join(directory, 'long'), 'bytes');
    await utimes(join(directory, 'long'), 0, 0);
    const env = { LANDFALL_DATA_DIR: testDirectory() };
    const ran = await operatorCommand(['adopt', ...flags, '--delete'], env);
    expect(ran).toMatchObject({ code: 1, err: '' });
    expect(ran.out).toContain('torn  skipped  its JSON file is not readable');
    expect(ran.out).toContain('lost  skipped  its bytes are gone');
    expect(ran.out).toContain('long  skipped  it has 5 bytes of 3');
    expect(ran.out).toContain('0 finished and 1 unfinished uploads adopted, 0 already here, 3 skipped; originals removed: 1');
    expect(await filesBelow(directory)).toEqual(['long', 'long.json', 'lost.json', 'torn', 'torn.json']);
    expect(ran.out).toContain(idOf(url));
  });

  it('is refused beside a running server, and without exactly one source', async () => {
    const { flags } = await open();
    const { dataDir } = await embedLandfall();
    const env = { LANDFALL_DATA_DIR: dataDir };
    const beside = await operatorCommand(['adopt', ...flags], env);
    expect(beside.code).toBe(2);
    expect(await operatorCommand(['adopt'], { LANDFALL_DATA_DIR: testDirectory() })).toMatchObject({ code: 2, out: '' });
    const both = await operatorCommand(['adopt', ...flags, '--tusd', '/'], { LANDFALL_DATA_DIR: testDirectory() });
    expect(both).toMatchObject({ code: 2, out: '' });
    const nowhere = await operatorCommand(['adopt', '--file-store', '/nowhere'], { LANDFALL_DATA_DIR: testDirectory() });
    expect(nowhere.err).toContain('/nowhere cannot be read');
  });
});
