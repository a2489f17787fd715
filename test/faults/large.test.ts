// The main task at full size: a large file, a connection that is cut repeatedly, and a server that is killed midway.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { upload } from '../../client/node.ts';
import { filesBelow, sha256OfFile, writeVideo } from '../support/content.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { startLandfall } from '../support/landfall-process.ts';
import { testDirectory } from '../support/temp-dir.ts';

const MIB = 1024 * 1024;
const isLong = process.env.LANDFALL_TEST_LONG === '1';
const LENGTH = (isLong ? 4096 : 128) * MIB;
const KILLS = isLong ? 10 : 2;
/** Peak memory that the process may use, whatever the file's length. */
const MEMORY = 400 * MIB;

async function highestMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

it('a large file is stored whole, over cut connections, by a server that is killed midway, in constant memory', async () => {
  const directory = testDirectory();
  const film = join(directory, 'film.mp4');
  const hash = await writeVideo(film, LENGTH);
  const server = await startLandfall({ dataDir: join(directory, 'data') });
  onTestFinished(() => server.kill());
  let cuts = 0;
  const proxy = await startFaultProxy({
    upstream: server.url,
    onRequest: ({ method }) => {
      if (method !== 'PATCH') return undefined;
      cuts += 1;
      // Each connection passes a tenth of the file, plus a varying part of a tenth.
      return { kind: 'cut', afterBytes: Math.floor((LENGTH / 10) * (1 + (cuts % 3) / 3)), how: cuts % 2 === 0 ? 'rst' : 'fin' };
    },
  });
  onTestFinished(() => proxy.close());
  const handle = upload(film, { endpoint: `${proxy.url}/files`, resume: false });
  let kills = 0;
  let confirmed = 0;
  let restart: Promise<void> | undefined;
  let isDown = false;
  for await (const snapshot of handle) {
    // An acknowledged offset never goes back, not even after a crash.
    expect(snapshot.confirmed).toBeGreaterThanOrEqual(confirmed);
    ({ confirmed } = snapshot);
    if (!isDown && kills < KILLS && snapshot.sent > (LENGTH / (KILLS + 1)) * (kills + 1)) {
      kills += 1;
      isDown = true;
      restart = server
        .kill()
        .then(() => server.start())
        .finally(() => {
          isDown = false;
        });
    }
  }
  await restart;
  const { name, size } = await handle.done;
  expect([name, size]).toEqual(['film.mp4', LENGTH]);
  expect(kills).toBe(KILLS);
  expect(cuts).toBeGreaterThan(5);
  const files = await filesBelow(join(server.dataDir, 'files'));
  expect(files).toHaveLength(1);
  expect(await sha256OfFile(join(server.dataDir, 'files', files[0] ?? ''))).toBe(hash);
  expect(await filesBelow(join(server.dataDir, 'staging'))).toEqual([]);
  expect(await highestMemory(server.pid)).toBeLessThan(MEMORY);
  // Only bytes in flight when a connection was cut are sent twice.
  expect(proxy.bytes).toBeLessThan(LENGTH * 1.5);
});
