// The sweeper where several processes serve one ledger.
import { readFile, writeFile } from 'node:fs/promises';
import { expect, it, onTestFinished, vi } from 'vitest';
import { openPostgres } from '../../server/ledger/postgres.ts';
import { newUploadId } from '../../server/ledger/upload-id.ts';
import { postgresForTests } from '../support/postgres.ts';
import { openFinishBed } from './finish-bed.ts';

const postgres = postgresForTests();
const CONTENT = Buffer.from('some of it');
const MINUTE = 60_000;

it('staged bytes without a row are kept for ten minutes, because another process may be about to add the row', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const bed = await openFinishBed({ engine: openPostgres(await postgres.database(), { connections: 3 }) });
  const [added, left] = [newUploadId(), newUploadId()];
  for (const id of [added, left]) await writeFile(bed.staging.path(id), CONTENT);
  await bed.sweeper.clearLeftovers();
  vi.advanceTimersByTime(9 * MINUTE);
  await bed.sweeper.clearLeftovers();
  expect(await bed.staged()).toHaveLength(2);
  // The bytes of `put` are those that were found without a row before.
  await bed.put(CONTENT, { id: added, length: 1000 });
  vi.advanceTimersByTime(2 * MINUTE);
  await bed.sweeper.clearLeftovers();
  expect(await bed.staged()).toEqual([`${added.slice(0, 2)}/${added}`]);
  expect(await readFile(bed.staging.path(added))).toEqual(CONTENT);
});
