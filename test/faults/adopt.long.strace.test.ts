// `landfall-server adopt` is killed at each of its steps and run again: every upload is always in one of the two places, and in
// the end all are here.
import { cp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { FileStore } from '@tus/file-store';
import { Upload } from '@tus/utils';
import { describe, expect, it } from 'vitest';
import { videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { programPath } from '../support/needs.ts';
import { operatorCommand } from '../support/operator-command.ts';
import { ledgerRows } from '../support/sqlite-ledger.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { headUpload, patchUpload, readRecord } from '../support/tus-requests.ts';
import { numberedId } from '../support/upload-ids.ts';

const isLong = process.env.LANDFALL_TEST_LONG === '1';
const LENGTH = 60_000;
const HALF = 40_000;
/** One upload complete, one half stored, one without bytes. */
const OFFSETS = [LENGTH, HALF, 0];

const STEPS = [
  { name: 'sync', calls: 'fsync,fdatasync' },
  { name: 'link', calls: 'link,linkat' },
  { name: 'unlink', calls: 'unlink,unlinkat' },
  { name: 'write', calls: 'pwrite64,pwritev' },
];

/** The short version takes the counts at which most is in progress. */
function* counts(): Generator<number> {
  if (isLong) for (let n = 1; n < 1000; n += Math.ceil(n / 8)) yield n;
  else yield* [1, 4];
}

async function leaveUploads(directory: string): Promise<Buffer> {
  const bytes = await videoBytes(LENGTH);
  const store = new FileStore({ directory });
  for (const [index, offset] of OFFSETS.entries()) {
    const id = numberedId(index);
    await store.create(new Upload({ id, size: LENGTH, offset: 0, metadata: { filename: 'film.mp4' } }));
    await store.write(Readable.from([bytes.subarray(0, offset)]), id, 0);
  }
  return bytes;
}

describe('landfall-server adopt', () => {
  it.for(STEPS)('killed at a $name loses nothing, and the next run completes it', async ({ calls }) => {
    const left = testDirectory();
    const bytes = await leaveUploads(left);
    let kills = 0;
    for (const n of counts()) {
      const [directory, dataDir] = [join(testDirectory(), 'theirs'), testDirectory()];
      await cp(left, directory, { recursive: true });
      const args = ['adopt', '--file-store', directory, '--trust', '--delete'];
      const env = { LANDFALL_DATA_DIR: dataDir, UV_THREADPOOL_SIZE: '1' };
      const strace = [programPath('strace') ?? 'strace', '-f', '-o', '/dev/null', `--trace=${calls}`];
      const { code } = await operatorCommand(args, env, [...strace, `--inject=${calls}:signal=KILL:when=${n}`]);
      if (code === 0) break;
      kills += 1;

      const theirs = await readdir(directory);
      const ours = await rowsOf(dataDir);
      for (const [index] of OFFSETS.entries()) {
        const id = numberedId(index);
        expect(ours.includes(id) || (theirs.includes(id) && theirs.includes(`${id}.json`))).toBe(true);
      }

      const again = await operatorCommand(args, env);
      expect(again).toMatchObject({ code: 0, err: '' });
      expect((await readdir(directory)).filter((name) => name.endsWith('.json'))).toEqual([]);
      const server = await embedLandfall({ dataDir });
      const url = (index: number) => `${server.files}/${numberedId(index)}`;
      expect(await readRecord(url(0))).toMatchObject({ state: 'accepted' });
      for (const [index, offset] of OFFSETS.entries()) {
        expect((await headUpload(url(index))).offset).toBe(offset);
        if (offset < LENGTH)
          expect((await patchUpload(url(index), offset, bytes.subarray(offset) as Buffer<ArrayBuffer>)).status).toBe(204);
        const answer = await fetch(url(index));
        expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true);
      }
      await server.close();
    }
    expect(kills).toBeGreaterThan(0);
  });
});

/** Ids of all rows, or none while there is no ledger. */
async function rowsOf(dataDir: string): Promise<string[]> {
  try {
    return ledgerRows(dataDir).map(({ id }) => id);
  } catch {
    return [];
  }
}
