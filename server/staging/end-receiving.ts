import { NotDurable } from '../ledger/durable-changes.ts';
import type { Upload } from '../ledger/upload.ts';
import type { Staging } from './staging.ts';

/**
 * Ends an upload that receives, under its lock: the ledger first, then its bytes go. Undefined: it no longer receives.
 *
 * @param move writes the end into the ledger
 * @param tell told of the end once it is durable
 * @throws NotDurable; then both are done when the end is durable, where no other has the bytes: nobody writes to what has ended
 */
export async function endReceiving(
  staging: Staging,
  move: () => Promise<Upload | undefined>,
  tell?: (ended: Upload) => void,
): Promise<Upload | undefined> {
  const clear = async (ended: Upload | undefined) => {
    if (ended === undefined) return;
    tell?.(ended);
    await staging.remove(ended.id);
  };
  try {
    const ended = await move();
    await clear(ended);
    return ended;
  } catch (error) {
    // What fails then is left over, for the sweeper.
    if (error instanceof NotDurable) (error as NotDurable<Upload | undefined>).later.then(clear).catch(() => undefined);
    throw error;
  }
}
