// After a restore: ends the uploads that were unfinished in the backup. Their bytes are not in the backup, or do not match the
// ledger. Their senders are answered 410 and start again.
import type { Engine } from '../ledger/engine.ts';
import { skipEventPositions } from '../ledger/event-log.ts';
import { Holders } from '../ledger/holders.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { UploadIn } from '../ledger/upload.ts';
import { StartError } from '../runtime/start-error.ts';

const PAGE = 500;

/** Another process serves the ledger; the uploads that it receives now would be ended, too. */
export class StillServed extends StartError {
  override readonly name = 'StillServed';
  override readonly code = 'ERR_STILL_SERVED';
}

/**
 * A ledger in a file belongs to the caller alone; a ledger in PostgreSQL is asked whether another process serves it.
 * @returns how many uploads it ended
 * @throws StillServed
 */
export async function endUnfinished(engine: Engine, ledger: Ledger, keepRecordsForMs: number): Promise<number> {
  const holders = new Holders(engine);
  if (await holders.isAnyAlive()) {
    throw new StillServed('Another process serves this ledger, or did so a moment ago. Stop it, and wait as long as LANDFALL_LEASE.');
  }
  await holders.clearAll();
  await skipEventPositions(engine);
  await ledger.leases.releaseAll();
  for (;;) {
    const page = await ledger.leases.due(ledger.now(), PAGE);
    await Promise.all(page.map((id) => ledger.move(id, { from: 'inspecting' }, 'receiving', {})));
    if (page.length < PAGE) break;
  }
  const end = ({ id }: UploadIn<'receiving'>) =>
    // A creation under the same key must not lead to this upload.
    ledger.move(id, { from: 'receiving' }, 'expired', { expiresAt: ledger.now() + keepRecordsForMs, idempotencyKey: null });
  let ended = 0;
  for (;;) {
    const page = await ledger.uploads.receiving('', PAGE);
    await Promise.all(page.map(end));
    ended += page.length;
    if (page.length < PAGE) return ended;
  }
}
