import { NotDurable } from '../ledger/durable-changes.ts';
import type { Upload } from '../ledger/upload.ts';
import type { Staging } from './staging.ts';

/**
 * Ends an upload that is `receiving`, under its lock: writes the end to the ledger, then removes the bytes. Resolves to undefined when
 * the upload is not `receiving`.
 *
 * @param move writes the end to the ledger
 * @param onEnded called once the end is durable
 * @throws NotDurable; `onEnded` and the removal then follow once the end is durable. They no longer need the lock, because no process
 *   writes to an ended upload
 */
export async function endReceiving(
  staging: Staging,
  move: () => Promise<Upload | undefined>,
  onEnded?: (ended: Upload) => void,
): Promise<Upload | undefined> {
  const clear = async (ended: Upload | undefined) => {
    if (ended === undefined) return;
    onEnded?.(ended);
    await staging.remove(ended.id);
  };
  try {
    const ended = await move();
    await clear(ended);
    return ended;
  } catch (error) {
    // When the later removal fails, the sweeper removes the bytes.
    if (error instanceof NotDurable) (error as NotDurable<Upload | undefined>).later.then(clear).catch(() => undefined);
    throw error;
  }
}
