// How an inspection ends: the verdict in the ledger first, then what need not be kept goes, then whoever asked for it is told.
import type { Logger } from 'pino';
import type { Rejection } from '../../shared/errors.ts';
import type { Inspection } from '../inspection/inspection.ts';
import { moveToRejected, type RejectionOptions } from '../ledger/rejection.ts';
import type { LeasedUpload, Upload } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import { Retries } from '../runtime/retries.ts';
import { NO_CHECKSUM } from '../staging/running-checksum.ts';
import type { Staging } from '../staging/staging.ts';
import type { Storage, Target } from '../storage/storage.ts';
import type { Lease } from './lease.ts';

export interface VerdictsOptions extends RejectionOptions {
  staging: Staging;
  storage: Storage;
  log: Logger;
  /** So long the file is kept once it is accepted; null: until somebody removes it. */
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

  /** Lets the clean-up at hand end. */
  close(): Promise<void> {
    return this.#cleanUps.close();
  }

  /** Of what was published. */
  async accept(
    upload: LeasedUpload,
    lease: Lease,
    { found, result, checksum, sha256 }: Inspection,
    { name, type, directory }: Pick<Target, 'name' | 'type' | 'directory'>,
  ): Promise<void> {
    const { ledger, staging, storage, keepFilesForMs } = this.#options;
    const { id, length, target } = upload;
    const keptForMs = keepFilesForMs(upload);
    const accepted = await ledger.move(id, { from: 'inspecting', lease }, 'accepted', {
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
    });
    if (!accepted) {
      await this.withdraw(id, target, lease.attempt);
      return;
    }
    await this.#ended(accepted, async () => {
      // Of the others who published, nobody is named by the row. The staged bytes go last: a start that finds them does this again.
      if (lease.attempt > 1) await storage.keepOnly(directory);
      await staging.remove(id);
    });
  }

  /** @param inspection undefined: the file is refused without another */
  async reject(upload: LeasedUpload, lease: Lease, rejection: Rejection, inspection?: Inspection): Promise<void> {
    const { staging, storage } = this.#options;
    const { result = null, found } = inspection ?? {};
    const known = { result, scan: found?.scan ? JSON.stringify(found.scan) : null, fault: null };
    const rejected = await moveToRejected(this.#options, upload.id, { from: 'inspecting', lease }, rejection, known);
    if (!rejected) return;
    await this.#ended(rejected, async () => {
      // An earlier attempt may have published and crashed before its verdict. The staged bytes go last: a start that finds
      // them knows that this was not done to its end.
      if (lease.attempt > 1) await storage.remove(upload.target);
      await staging.remove(upload.id);
    });
  }

  /** The row was not this attempt's to write any more. What another holder of the lease accepted is not touched. */
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
    // As after a refusal.
    await storage.remove(target);
    await staging.remove(id);
  }

  /**
   * An upload was found to have ended: what it need not keep goes, and whoever waits here for its verdict is told.
   * @param isOurs this process came to it, and did not hear that it was written: so nobody was told of it
   */
  async settleEnded(upload: Upload, isOurs: boolean): Promise<void> {
    if (upload.state === 'receiving' || upload.state === 'inspecting') return;
    this.#options.ledger.logVerdict(upload);
    if (isOurs) await this.#ended(upload, () => this.#clear(upload));
    else await this.#clear(upload);
  }

  async #clear(upload: Upload): Promise<void> {
    const { staging, storage } = this.#options;
    if (upload.state === 'rejected' && upload.target !== null) await storage.remove(upload.target);
    if (upload.state === 'accepted' && upload.attempt > 1) await storage.keepOnly(upload.target);
    await staging.remove(upload.id);
  }

  /** After the verdict: nothing that fails here changes it. */
  async #ended(upload: Upload, cleanUp: () => Promise<void>): Promise<void> {
    await this.#cleanUps.do(cleanUp);
    this.announce(upload);
  }

  /** A line in the log, whoever came to the verdict. The application hears of it by its event. */
  announce(upload: Upload): void {
    const { log } = this.#options;
    const { id, state, length } = upload;
    log.info({ upload: id, state, length, code: upload.state === 'rejected' ? upload.errorCode : undefined }, state);
  }
}
