// The end of an inspection: writes the verdict to the ledger (which calls its listeners), deletes unneeded bytes, and logs the verdict.
import type { Logger } from 'pino';
import type { Rejection } from '../../shared/errors.ts';
import type { Inspection } from '../inspection/inspection.ts';
import { moveToRejected, type RejectionOptions } from '../ledger/rejection.ts';
import type { LeasedUpload, Upload } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import { countVerdict } from '../runtime/heap-growth.ts';
import { Retries } from '../runtime/retries.ts';
import { NO_CHECKSUM } from '../staging/running-checksum.ts';
import type { Staging } from '../staging/staging.ts';
import type { Storage, Target } from '../storage/storage.ts';
import type { Lease } from './lease.ts';

export interface VerdictsOptions extends RejectionOptions {
  staging: Staging;
  storage: Storage;
  log: Logger;
  /** How long the accepted file is kept; null: until an operator removes it. */
  keepFilesForMs(upload: LeasedUpload): number | null;
  onFault(error: unknown, id?: UploadId): void;
}

export class Verdicts {
  readonly #options: VerdictsOptions;
  readonly #cleanUps: Retries;

  constructor(options: VerdictsOptions) {
    this.#options = options;
    this.#cleanUps = new Retries(options.onFault);
  }

  /** Waits for the running clean-up. */
  close(): Promise<void> {
    return this.#cleanUps.close();
  }

  /** Accepts a file that was published. */
  async accept(
    upload: LeasedUpload,
    lease: Lease,
    { found, result, checksum, sha256 }: Inspection,
    { name, type, directory }: Pick<Target, 'name' | 'type' | 'directory'>,
  ): Promise<void> {
    const { ledger, staging, storage, keepFilesForMs } = this.#options;
    const { id, length, target } = upload;
    const keptForMs = keepFilesForMs(upload);
    const accepted = await ledger.move(
      id,
      { from: 'inspecting', lease },
      'accepted',
      {
        name,
        target: directory,
        type,
        ...(checksum === null ? { checksumOffset: NO_CHECKSUM } : { checksum, checksumOffset: length }),
        sha256,
        result,
        scan: found.scan && JSON.stringify(found.scan),
        fault: null,
        strikes: 0,
        leaseOwner: null,
        expiresAt: keptForMs === null ? null : ledger.now() + keptForMs,
      },
      upload,
    );
    if (!accepted) {
      await this.withdraw(id, target, lease.attempt);
      return;
    }
    await this.#cleanUp(accepted, async () => {
      // Deletes files that other runs published. The staged bytes go last: a start that finds them repeats the clean-up.
      if (lease.attempt > 1) await storage.keepOnly(directory);
      await staging.remove(id);
    });
  }

  /** @param inspection undefined when the file is refused without another run of the checks */
  async reject(upload: LeasedUpload, lease: Lease, rejection: Rejection, inspection?: Inspection): Promise<void> {
    const { staging, storage } = this.#options;
    const { result = null, found } = inspection ?? {};
    const known = { result, scan: found?.scan ? JSON.stringify(found.scan) : null, fault: null };
    const rejected = await moveToRejected(this.#options, upload.id, { from: 'inspecting', lease }, rejection, known);
    if (!rejected) return;
    await this.#cleanUp(rejected, async () => {
      // An earlier run may have published the file and crashed before its verdict. The staged bytes go last: a start that finds them
      // repeats the clean-up.
      if (lease.attempt > 1) await storage.remove(upload.target);
      await staging.remove(upload.id);
    });
  }

  /** Deletes what this run published, after it lost the lease. A file that another run accepted is kept. */
  withdraw(id: UploadId, target: string, attempt: number): Promise<void> {
    return this.#cleanUps.do(() => this.#withdraw(id, target, attempt));
  }

  async #withdraw(id: UploadId, target: string, attempt: number): Promise<void> {
    const { ledger, staging, storage } = this.#options;
    const now = await ledger.get(id);
    if (now?.state === 'accepted' || now?.state === 'inspecting') {
      if (now.attempt !== attempt) await storage.retract({ directory: target, attempt });
      return;
    }
    // The same clean-up as after a rejection.
    await storage.remove(target);
    await staging.remove(id);
  }

  /**
   * Cleans up after an upload that this process found to have ended, and calls the listeners that wait for its verdict.
   * @param isOurs true when a run of this process wrote the verdict and did not receive the ledger's answer
   */
  async settleEnded(upload: Upload, isOurs: boolean): Promise<void> {
    if (upload.state === 'receiving' || upload.state === 'inspecting') return;
    this.#options.ledger.announce(upload);
    if (isOurs) await this.#cleanUp(upload, () => this.#clear(upload));
    else await this.#clear(upload);
  }

  async #clear(upload: Upload): Promise<void> {
    const { staging, storage } = this.#options;
    if (upload.state === 'rejected' && upload.target !== null) await storage.remove(upload.target);
    if (upload.state === 'accepted' && upload.attempt > 1) await storage.keepOnly(upload.target);
    await staging.remove(upload.id);
  }

  /** Cleans up after the verdict. A failure does not change the verdict. */
  async #cleanUp(upload: Upload, work: () => Promise<void>): Promise<void> {
    await this.#cleanUps.do(work);
    this.logVerdict(upload);
  }

  /** Logs the verdict, and counts it for the growth of the heap. The application gets it by an event. */
  logVerdict(upload: Upload): void {
    const { log } = this.#options;
    const { id, state, length } = upload;
    countVerdict();
    log.info({ upload: id, state, length, code: upload.state === 'rejected' ? upload.errorCode : undefined }, state);
  }
}
