// Recovery after a power cut: the file system may show any content for bytes that were not durable.
import { readFile } from 'node:fs/promises';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload } from '../ledger/upload.ts';
import type { Staging } from './staging.ts';
import type { SyncFailures } from './sync-failures.ts';

const PAGE = 500;

/** The id of this boot of the machine. On a system without one, a power cut cannot be told from a crash. */
export async function bootId(): Promise<string> {
  return readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
    (text) => text.trim(),
    () => 'unknown',
  );
}

/**
 * Call before the first request: when the machine has booted since the last start, every upload goes back to its proven offset. After
 * a crash of the process alone, the system still has all written bytes, and this does nothing. The boot id is written last, so that
 * a start that dies before leaves all of the work to the next start.
 */
export async function returnToProvenOffsets(ledger: Ledger, staging: Staging): Promise<void> {
  const boot = await bootId();
  const earlier = await ledger.facts.get('boot');
  if (earlier === boot) return;
  if (earlier !== undefined) await returnAll(ledger, staging);
  await ledger.facts.set('boot', boot);
}

async function returnAll(ledger: Ledger, staging: Staging): Promise<void> {
  let after = '';
  for (;;) {
    const page = await ledger.uploads.receiving(after, PAGE);
    for (const upload of page) {
      after = upload.id;
      await returnToProven(ledger, staging, upload);
    }
    if (page.length < PAGE) return;
  }
}

/** Removes an upload's bytes beyond its proven offset. Call under the upload's lock. */
export async function returnToProven(ledger: Ledger, staging: Staging, { id, provenOffset, checksumOffset }: Upload): Promise<void> {
  // Where bytes cannot be read in progress, the ledger counts the stored bytes, and only durable ones.
  if (!staging.isReadableInProgress) return;
  if ((await staging.size(id)) > provenOffset) await staging.truncate(id, provenOffset);
  if (checksumOffset > provenOffset) await ledger.change(id, { from: 'receiving' }, { checksum: 0, checksumOffset: 0 }, false);
}

/** Makes the verified bytes of all unfinished uploads durable before a planned shutdown, so that they survive a reboot. */
export async function makeAllDurable(ledger: Ledger, staging: Staging, syncFailures: SyncFailures): Promise<void> {
  let after = '';
  for (;;) {
    const page = await ledger.uploads.receiving(after, PAGE);
    for (const { id, provenOffset, unverifiedFrom } of page) {
      after = id;
      const size = Math.min(await staging.size(id), unverifiedFrom ?? Number.POSITIVE_INFINITY);
      if (size <= provenOffset || syncFailures.has(id)) continue;
      await staging.sync(id);
      await ledger.raiseProvenOffset(id, size);
    }
    if (page.length < PAGE) return;
  }
}
