import type { Ledger } from '../ledger/ledger.ts';
import type { Upload, UploadIn } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { InspectionStarts, StartingInspection } from './inspection-starts.ts';

/**
 * Waits for the verdict, at most `patienceMs`, and resolves with the row as it is then; as `inspecting` also while its bytes
 * are still being made durable. Undefined: there is no such row any more.
 *
 * @param signal aborted when nobody waits any more: resolves with the row as it is
 */
export function awaitVerdict(
  { ledger, inspectionStarts }: { ledger: Ledger; inspectionStarts: InspectionStarts },
  id: UploadId,
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
      const beginning = inspectionStarts.get(id);
      const upload = (await ledger.get(id)) ?? beginning?.row;
      const settled = upload?.state === 'receiving' && beginning !== undefined ? underInspection(upload, beginning) : upload;
      if (settled?.state !== 'inspecting' || isOver) end(settled);
    };
    function look(): void {
      read(true).catch(fail);
    }
    const begun = inspectionStarts.get(id)?.done;
    if (signal.aborted) look();
    // Begun here, its change will be heard. Otherwise it may have come before the listener.
    else if (begun) begun.then((isBegun) => (isBegun ? undefined : read(false))).catch(fail);
    else read(false).catch(fail);
  });
}

/** The row as it will be once its inspection has begun. */
function underInspection(upload: UploadIn<'receiving'>, { length, held, target }: StartingInspection): UploadIn<'inspecting'> {
  return { ...upload, state: 'inspecting', length, held, target, leaseOwner: null, retryAt: null, fault: null };
}
