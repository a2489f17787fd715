// The way into staging for all protocols (tus, forms): creates the row of a new upload, then appends bodies to it.
import type { Upload } from '../ledger/upload.ts';
import { Admission, type AdmissionOptions, type NewUpload } from './admission.ts';
import { BodyIntake, type BodyIntakeOptions, type Received, type ReceiveOptions } from './body-intake.ts';
import type { OpenBody } from './body-source.ts';
import type { ExpectedChecksum } from './chunk-checksum.ts';
import { Confirmations, type ConfirmationsOptions, type Offsets } from './confirmations.ts';
import type { EarlyRejectionOptions } from './early-rejection.ts';
import { FreeSpace } from './free-space.ts';
import { compareHeld, readHeld } from './held-bytes.ts';
import { requireSameBody, type StoredBody } from './repeated-body.ts';
import type { WaitForRoom } from './reservations.ts';
import { type Checksum, completeChecksum } from './running-checksum.ts';
import { SyncTurns } from './sync-turns.ts';

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
    this.#intake = { ...options, freeSpace: this.#freeSpace, confirmations: this.#confirmations, syncTurns: new SyncTurns() };
  }

  /**
   * Adds an upload. With an idempotency key that its owner used before, resolves to the earlier upload, and `created` is false.
   * @throws UploadError 413 over the size limit; 422 for a name that the policy refuses, or the key of another creation; 507 without
   *   space for the length
   */
  create(request: NewUpload): Promise<{ upload: Upload; created: boolean }> {
    return this.#admission.create(request);
  }

  /**
   * Adds the row of an upload that its creation brought whole.
   * @throws UploadError 413, 429, 403, 507 when a limit was reached meanwhile
   */
  add<T>(upload: Upload, add: () => Promise<T>, waitForRoom?: WaitForRoom): Promise<T> {
    return this.#options.reservations.add(upload, add, waitForRoom);
  }

  /**
   * Writes the length of an upload that was created without one. Durable. Resolves to false when the upload is not `receiving`.
   * @throws UploadError 413, 429, 507 when there is no room for that many bytes; then no length is declared
   */
  declare(upload: Upload, length: number): Promise<boolean> {
    return this.#options.reservations.declare(upload, length);
  }

  /**
   * The number of bytes that may be acknowledged to the sender. With durability `chunk` it makes them durable first, and does not count
   * bytes for which that fails. May be called without the lock, since bytes are only ever appended.
   */
  confirmed(upload: Upload): Promise<number> {
    return this.#confirmations.confirmed(upload);
  }

  /** Like `confirmed`, with the number of bytes that are stored. Under the lock, no other request stores bytes after that. */
  offsets(upload: Upload): Promise<Offsets> {
    return this.#confirmations.offsets(upload);
  }

  /**
   * Appends a body to an upload that is `receiving`. Call under the lock. When all bytes are stored already, the body is compared with
   * the last bytes instead: a response was lost, and the sender repeats the unacknowledged bytes.
   *
   * @throws UploadError when the first bytes are refused (the upload has moved to `rejected`), when the body is too long (the excess is
   *   not kept), when it is interrupted (received bytes are kept), or at a fault
   */
  async receive(upload: Upload, offset: number, body: OpenBody, options: ReceiveOptions): Promise<Received> {
    const { staging, ledger, syncFailures } = this.#options;
    const { requireHeld } = options;
    const confirmations = this.#confirmations;
    if (!options.isNew) this.#freeSpace.askAhead();
    let stored = options.isNew ? 0 : (options.stored ?? (await confirmations.stored(upload)));
    if (stored > offset && (syncFailures.has(upload.id) || upload.unverifiedFrom !== null || stored !== upload.length)) {
      // More bytes are stored than were acknowledged, because they are not proven durable or not verified: the sender sends them again.
      requireHeld?.();
      // The ledger is changed first: its proven offset must not cover the new bytes at the same place.
      if (upload.provenOffset > offset) await ledger.change(upload.id, { from: 'receiving' }, { provenOffset: offset }, true);
      await staging.truncate(upload.id, offset);
      syncFailures.delete(upload.id);
      stored = offset;
    }
    // The rest of an unverified chunk, left by a crash, is removed now, and the next body need not have a checksum.
    if (upload.unverifiedFrom !== null) await confirmations.markUnverified(upload.id, null);
    if (upload.length !== null && stored >= upload.length) {
      const sent = await this.readHeld(body, upload.length - offset, options.signal, options.expected);
      await compareHeld(staging, upload.id, offset, sent);
      return { stored, complete: { proof: 'unknown' } };
    }
    return new BodyIntake(this.#intake, upload, await this.#checksum(upload, stored), options).store(body);
  }

  /**
   * Reads a body of at most `maxBytes` that is to be compared.
   * @throws UploadError when it is too long, too slow or cut off, or does not match `expected`
   */
  readHeld(body: OpenBody, maxBytes: number, signal: AbortSignal, expected: ExpectedChecksum | undefined): Promise<Buffer> {
    return readHeld(body, { maxBytes, signal, bodyTimeoutMs: this.#options.bodyTimeoutMs }, expected);
  }

  /** See `requireSameBody` in repeated-body.ts. */
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
    // A ledger that was restored without the staged bytes has no file to open.
    if (stored === 0) return { checksum: 0, offset: 0 };
    const reader = await this.#options.staging.open(upload.id);
    try {
      return await completeChecksum(upload, reader);
    } finally {
      await reader.close();
    }
  }
}
