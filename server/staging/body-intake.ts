// Stores one body in staging, for any protocol. Each batch takes these steps, in this order:
//
//   reserve → checksum → digest → head → fence → write → checkpoint
//
// The body's source lends the batch: a step that needs bytes after the write copies them. One write is in flight at a time.
import { UploadError } from '../../shared/errors.ts';
import type { Upload } from '../ledger/upload.ts';
import { type BodyEnd, type BodySource, type LeasedBatch, type OpenBody, splitBuffers } from './body-source.ts';
import { Checkpoints, type CheckpointsOptions } from './checkpoints.ts';
import { type ExpectedChecksum, type RunningDigest, requireDigest, startDigest } from './chunk-checksum.ts';
import type { Confirmations } from './confirmations.ts';
import { type EarlyRejectionOptions, rejectDamaged, requireAllowedHead } from './early-rejection.ts';
import { faultOf, refusalOf } from './faults.ts';
import type { FreeSpace } from './free-space.ts';
import { Head } from './head.ts';
import type { Reservations, WaitForRoom } from './reservations.ts';
import { advance, type Checksum } from './running-checksum.ts';
import { type Proof, StagedBytesLost, type StagingWriter } from './staging.ts';
import type { SyncFailures } from './sync-failures.ts';

export interface ReceiveOptions {
  /** Most bytes that this body may have. */
  maxBytes: number;
  /** Aborted when another request wants the lock. */
  signal: AbortSignal;
  onActivity?: () => void;
  /**
   * Called right before bytes are written, truncated or counted. Returns the lock holder's name in the ledger.
   * @throws UploadError when the caller has lost the lock
   */
  requireHeld?: () => string | undefined;
  /** The body's own checksum. A body that does not match is not kept. */
  expected?: ExpectedChecksum | undefined;
  /** True when the upload was created by this request, so that nothing is stored yet. */
  isNew?: boolean;
  /** Bytes of the upload that are stored, as read under the lock. By default they are read again. */
  stored?: number | undefined;
  /** True when the upload has no row yet, because its creation brings it whole. */
  comesWhole?: boolean;
  /** @default refuses at once */
  waitForRoom?: WaitForRoom | undefined;
}

export interface Received {
  /** Bytes of the upload that are stored now. */
  stored: number;
  /** Set when the upload is complete. */
  complete?: Complete;
}

/** Facts about the bytes of a complete upload, which spare the start of its inspection a sync or a read. */
export interface Complete {
  proof: Proof;
  /** CRC-32 of the whole file; undefined: it has to be computed from the ledger's checkpoint on. */
  checksum?: number;
  /** The first HEAD_BYTES, or the whole file. */
  head?: Uint8Array;
}

export interface BodyIntakeOptions extends EarlyRejectionOptions, CheckpointsOptions {
  freeSpace: FreeSpace;
  reservations: Reservations;
  confirmations: Confirmations;
  syncFailures: SyncFailures;
  bodyTimeoutMs: number;
}

interface EndedBody {
  end: BodyEnd;
  proof: Proof;
}

/** Stores one body, under the upload's lock. */
export class BodyIntake {
  readonly #options: BodyIntakeOptions;
  readonly #upload: Upload;
  readonly #receive: ReceiveOptions;
  readonly #start: number;
  readonly #digest: RunningDigest | undefined;
  readonly #head: Head;
  readonly #checkpoints: Checkpoints;
  /** Bytes reserved for this upload. */
  #reserved: number;
  /** CRC-32 of all bytes received so far. */
  #checksum: Checksum;
  /** CRC-32 of the bytes that may have been acknowledged to the sender. */
  #acknowledged: Checksum;
  /** CRC-32 at the end of each batch that is not stored yet. */
  readonly #inFlight: Checksum[] = [];
  /** CRC-32 of the bytes that are certainly stored; undefined: none of this body. */
  #stored: Checksum | undefined;
  /** Error of a body that does not match its own checksum. */
  #mismatch: { error: unknown } | undefined;

  /** @param stored CRC-32 of the bytes that are stored already; the body is appended to them */
  constructor(options: BodyIntakeOptions, upload: Upload, stored: Checksum, receive: ReceiveOptions) {
    this.#options = options;
    this.#upload = upload;
    this.#receive = receive;
    this.#start = stored.offset;
    this.#checksum = { ...stored };
    this.#acknowledged = { ...stored };
    this.#digest = receive.expected && startDigest(receive.expected.algorithm);
    this.#head = new Head(upload, stored.offset);
    this.#checkpoints = new Checkpoints(upload, stored.offset, options, receive.requireHeld);
    this.#reserved = isCounted(upload) ? upload.reservedBytes : Number.POSITIVE_INFINITY;
  }

  /** Call once. @throws UploadError, as `Receiver.receive` */
  async store(open: OpenBody): Promise<Received> {
    const { confirmations } = this.#options;
    let ended: EndedBody;
    try {
      if (this.#receive.expected) await confirmations.markUnverified(this.#upload.id, this.#start);
      ended = await this.#copyBody(open);
      await this.#finish(ended);
    } catch (error) {
      await this.#keepStoredBytes();
      if (error instanceof StagedBytesLost) await rejectDamaged(this.#options, this.#upload, this.#acknowledged, error);
      throw faultOf(error);
    }
    const { end, proof } = ended;
    const { checksum, offset } = this.#checksum;
    if (end === 'too-long') throw refusalOf(end, this.#receive.signal);
    // However the body ended, all bytes are stored, so the inspection can start without another request of the sender.
    if (this.#isComplete)
      return { stored: offset, complete: { proof, checksum, ...(this.#head.isWhole ? { head: this.#head.bytes } : {}) } };
    if (end === 'interrupted' || end === 'too-slow') throw refusalOf(end, this.#receive.signal);
    return { stored: offset };
  }

  get #isComplete(): boolean {
    return this.#checksum.offset === this.#upload.length;
  }

  async #copyBody(open: OpenBody): Promise<EndedBody> {
    const { staging, bodyTimeoutMs } = this.#options;
    const { maxBytes, signal, requireHeld, comesWhole = false } = this.#receive;
    const { id, length: completeBytes } = this.#upload;
    let source: BodySource | undefined;
    const writer = await staging.openWriter(id, this.#start, {
      completeBytes,
      inOne: comesWhole,
      isProvisional: this.#receive.expected !== undefined,
      ...(requireHeld && { requireHeld }),
      onStored: (offset) => this.#checkpoint(offset, sync),
      counted: () => this.#checkpoints.offset,
      wake: () => source?.wake(),
    });
    const sync = () => writer.sync();
    try {
      source = open({ maxBytes, signal, bodyTimeoutMs, inOne: comesWhole });
      for (;;) {
        const batch = await source.next();
        if (batch === undefined) break;
        try {
          await this.#storeBatch(batch, writer);
        } finally {
          batch.release();
        }
      }
      const { end = 'cut' } = source;
      const isRight = this.#receive.expected === undefined || this.#matchesDigest(end);
      const mayStay = isRight && end !== 'too-long';
      const proof = await writer.end(mayStay);
      // Syncs while the file is open. `comesWhole`: an upload without a row is synced when it is complete, or not kept.
      const isToProve = proof === 'unknown' && mayStay && !comesWhole && this.#checksum.offset > this.#start;
      return { end, proof: isToProve ? await this.#checkpoints.prove(sync, end === 'cut' ? signal : undefined) : proof };
    } finally {
      source?.close();
      await writer.close();
    }
  }

  async #storeBatch(batch: LeasedBatch, writer: StagingWriter): Promise<void> {
    if (batch.bytes === 0) return writer.write([]);
    this.#receive.onActivity?.();
    let { buffers, bytes } = batch;
    while (bytes > 0) {
      const { capacity } = writer;
      let rest: readonly Buffer[] = [];
      if (bytes > capacity) [buffers, rest] = splitBuffers(buffers, capacity);
      const writeBytes = Math.min(bytes, capacity);
      await this.#reserve(writeBytes);
      this.#advanceChecksum(buffers);
      if (this.#digest) for (const buffer of buffers) this.#digest.update(buffer);
      if (this.#head.isWanted) await this.#readHead(buffers);
      // Checked right before the write: the process may have been suspended for long at any earlier instruction.
      this.#receive.requireHeld?.();
      await writer.write(buffers);
      buffers = rest;
      bytes -= writeBytes;
    }
  }

  async #reserve(bytes: number): Promise<void> {
    const { freeSpace, reservations } = this.#options;
    const end = this.#checksum.offset + bytes;
    // A row that is not added yet reserves its bytes when it is added.
    const { comesWhole, waitForRoom } = this.#receive;
    if (end > this.#reserved && !comesWhole) this.#reserved = await reservations.extend(this.#upload, end, waitForRoom);
    await freeSpace.take(bytes);
  }

  #advanceChecksum(buffers: readonly Buffer[]): void {
    if (!this.#receive.expected) this.#acknowledged = { ...this.#checksum };
    advance(this.#checksum, buffers);
    this.#inFlight.push({ ...this.#checksum });
  }

  async #readHead(buffers: readonly Buffer[]): Promise<void> {
    const isWhole = await this.#head.add(this.#options.staging, buffers);
    // The head of a chunk with its own checksum is checked only after the checksum: the bytes may be damaged.
    if (isWhole && !this.#receive.expected) await this.#checkHead();
  }

  async #checkHead(): Promise<void> {
    // A complete upload is inspected as a whole at once.
    if (!this.#head.isWhole || this.#isComplete || this.#receive.comesWhole) return;
    await requireAllowedHead(this.#options, this.#upload, this.#head.bytes, this.#acknowledged);
    this.#head.forget();
  }

  /** A chunk with its own checksum counts only at its end, because it may have to be removed. */
  #checkpoint(offset: number, sync: () => Promise<void>): void {
    const { expected, comesWhole } = this.#receive;
    while (this.#inFlight[0] !== undefined && this.#inFlight[0].offset <= offset) this.#stored = this.#inFlight.shift();
    // The last byte may have to be removed, too: the body may be longer than the upload.
    if (this.#stored === undefined || this.#stored.offset === this.#upload.length || expected || comesWhole) return;
    this.#checkpoints.consider(this.#stored, sync);
  }

  /** After the end of the body: removes the bytes that must not stay, and counts the others. */
  async #finish({ end, proof }: EndedBody): Promise<void> {
    const { staging } = this.#options;
    const { expected, requireHeld, signal, comesWhole } = this.#receive;
    const { id, length } = this.#upload;
    if (expected) {
      const isRight = await this.#verify(end);
      if (!isRight && end !== 'cut' && end !== 'whole') throw refusalOf(end, signal);
      if (!isRight) return;
      await this.#checkHead();
    }
    if (end === 'too-long' && length !== null && this.#isComplete) {
      // Removes the last byte, which was never acknowledged, so that a file longer than its declared length is not finished.
      requireHeld?.();
      this.#stored = undefined;
      await staging.truncate(id, length - 1);
      throw new UploadError('ERR_UPLOAD_LENGTH_EXCEEDED');
    }
    // The move to `inspecting` writes the checksum of a complete upload. With a store that is not Landfall's own, the checksum has to be
    // in the ledger before, because it decides whether all bytes are stored.
    if ((this.#isComplete && !staging.isReadBack) || comesWhole) return;
    // The same statement counts the verified chunk and its durability, so that a power cut keeps all of the chunk or nothing.
    await this.#checkpoints.end(this.#checksum, proof, expected && { unverifiedFrom: null });
  }

  /**
   * tus 1.0.0, Checksum: keeps a chunk that is whole and matches. A chunk that was cut off cannot be verified and is removed.
   * @throws UploadError 460, 400
   */
  async #verify(end: BodyEnd): Promise<boolean> {
    if (end === 'whole' && this.#mismatch === undefined) return true;
    const { id } = this.#upload;
    this.#receive.requireHeld?.();
    await this.#options.staging.truncate(id, this.#start);
    await this.#options.confirmations.markUnverified(id, null);
    this.#checksum = this.#acknowledged;
    if (this.#mismatch) throw this.#mismatch.error;
    return false;
  }

  /** True when a body with its own checksum is whole and matches it. */
  #matchesDigest(end: BodyEnd): boolean {
    const { expected } = this.#receive;
    if (end !== 'whole' || expected === undefined || this.#digest === undefined) return false;
    try {
      requireDigest(expected, this.#digest);
      return true;
    } catch (error) {
      this.#mismatch = { error };
      return false;
    }
  }

  /** After a fault or a refusal: counts the bytes that were stored before, where possible. Never rejects. */
  async #keepStoredBytes(): Promise<void> {
    const { staging, syncFailures } = this.#options;
    if (this.#stored && !this.#receive.expected && !staging.isReadableInProgress) await this.#checkpoints.keep(this.#stored);
    if (await this.#checkpoints.hasSyncFailed()) await syncFailures.add(this.#upload.id);
    await this.#removeIfEnded();
  }

  /** When this process lost the lock during a write, it may have stored bytes after the upload ended and its bytes were removed. */
  async #removeIfEnded(): Promise<void> {
    const { ledger, staging } = this.#options;
    const { id } = this.#upload;
    if (ledger.isAlone) return;
    try {
      const upload = await ledger.get(id);
      if (upload?.state !== 'receiving' && upload?.state !== 'inspecting') await staging.remove(id);
    } catch {
      // The sweeper removes the bytes later.
    }
  }
}

/** True when a quota or the disk counts the upload's bytes. */
function isCounted({ onVolume, quota, credential }: Upload): boolean {
  return onVolume === 1 || quota !== '' || credential !== null;
}
