// A cancelled upload is only paused for ten seconds, in which it can be undone. If the page is closed within that time, nothing is
// cancelled, and the next visit lists the upload as unfinished.
import { UploadError } from '../../shared/errors.ts';
import type { QueueSnapshot } from '../handle/queue-snapshot.ts';
import type { UploadHandle, UploadSnapshot } from '../handle/snapshot.ts';
import { isFinal } from '../handle/states.ts';

export const UNDO_WITHIN_MS = 10_000;

interface Cancellation {
  upload: UploadHandle;
  timer: ReturnType<typeof setTimeout>;
  /** The upload was paused before, so it stays paused after an undo. */
  wasPaused: boolean;
}

export class Cancellations {
  readonly #pending = new Map<string, Cancellation>();
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** Ids of the cancelled uploads that can be undone. */
  get ids(): ReadonlySet<string> {
    return new Set(this.#pending.keys());
  }

  schedule(upload: UploadHandle): void {
    const { id, state } = upload.snapshot;
    if (isFinal(state) || this.#pending.has(id)) return;
    const timer = setTimeout(() => this.cancelNow(id), UNDO_WITHIN_MS);
    this.#pending.set(id, { upload, timer, wasPaused: state === 'paused' });
    upload.pause();
    this.#onChange();
  }

  /** Returns false when there is nothing to undo. */
  undo(id: string): boolean {
    const cancellation = this.#removePending(id);
    if (cancellation === undefined) return false;
    if (!cancellation.wasPaused) cancellation.upload.resume();
    this.#onChange();
    return true;
  }

  /** Cancels the upload now, on the server too. */
  cancelNow(id: string): void {
    const cancellation = this.#removePending(id);
    if (cancellation === undefined) return;
    void cancellation.upload.cancel({ deleteRemote: true }).catch(() => undefined);
    this.#onChange();
  }

  /** The queue as the user sees it, with these uploads cancelled. */
  applyTo(queue: QueueSnapshot): QueueSnapshot {
    if (this.#pending.size === 0) return queue;
    const sum = { sent: queue.sent, confirmed: queue.confirmed, size: queue.size };
    const counts = { ...queue.counts };
    const uploads = queue.uploads.map((upload) => {
      if (!this.#pending.has(upload.id) || isFinal(upload.state)) return upload;
      counts[upload.state] -= 1;
      counts.cancelled += 1;
      sum.sent -= upload.sent;
      sum.confirmed -= upload.confirmed;
      sum.size -= upload.size ?? upload.sent;
      return cancelled(upload);
    });
    return { ...queue, ...sum, uploads, counts, isIdle: uploads.every(({ state }) => isFinal(state)) };
  }

  #removePending(id: string): Cancellation | undefined {
    const cancellation = this.#pending.get(id);
    clearTimeout(cancellation?.timer);
    this.#pending.delete(id);
    return cancellation;
  }
}

function cancelled({ id, name, sent, confirmed, size, resumedFrom, attempt }: UploadSnapshot): UploadSnapshot {
  const error = new UploadError('ERR_CANCELLED');
  return { id, name, sent, confirmed, size, resumedFrom, attempt, state: 'cancelled', bytesPerSecond: 0, etaSeconds: null, error };
}
