// A cancelled upload is only paused for ten seconds, in which it can be undone. If the page is closed within that time, nothing is
// cancelled, and the next visit lists the upload as unfinished. A server that has every byte deletes nothing: then its verdict is shown.
import { UploadError } from '../../shared/errors.ts';
import type { UploadRecord } from '../../shared/upload.ts';
import { type QueueSnapshot, SnapshotMaker } from '../handle/queue-snapshot.ts';
import type { StateDetails, UploadHandle, UploadResult, UploadSnapshot } from '../handle/snapshot.ts';
import { isFinal } from '../handle/states.ts';
import type { UploadOptions } from '../options.ts';
import { resultOf } from '../transfer/acceptance.ts';
import { rejectionOf } from '../transfer/status.ts';
import { recordsOf } from './verdict.ts';

export const UNDO_WITHIN_MS = 10_000;

/**
 * - `undoable`: the upload is paused, and is cancelled after ten seconds
 * - `deleting`: the server was asked to delete the upload
 * - `unreachable`: the server did not answer, and may have every byte
 * - `too-late`: the server has every byte, so its verdict counts
 */
export type CancellationPhase = 'undoable' | 'deleting' | 'unreachable' | 'too-late';

export interface CancellationsHost {
  readonly options: Pick<UploadOptions, 'headers' | 'timeouts' | 'withCredentials'>;
  onChange(): void;
  /** The server accepted a cancelled upload. */
  onAccepted(id: string, result: UploadResult): void;
  /** The server refused a cancelled upload. */
  onRejected(id: string): void;
}

interface Cancellation {
  readonly upload: UploadHandle;
  phase: CancellationPhase;
  /** The upload was paused before, so it stays paused after an undo. */
  readonly wasPaused: boolean;
  /** Every byte had left this device, so the server may have them all. */
  readonly isSent: boolean;
  timer?: ReturnType<typeof setTimeout>;
  /** What the server says about it, in the phase `too-late`. */
  verdict?: UploadSnapshot | undefined;
}

export class Cancellations {
  readonly #host: CancellationsHost;
  readonly #all = new Map<string, Cancellation>();
  readonly #snapshots = new SnapshotMaker();

  constructor(host: CancellationsHost) {
    this.#host = host;
  }

  /** By the id of the upload. Without those that the server deleted. */
  get phases(): ReadonlyMap<string, CancellationPhase> {
    return new Map([...this.#all].map(([id, { phase }]) => [id, phase]));
  }

  /** Ids of the cancelled uploads that can be undone. */
  get undoable(): string[] {
    return [...this.#all].filter(([, { phase }]) => phase === 'undoable').map(([id]) => id);
  }

  /** The upload was cancelled too late, and the server has no verdict yet. */
  isInspecting(id: string): boolean {
    return this.#all.get(id)?.verdict?.state === 'inspecting';
  }

  schedule(upload: UploadHandle): void {
    const { id, state } = upload.snapshot;
    if (isFinal(state) || this.#all.has(id)) return;
    const cancellation = this.#add(upload);
    cancellation.timer = setTimeout(() => void this.cancelNow(upload), UNDO_WITHIN_MS);
    upload.pause();
    this.#host.onChange();
  }

  /** Returns false when there is nothing to undo. */
  undo(id: string): boolean {
    const cancellation = this.#all.get(id);
    if (cancellation?.phase !== 'undoable') return false;
    clearTimeout(cancellation.timer);
    this.#all.delete(id);
    if (!cancellation.wasPaused) cancellation.upload.resume();
    this.#host.onChange();
    return true;
  }

  /** Cancels the upload now, on the server too. Resolves when the server has deleted it or has a verdict. */
  async cancelNow(upload: UploadHandle): Promise<void> {
    const { id, state } = upload.snapshot;
    if (isFinal(state)) return;
    const cancellation = this.#all.get(id) ?? this.#add(upload);
    clearTimeout(cancellation.timer);
    cancellation.phase = 'deleting';
    const deleted = upload.cancel({ deleteRemote: true });
    this.#host.onChange();
    try {
      await deleted;
    } catch (error) {
      await this.#followVerdict(cancellation, error);
    }
    if (cancellation.verdict === undefined || !isFinal(cancellation.verdict.state)) this.#all.delete(id);
    this.#host.onChange();
  }

  /** The queue as the user sees it: with these uploads cancelled, or in the state that the server reports. */
  applyTo(queue: QueueSnapshot): QueueSnapshot {
    if (this.#all.size === 0) return queue;
    const uploads = queue.uploads.map((upload) => {
      const cancellation = this.#all.get(upload.id);
      if (cancellation === undefined) return upload;
      if (cancellation.verdict || isFinal(upload.state)) return cancellation.verdict ?? upload;
      return inState(upload, { state: 'cancelled', error: new UploadError('ERR_CANCELLED') });
    });
    return this.#snapshots.of(uploads, queue.isPaused);
  }

  #add(upload: UploadHandle): Cancellation {
    const { id, state, sent, confirmed, size } = upload.snapshot;
    // The server acknowledges the last byte only with the verdict.
    const isSent = size !== null && Math.max(sent, confirmed) >= size - 1;
    const cancellation: Cancellation = { upload, phase: 'undoable', wasPaused: state === 'paused', isSent };
    this.#all.set(id, cancellation);
    return cancellation;
  }

  /** The server did not delete the upload. Without its last bytes, the upload expires there. */
  async #followVerdict(cancellation: Cancellation, error: unknown): Promise<void> {
    const isComplete = error instanceof UploadError && /FINISHED|INSPECTING/.test(error.code);
    const { snapshot } = cancellation.upload;
    const { id, url, name, resumedFrom } = snapshot;
    const size = snapshot.size ?? 0;
    if (typeof url !== 'string' || !(isComplete || cancellation.isSent)) return;
    if (!isComplete) {
      cancellation.phase = 'unreachable';
      this.#host.onChange();
    }
    for await (const record of recordsOf(url, this.#host.options)) {
      const result = resultOf(record, { url, name, size, checksum: null, resumed: resumedFrom > 0 });
      cancellation.verdict = snapshotOf(snapshot, record, result.url);
      if (cancellation.verdict === undefined) return;
      cancellation.phase = 'too-late';
      this.#host.onChange();
      if (record.state === 'accepted') this.#host.onAccepted(id, result);
      else if (record.state === 'rejected') this.#host.onRejected(id);
    }
  }
}

/** The upload in the state of its record; undefined when the server has neither every byte nor the file. */
function snapshotOf(upload: UploadSnapshot, record: UploadRecord, url: string | null): UploadSnapshot | undefined {
  const size = upload.size ?? 0;
  const whole = { ...upload, sent: size, confirmed: size };
  if (record.state === 'inspecting') return inState(whole, { state: 'inspecting' });
  if (record.state === 'accepted') return inState(whole, { state: 'accepted', url });
  if (record.state === 'rejected') return inState(upload, { state: 'rejected', error: rejectionOf(record) });
  return undefined;
}

function inState(upload: UploadSnapshot, details: StateDetails): UploadSnapshot {
  return Object.freeze({
    ...upload,
    waiting: undefined,
    error: undefined,
    bytesPerSecond: 0,
    etaSeconds: null,
    ...details,
  } as UploadSnapshot);
}
