// A start that is killed during its first task leaves that task to the next start.
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it, onTestFinished } from 'vitest';
import { sha256, videoBytes } from '../support/content.ts';
import { LandfallProcess, startLandfall } from '../support/landfall-process.ts';
import { programPath } from '../support/needs.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf, patchUpload } from '../support/tus-requests.ts';

const LENGTH = 200_000;
const PROVEN = 100_000;

it('the next start resets all uploads to proven bytes when the first start after a power cut was killed while doing so', async () => {
  const dataDir = testDirectory();
  const server = await startLandfall({ dataDir });
  onTestFinished(() => server.kill());
  const bytes = await videoBytes(LENGTH);
  const ids: string[] = [];
  for (let number = 0; number < 4; number++) {
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    expect(await patchUpload(url, 0, bytes.subarray(0, PROVEN))).toMatchObject({ status: 204, offset: PROVEN });
    ids.push(idOf(url));
  }
  await server.kill();
  // A power cut leaves such a tail of bytes in flight.
  for (const id of ids) await appendFile(join(dataDir, 'staging', id.slice(0, 2), id), Buffer.alloc(5000));
  const ledger = new DatabaseSync(join(dataDir, 'ledger.sqlite'));
  ledger.exec("update facts set value = 'an earlier one' where key = 'boot'");
  ledger.close();

  const strace = [programPath('strace') ?? 'strace', '-f', '-o', '/dev/null', '--trace=ftruncate', '--inject=ftruncate:signal=KILL:when=3'];
  const killed = new LandfallProcess({ dataDir, under: strace, env: { UV_THREADPOOL_SIZE: '1' } });
  onTestFinished(() => killed.kill());
  await expect(killed.start()).rejects.toThrow('ended');

  await server.start();
  for (const id of ids) {
    const url = `${server.files}/${id}`;
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: PROVEN });
    expect(await patchUpload(url, PROVEN, bytes.subarray(PROVEN))).toMatchObject({ status: 204, offset: LENGTH });
    expect(sha256(Buffer.from(await (await fetch(url)).arrayBuffer()))).toBe(sha256(bytes));
  }
});
