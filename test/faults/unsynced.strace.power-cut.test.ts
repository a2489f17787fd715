// Shows that the power-cut tests can fail: when the system only pretends to sync, an accepted file is lost.
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { filesBelow, sha256, sha256OfFile, videoBytes } from '../support/content.ts';
import { startLandfall } from '../support/landfall-process.ts';
import { CuttableDisk } from '../support/power-cut.ts';
import { Strace } from '../support/strace.ts';
import { createUpload, patchUpload } from '../support/tus-requests.ts';

const LENGTH = 3_000_000;

it.for([
  { isSynced: true, outcome: 'keeps' },
  { isSynced: false, outcome: 'loses' },
])('a power cut $outcome the accepted file when the system really syncs: $isSynced', async ({ isSynced }) => {
  const disk = await CuttableDisk.create();
  const server = await startLandfall({ dataDir: join(disk.path, 'data') });
  onTestFinished(() => server.kill());
  await disk.settle();
  const strace = isSynced ? undefined : await Strace.attach(server.pid, [{ calls: 'fsync,fdatasync,sync_file_range', effect: 'retval=0' }]);
  const bytes = await videoBytes(LENGTH);
  const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
  expect(await patchUpload(url, 0, bytes)).toMatchObject({ status: 204, offset: LENGTH });
  const files = join((await disk.cut()).path, 'data/files');
  await strace?.detach();
  const [file = 'none'] = await filesBelow(files);
  const survived = await sha256OfFile(join(files, file)).catch(() => 'gone');
  if (isSynced) expect(survived).toBe(sha256(bytes));
  else expect(survived).not.toBe(sha256(bytes));
});
