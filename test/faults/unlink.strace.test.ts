// Bytes whose deletion failed are deleted soon, without a restart.
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { filesBelow } from '../support/content.ts';
import { startLandfall } from '../support/landfall-process.ts';
import { Strace } from '../support/strace.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, patchUpload, terminateUpload } from '../support/tus-requests.ts';

it('the server deletes staged bytes soon after their unlink stops failing', async () => {
  await using server = await startLandfall({ dataDir: testDirectory() });
  const staged = () => filesBelow(join(server.dataDir, 'staging'));
  const strace = await Strace.attach(server.pid, [{ calls: 'unlink,unlinkat', effect: 'error=EIO' }]);
  for (let n = 0; n < 3; n++) {
    const { status } = await createUpload(server.files, { length: 5, name: `note${n}.txt`, body: Buffer.from('hello') });
    expect(status).toBe(201);
    const { url } = await createUpload(server.files, { length: 5, name: 'given up.txt' });
    expect((await patchUpload(url, 0, 'hel')).status).toBe(204);
    expect((await terminateUpload(url)).status).toBe(204);
  }
  const { url } = await createUpload(server.files, { length: 5000, name: 'film.mp4' });
  expect((await patchUpload(url, 0, Buffer.alloc(5000, '<html>'))).status).toBe(422);
  expect(await staged()).toHaveLength(7);
  await strace.detach();
  await expect.poll(staged, { timeout: 60_000 }).toEqual([]);
  expect(await filesBelow(join(server.dataDir, 'files'))).toHaveLength(3);
});
