// What an earlier process left, or one beside this that is no more, is taken up: inspections, and complete uploads that nobody
// had inspected.
import type { Ledger } from '../ledger/ledger.ts';
import type { UploadIn } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { TryLock } from '../locking/locker.ts';
import { isAllStored } from '../staging/all-stored.ts';
import type { Staging } from '../staging/staging.ts';
import type { InspectionRuns } from './inspection-runs.ts';
import type { InspectionStarts } from './inspection-starts.ts';

/** Taken up this many at a time, so that a start is not a stampede. */
export const RECOVERED_AT_ONCE = 32;
const PAGE = 500;

export interface RestartRecoveryOptions {
  ledger: Ledger;
  staging: Staging;
  lock: TryLock;
  inspectionRuns: InspectionRuns;
  inspectionStarts: InspectionStarts;
  /** Aborted when nothing is to be taken up any more. */
  closing: AbortSignal;
  onFault(error: unknown): void;
}

export class RestartRecovery {
  readonly #options: RestartRecoveryOptions;
  #resumed: Promise<void> = Promise.resolve();

  constructor(options: RestartRecoveryOptions) {
    this.#options = options;
  }

  /**
   * Takes up what an earlier process left: running inspections, and uploads whose bytes are complete but were never inspected.
   * For a ledger that this process alone serves.
   */
  async start(): Promise<void> {
    const { ledger, onFault } = this.#options;
    await ledger.leases.releaseAll();
    this.#resumed = this.#resume(new Set(await ledger.emptyReceiving())).catch((error) => onFault(error));
  }

  /** Resolves when everything that was found at the start has been taken up. Never rejects. */
  get done(): Promise<void> {
    return this.#resumed;
  }

  /** Begins an inspection that whoever stored the last byte did not come to. To be called under the upload's lock. */
  async startInspectionIfComplete(id: UploadId): Promise<void> {
    const { ledger, staging, inspectionStarts } = this.#options;
    const upload = await ledger.get(id);
    // An empty one's sender was never answered: for them it was never created.
    if (upload?.state !== 'receiving' || !upload.length || upload.unverifiedFrom !== null || upload.directDueAt !== null) return;
    if (await isAllStored(staging, upload)) void inspectionStarts.start(id, upload.length, 'byte');
  }

  /**
   * In the background: requests for these uploads wait like any other.
   *
   * @param unanswered empty uploads that were there at the start: their senders were never answered
   */
  async #resume(unanswered: ReadonlySet<string>): Promise<void> {
    const { ledger, inspectionRuns, closing } = this.#options;
    for (const id of await ledger.leases.due(ledger.now(), Number.MAX_SAFE_INTEGER)) {
      inspectionRuns.run(id);
      await this.#untilFewRun();
    }
    let after = '';
    while (!closing.aborted) {
      const page = await ledger.receiving(after, PAGE);
      for (const upload of page) {
        after = upload.id;
        await this.#resumeReceiving(upload, unanswered);
        await this.#untilFewRun();
      }
      if (page.length < PAGE) return;
    }
  }

  async #resumeReceiving(upload: UploadIn<'receiving'>, unanswered: ReadonlySet<string>): Promise<void> {
    const { id, length, unverifiedFrom, directDueAt } = upload;
    const { ledger, staging, lock, inspectionStarts } = this.#options;
    // What is sent past the server has a time of its own.
    if (length === null || directDueAt !== null) return;
    if (length === 0) {
      // For its sender it was never created.
      if (unanswered.has(id) && (await ledger.abandon(id))) await staging.remove(id);
      return;
    }
    // A chunk whose checksum was never looked at completes nothing.
    if (unverifiedFrom !== null || !(await isAllStored(staging, upload))) return;
    await lock.tryWith(id, async () => {
      // Not awaited: one whose bytes can't be proved must not hold up the others.
      if (await isAllStored(staging, upload)) void inspectionStarts.start(id, length, 'byte');
    });
  }

  async #untilFewRun(): Promise<void> {
    const { inspectionRuns, inspectionStarts } = this.#options;
    if (inspectionRuns.size + inspectionStarts.size >= RECOVERED_AT_ONCE)
      await Promise.race([...inspectionRuns.all(), ...inspectionStarts.all()]);
  }
}
