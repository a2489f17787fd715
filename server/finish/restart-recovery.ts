// Recovers what an earlier process, or a dead process beside this one, left unfinished: inspections, and complete uploads whose
// inspection had not started.
import type { Ledger } from '../ledger/ledger.ts';
import type { UploadIn } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { TryLock } from '../locking/locker.ts';
import { isAllStored } from '../staging/all-stored.ts';
import type { Staging } from '../staging/staging.ts';
import type { InspectionRuns } from './inspection-runs.ts';
import type { InspectionStarts } from './inspection-starts.ts';

/** This many inspections are recovered at a time, so that a start does not overload the server. */
export const RECOVERED_AT_ONCE = 32;
const PAGE = 500;

export interface RestartRecoveryOptions {
  ledger: Ledger;
  staging: Staging;
  lock: TryLock;
  inspectionRuns: InspectionRuns;
  inspectionStarts: InspectionStarts;
  /** Aborted when the server shuts down: no inspection starts after that. */
  closing: AbortSignal;
  onFault(error: unknown): void;
}

export class RestartRecovery {
  readonly #options: RestartRecoveryOptions;
  #recovery: Promise<void> = Promise.resolve();

  constructor(options: RestartRecoveryOptions) {
    this.#options = options;
  }

  /**
   * Continues the inspections that the last process ran, and starts those of complete uploads, in the background. For a process that
   * serves the ledger alone.
   */
  async start(): Promise<void> {
    const { ledger, onFault } = this.#options;
    await ledger.leases.releaseAll();
    this.#recovery = this.#recover(new Set(await ledger.uploads.emptyReceiving())).catch((error) => onFault(error));
  }

  /** Resolves when everything that was found at the start is recovered. Never rejects. */
  get done(): Promise<void> {
    return this.#recovery;
  }

  /** Starts the inspection of a complete upload whose writer died before it could. Call under the upload's lock. */
  async startInspectionIfComplete(id: UploadId): Promise<void> {
    const { ledger, staging, inspectionStarts } = this.#options;
    const upload = await ledger.get(id);
    // Empty uploads are left out: their creation is answered with the verdict, so this sender got no answer and creates the upload again.
    if (upload?.state !== 'receiving' || !upload.length || upload.unverifiedFrom !== null || upload.directDueAt !== null) return;
    if (await isAllStored(staging, upload)) void inspectionStarts.start(id, upload.length, 'byte');
  }

  /**
   * Runs in the background: requests for these uploads are served as any others.
   *
   * @param unanswered empty uploads that existed at the start, whose senders got no answer
   */
  async #recover(unanswered: ReadonlySet<string>): Promise<void> {
    const { ledger, inspectionRuns, closing } = this.#options;
    for (const id of await ledger.leases.due(ledger.now(), Number.MAX_SAFE_INTEGER)) {
      inspectionRuns.run(id);
      await this.#untilFewRun();
    }
    let after = '';
    while (!closing.aborted) {
      const page = await ledger.uploads.receiving(after, PAGE);
      for (const upload of page) {
        after = upload.id;
        await this.#recoverReceiving(upload, unanswered);
        await this.#untilFewRun();
      }
      if (page.length < PAGE) return;
    }
  }

  async #recoverReceiving(upload: UploadIn<'receiving'>, unanswered: ReadonlySet<string>): Promise<void> {
    const { id, length, unverifiedFrom, directDueAt } = upload;
    const { ledger, staging, lock, inspectionStarts } = this.#options;
    // `DirectCompletion` looks for bytes that are sent directly to S3.
    if (length === null || directDueAt !== null) return;
    if (length === 0) {
      // The sender got no answer to the creation and creates the upload again.
      if (unanswered.has(id) && (await ledger.abandon(id))) await staging.remove(id);
      return;
    }
    // A chunk whose checksum was not verified does not complete the upload.
    if (unverifiedFrom !== null || !(await isAllStored(staging, upload))) return;
    await lock.tryWith(id, async () => {
      // Not awaited: an upload whose bytes cannot be made durable must not delay the others.
      if (await isAllStored(staging, upload)) void inspectionStarts.start(id, length, 'byte');
    });
  }

  async #untilFewRun(): Promise<void> {
    const { inspectionRuns, inspectionStarts } = this.#options;
    if (inspectionRuns.size + inspectionStarts.size >= RECOVERED_AT_ONCE)
      await Promise.race([...inspectionRuns.all(), ...inspectionStarts.all()]);
  }
}
