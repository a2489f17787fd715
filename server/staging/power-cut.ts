// After the machine itself went down: what the file system shows of bytes nobody had made durable may be anything.
import { readFile } from 'node:fs/promises';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload } from '../ledger/upload.ts';
import type { Staging } from './staging.ts';
import type { Unproved } from './unproved.ts';

const PAGE = 500;

/** A name for this boot of the machine; where the system has none, a crash can't be told from a power cut. */
export async function bootId(): Promise<string> {
  return readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
    (text) => text.trim(),
    () => 'unknown',
  );
}

/**
 * Before the first request: when the machine has booted since the last start, every upload goes back to the bytes that
 * are proved. After a mere crash the system still has all that was written, and nothing is done. The boot is written down
 * last: a start that ends before, by a kill or a fault, leaves all of it to the next one.
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
    const page = await ledger.receiving(after, PAGE);
    for (const upload of page) {
      after = upload.id;
      await returnToProven(ledger, staging, upload);
    }
    if (page.length < PAGE) return;
  }
}

/** Whoever calls holds the upload's lock. */
export async function returnToProven(ledger: Ledger, staging: Staging, { id, provenOffset, checksumOffset }: Upload): Promise<void> {
  // Where the ledger is the truth of what is stored, it counts only what is durable.
  if (!staging.isReadableInProgress) return;
  if ((await staging.size(id)) > provenOffset) await staging.truncate(id, provenOffset);
  if (checksumOffset > provenOffset) await ledger.change(id, { from: 'receiving' }, { checksum: 0, checksumOffset: 0 }, false);
}

/** Before a planned end: what came so far, and is known to be what was sent, survives a reboot, too. */
export async function proveAll(ledger: Ledger, staging: Staging, unproved: Unproved): Promise<void> {
  let after = '';
  for (;;) {
    const page = await ledger.receiving(after, PAGE);
    for (const { id, provenOffset, unverifiedFrom } of page) {
      after = id;
      const size = Math.min(await staging.size(id), unverifiedFrom ?? Number.POSITIVE_INFINITY);
      if (size <= provenOffset || unproved.has(id)) continue;
      await staging.sync(id);
      await ledger.raiseProvenOffset(id, size);
    }
    if (page.length < PAGE) return;
  }
}
