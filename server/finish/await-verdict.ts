import type { EventEmitter } from 'node:events';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload, UploadIn } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import { onAbort } from '../runtime/on-abort.ts';
import type { InspectionStarts, StartingInspection } from './inspection-starts.ts';

/**
 * Waits for the verdict, at most `patienceMs`. Resolves to the upload's row when the verdict is there or the time is over; to undefined
 * when the upload has no row. An upload whose inspection is being started counts as `inspecting`.
 *
 * @param signal when it aborts, this resolves to the present row
 * @param connection when it emits `close`, too
 */
export function awaitVerdict(
  { ledger, inspectionStarts }: { ledger: Ledger; inspectionStarts: InspectionStarts },
  id: UploadId,
  patienceMs: number,
  signal: AbortSignal,
  connection?: EventEmitter,
): Promise<Upload | undefined> {
  return new Promise((resolve, reject) => {
    const stop = ledger.onChange(id, (upload) => {
      if (upload.state !== 'inspecting') end(upload);
    });
    const timer = setTimeout(look, Math.max(patienceMs, 0));
    const forget = onAbort(signal, look);
    connection?.once('close', look);
    function cease(): void {
      stop();
      clearTimeout(timer);
      forget();
      connection?.off('close', look);
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
      const starting = inspectionStarts.get(id);
      const upload = (await ledger.get(id)) ?? starting?.row;
      const settled = upload?.state === 'receiving' && starting !== undefined ? underInspection(upload, starting) : upload;
      if (settled?.state !== 'inspecting' || isOver) end(settled);
    };
    function look(): void {
      read(true).catch(fail);
    }
    const started = inspectionStarts.get(id)?.done;
    if (signal.aborted) look();
    // When this process starts the inspection, the listener gets the verdict. Otherwise the verdict may have come before the listener
    // was added, so the row is read.
    else if (started) started.then((isStartedHere) => (isStartedHere ? undefined : read(false))).catch(fail);
    else read(false).catch(fail);
  });
}

/** The row as it will be once its inspection has started. */
function underInspection(upload: UploadIn<'receiving'>, { length, held, target }: StartingInspection): UploadIn<'inspecting'> {
  return { ...upload, state: 'inspecting', length, held, target, leaseOwner: null, retryAt: null, fault: null };
}
