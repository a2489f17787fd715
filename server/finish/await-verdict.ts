import type { Ledger } from '../ledger/ledger.ts';
import type { Upload } from '../ledger/upload.ts';
import type { Beginnings } from './beginnings.ts';

/**
 * Waits for the verdict, at most `patienceMs`, and resolves with the row as it is then; as `inspecting` also while its bytes
 * are still being made durable. Undefined: there is no such row any more.
 *
 * @param signal aborted when nobody waits any more: resolves with the row as it is
 */
export function awaitVerdict(
  { ledger, beginnings }: { ledger: Ledger; beginnings: Beginnings },
  id: string,
  patienceMs: number,
  signal: AbortSignal,
): Promise<Upload | undefined> {
  return new Promise((resolve, reject) => {
    const stop = ledger.onChange(id, (upload) => {
      if (upload.state !== 'inspecting') end(upload);
    });
    const timer = setTimeout(look, Math.max(patienceMs, 0));
    signal.addEventListener('abort', look);
    function cease(): void {
      stop();
      clearTimeout(timer);
      signal.removeEventListener('abort', look);
    }
    function end(upload: Upload | undefined): void {
      cease();
      resolve(upload);
    }
    function fail(error: unknown): void {
      cease();
      reject(error);
    }
    const read = async (isOver: boolean): Promise<void> => {
      const beginning = beginnings.get(id);
      const upload = (await ledger.get(id)) ?? beginning?.row;
      const isInspecting = upload?.state === 'inspecting' || (upload?.state === 'receiving' && beginning !== undefined);
      if (!isInspecting) end(upload);
      else if (isOver)
        end({ ...upload, state: 'inspecting', length: beginning?.length ?? upload.length, held: beginning?.held ?? upload.held });
    };
    function look(): void {
      read(true).catch(fail);
    }
    const begun = beginnings.get(id)?.done;
    if (signal.aborted) look();
    // Begun here, its change will be heard. Otherwise it may have come before the listener.
    else if (begun) begun.then((isBegun) => (isBegun ? undefined : read(false))).catch(fail);
    else read(false).catch(fail);
  });
}
