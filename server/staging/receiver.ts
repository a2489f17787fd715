// Where every door (tus, forms) brings its bytes in: a row for a new upload, then bodies appended to it.
import type { Upload } from '../ledger/upload.ts';
import { Admission, type AdmissionOptions, type NewUpload } from './admission.ts';
import { BodyIntake, type BodyIntakeOptions, type Received, type ReceiveOptions } from './body-intake.ts';
import type { OpenBody } from './body-source.ts';
import type { ExpectedChecksum } from './chunk-checksum.ts';
import { Confirmations, type ConfirmationsOptions } from './confirmations.ts';
import type { EarlyRejectionOptions } from './early-rejection.ts';
import { FreeSpace } from './free-space.ts';
import { compareHeld, readHeld } from './held-bytes.ts';
import { requireSameBody, type StoredBody } from './repeated-body.ts';
import { type Checksum, completeChecksum } from './running-checksum.ts';

export interface ReceiverOptions extends AdmissionOptions, ConfirmationsOptions, EarlyRejectionOptions {
  bodyTimeoutMs: number;
}

export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #freeSpace: FreeSpace;
  readonly #admission: Admission;
  readonly #confirmations: Confirmations;
  readonly #intake: BodyIntakeOptions;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#freeSpace = new FreeSpace(options.staging);
    this.#admission = new Admission(options, this.#freeSpace);
    this.#confirmations = new Confirmations(options);
    this.#intake = { ...options, freeSpace: this.#freeSpace, confirmations: this.#confirmations };
  }

  /**
   * Adds an upload. With an idempotency key its owner used before, the earlier upload is returned and `created` is false.
   * @throws UploadError 413 over the size limit, 422 for a name that policy refuses and a key of another creation, 507 without
   *   room for the length
   */
  create(request: NewUpload): Promise<{ upload: Upload; created: boolean }> {
    return this.#admission.create(request);
  }

  /** Adds the row of an upload that came whole. @throws UploadError 413, 429, 403, 507: a limit that others have reached meanwhile */
  add<T>(upload: Upload, add: () => Promise<T>): Promise<T> {
    return this.#options.reservations.add(upload, add);
  }

  /**
   * Bytes that may be acknowledged to the sender: with durability `chunk` they are made durable first, and what can't be
   * is not counted. May be asked without the lock: bytes are only ever appended.
   */
  confirmed(upload: Upload): Promise<number> {
    return this.#confirmations.confirmed(upload);
  }

  /**
   * Appends a body to an upload that is `receiving` and resolves with what is stored then. The caller holds the lock.
   * When all bytes are stored already, the body is compared with the last ones instead: a response was lost, and the
   * sender repeats what it holds unacknowledged.
   *
   * @throws UploadError: a refusal by the first bytes (the upload has moved to `rejected`), a body longer than it may be
   *   (nothing beyond is kept), an interruption (what came is kept), a fault
   */
  async receive(upload: Upload, offset: number, body: OpenBody, options: ReceiveOptions): Promise<Received> {
    const { staging, ledger, unproved } = this.#options;
    const { requireHeld } = options;
    const confirmations = this.#confirmations;
    let stored = options.isNew ? 0 : await confirmations.stored(upload);
    if (stored > offset && (unproved.has(upload.id) || upload.unverifiedFrom !== null || stored !== upload.length)) {
      // More is here than could be proved, hence acknowledged: the sender brings it again.
      requireHeld?.();
      // First: what comes in their stead is not proved by what was there before.
      if (upload.provenOffset > offset) await ledger.change(upload.id, { from: 'receiving' }, { provenOffset: offset }, true);
      await staging.truncate(upload.id, offset);
      unproved.delete(upload.id);
      stored = offset;
    }
    // What a crash left of a chunk with a checksum is gone now, and what comes next need not carry one.
    if (upload.unverifiedFrom !== null) await confirmations.markUnverified(upload.id, null);
    if (upload.length !== null && stored >= upload.length) {
      const sent = await this.readHeld(body, upload.length - offset, options.signal, options.expected);
      await compareHeld(staging, upload.id, offset, sent);
      return { stored, complete: { proof: 'unknown' } };
    }
    // Whoever creates an upload has asked just before.
    if (!options.isNew) this.#freeSpace.askAgain();
    return new BodyIntake(this.#intake, upload, await this.#checksum(upload, stored), options).take(body);
  }

  /**
   * Of a body that is to be compared: at most `maxBytes`.
   * @throws UploadError when it is more, does not come, comes no further, or is not as `expected`
   */
  readHeld(body: OpenBody, maxBytes: number, signal: AbortSignal, expected: ExpectedChecksum | undefined): Promise<Buffer> {
    return readHeld(body, { maxBytes, signal, bodyTimeoutMs: this.#options.bodyTimeoutMs }, expected);
  }

  /** As `requireSameBody`. */
  requireSameBody(
    body: OpenBody,
    maxBytes: number,
    signal: AbortSignal,
    expected: ExpectedChecksum | undefined,
    stored: StoredBody,
  ): Promise<void> {
    return requireSameBody(body, { maxBytes, signal, bodyTimeoutMs: this.#options.bodyTimeoutMs }, expected, stored);
  }

  async #checksum(upload: Upload, stored: number): Promise<Checksum> {
    if (upload.checksumOffset === stored) return { checksum: upload.checksum, offset: stored };
    // Where the ledger was restored without them, there is no file to open.
    if (stored === 0) return { checksum: 0, offset: 0 };
    const reader = await this.#options.staging.open(upload.id);
    try {
      return await completeChecksum(upload, reader);
    } finally {
      await reader.close();
    }
  }
}
