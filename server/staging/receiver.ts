// Where every door (tus, forms) brings its bytes in: a row for a new upload, then bodies appended to it.

import type { Readable } from 'node:stream';
import { UploadError } from '../../shared/errors.ts';
import type { Upload } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import { Admission, type AdmissionOptions, type NewUpload } from './admission.ts';
import { Checkpoints } from './checkpoints.ts';
import { type ExpectedChecksum, type RunningDigest, requireDigest, startDigest } from './chunk-checksum.ts';
import { Confirmations, type ConfirmationsOptions } from './confirmations.ts';
import { type EarlyRejectionOptions, requireAllowedHead } from './early-rejection.ts';
import { faultOf } from './faults.ts';
import { Head } from './head.ts';
import { compareHeld, readHeld } from './held-bytes.ts';
import { refusalOf } from './refusal.ts';
import { requireSameBody, type StoredBody } from './repeated-body.ts';
import { Room } from './room.ts';
import { advance, type Checksum, completeChecksum } from './running-checksum.ts';
import type { BodyEnd, Proof } from './staging.ts';

export interface ReceiverOptions extends AdmissionOptions, ConfirmationsOptions, EarlyRejectionOptions {
  bodyTimeoutMs: number;
}

export interface ReceiveOptions {
  /** Bytes this body may have. */
  maxBytes: number;
  /** Aborted when the lock is wanted by another. */
  signal: AbortSignal;
  onActivity?: () => void;
  /**
   * To be asked right before bytes are written or taken back, or counted; the name that the ledger knows the holder by.
   * @throws UploadError when the lock is not the caller's any more
   */
  requireHeld?: () => string | undefined;
  /** What the body must be; else nothing of it is kept. */
  expected?: ExpectedChecksum | undefined;
  /** The upload was created just now: there is nothing to look at yet. */
  isNew?: boolean;
  /** And it has no row yet. */
  comesWhole?: boolean;
}

export interface Received {
  /** Bytes stored in all. */
  stored: number;
  /** When all are: what the finish need not find out again. */
  complete?: Complete;
}

/** An upload whose bytes are all stored, as far as whoever stored them knows. */
export interface Complete {
  proof: Proof;
  /** CRC-32 of the whole; undefined: the ledger's, brought up to date. */
  checksum?: number;
  /** The first HEAD_BYTES, or all. */
  head?: Uint8Array;
}

export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #room: Room;
  readonly #admission: Admission;
  readonly #confirmations: Confirmations;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#room = new Room(options.staging);
    this.#admission = new Admission(options, this.#room);
    this.#confirmations = new Confirmations(options);
  }

  /**
   * Adds an upload. With an idempotency key its owner used before, the earlier upload is returned and `created` is false.
   * @throws UploadError 413 over the size limit, 422 for a name that policy refuses and a key of another creation, 507 without
   *   room for the length
   */
  create(request: NewUpload): Promise<{ upload: Upload; created: boolean }> {
    return this.#admission.create(request);
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
  async receive(upload: Upload, offset: number, body: Readable, options: ReceiveOptions): Promise<Received> {
    const { staging, ledger, unproved, bodyTimeoutMs } = this.#options;
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
    if (!options.isNew) this.#room.askAgain();
    const checksum = await this.#checksum(upload, stored);
    const head = new Head(upload, stored);
    const checkpoints = new Checkpoints(upload.id, stored, this.#options, requireHeld);
    const { expected, comesWhole = false } = options;
    const digest = expected && startDigest(expected.algorithm);
    // As much as a sender may have been told of.
    let before = { ...checksum };
    const judgeHead = async () => {
      // What is whole now is inspected whole at once.
      if (!head.isWhole || checksum.offset === upload.length || comesWhole) return;
      await requireAllowedHead(this.#options, upload, head.bytes, before);
      head.forget();
    };
    // One a batch that is on its way.
    const passed: Checksum[] = [];
    let written: Checksum | undefined;
    let end: BodyEnd;
    let proof: Proof;
    try {
      if (expected) await confirmations.markUnverified(upload.id, stored);
      const outcome = await staging.write(upload.id, stored, body, {
        maxBytes: options.maxBytes,
        signal: options.signal,
        completeSize: upload.length,
        bodyTimeoutMs,
        inOne: comesWhole,
        ...(requireHeld && { requireHeld }),
        onBatch: async (batch) => {
          options.onActivity?.();
          await this.#room.take(batch.reduce((bytes, chunk) => bytes + chunk.byteLength, 0));
          if (!expected) before = { ...checksum };
          advance(checksum, batch);
          passed.push({ ...checksum });
          if (digest) for (const chunk of batch) digest.update(chunk);
          // Of a chunk with a checksum nothing is decided before that is known to be right: the bytes may be damaged.
          if (head.isWanted && (await head.add(staging, batch)) && !expected) await judgeHead();
          // The last thing before the write: a process that was stopped for long wakes up anywhere.
          requireHeld?.();
        },
        counted: () => checkpoints.offset,
        // Of a chunk that may have to go again, nothing is promised before its end.
        onWritten: (sync, upTo) => {
          while (passed[0] !== undefined && passed[0].offset <= upTo) written = passed.shift();
          // The last byte may have to go again, too: more may follow it than there is.
          if (written && written.offset !== upload.length && !expected && !comesWhole) checkpoints.consider(written, sync);
        },
      });
      ({ end, proof } = outcome);
      if (expected && digest && !(await this.#verify(upload, stored, end, expected, digest, requireHeld))) {
        if (end === 'cut' || end === 'whole') return { stored };
        throw refusalOf(end, options.signal);
      }
      if (expected) await judgeHead();
      if (end === 'too-long' && checksum.offset === upload.length) {
        // The byte that would complete it was never acknowledged: a file that is longer than it said is not finished by us.
        requireHeld?.();
        written = undefined;
        await staging.truncate(upload.id, upload.length - 1);
        throw new UploadError('ERR_UPLOAD_LENGTH_EXCEEDED');
      }
      // The state change that follows carries the checksum of a complete upload.
      if (checksum.offset !== upload.length && !comesWhole) {
        // What was verified counts from the moment on at which it is proved: as one, or a power cut leaves half of it.
        await checkpoints.end(checksum, proof, expected && { unverifiedFrom: null });
      }
    } catch (error) {
      if (written && !expected && !staging.isReadableInProgress) await checkpoints.keep(written);
      if (await checkpoints.isUnproved()) await unproved.add(upload.id);
      await this.#clearEnded(upload.id);
      throw faultOf(error);
    }
    if (end === 'too-long') throw refusalOf(end, options.signal);
    // However the body ended: nothing is missing, so nobody need come back for the inspection to begin.
    if (checksum.offset === upload.length) {
      const complete = { proof, checksum: checksum.checksum, ...(head.isWhole ? { head: head.bytes } : {}) };
      return { stored: checksum.offset, complete };
    }
    if (end === 'interrupted' || end === 'too-slow') throw refusalOf(end, options.signal);
    return { stored: checksum.offset };
  }

  /**
   * Of a body that is to be compared: at most `maxBytes`.
   * @throws UploadError when it is more, does not come, comes no further, or is not as `expected`
   */
  readHeld(body: Readable, maxBytes: number, signal: AbortSignal, expected: ExpectedChecksum | undefined): Promise<Buffer> {
    return readHeld(body, { maxBytes, signal, bodyTimeoutMs: this.#options.bodyTimeoutMs }, expected);
  }

  /** As `requireSameBody`. */
  requireSameBody(
    body: Readable,
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

  /** Whoever lost the lock over a write may have stored it when the upload had ended, and its bytes had been taken away. */
  async #clearEnded(id: UploadId): Promise<void> {
    const { ledger, staging } = this.#options;
    if (ledger.isAlone) return;
    try {
      const upload = await ledger.get(id);
      if (upload?.state !== 'receiving' && upload?.state !== 'inspecting') await staging.remove(id);
    } catch {
      // Then it is the sweeper's.
    }
  }

  /**
   * tus 1.0.0, Checksum: what came whole and right is kept; what was cut off can't be told, and goes.
   * @throws UploadError 460, 400
   */
  async #verify(
    upload: Upload,
    from: number,
    end: BodyEnd,
    expected: ExpectedChecksum,
    digest: RunningDigest,
    requireHeld: ReceiveOptions['requireHeld'],
  ): Promise<boolean> {
    let isRight = false;
    try {
      if (end === 'whole') {
        requireDigest(expected, digest);
        isRight = true;
      }
    } finally {
      if (!isRight) {
        requireHeld?.();
        await this.#options.staging.truncate(upload.id, from);
        await this.#confirmations.markUnverified(upload.id, null);
      }
    }
    return isRight;
  }
}
