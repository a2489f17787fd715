// One body on its way into staging, whatever door it came by. Each batch of it takes these steps, in this order:
//
//   room → checksum → digest → head → fence → write → checkpoint
//
// The batch is lent: what a step needs longer than until the write has ended, it copies. One write is in flight.
import { UploadError } from '../../shared/errors.ts';
import type { Upload } from '../ledger/upload.ts';
import { type BodyEnd, type BodySource, type LeasedBatch, type OpenBody, splitBuffers } from './body-source.ts';
import { Checkpoints, type CheckpointsOptions } from './checkpoints.ts';
import { type ExpectedChecksum, type RunningDigest, requireDigest, startDigest } from './chunk-checksum.ts';
import type { Confirmations } from './confirmations.ts';
import { type EarlyRejectionOptions, endDamaged, requireAllowedHead } from './early-rejection.ts';
import { faultOf, refusalOf } from './faults.ts';
import type { FreeSpace } from './free-space.ts';
import { Head } from './head.ts';
import type { Reservations } from './reservations.ts';
import { advance, type Checksum } from './running-checksum.ts';
import { type Proof, StagedBytesLost, type StagingWriter } from './staging.ts';
import type { Unproved } from './unproved.ts';

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

export interface BodyIntakeOptions extends EarlyRejectionOptions, CheckpointsOptions {
  freeSpace: FreeSpace;
  reservations: Reservations;
  confirmations: Confirmations;
  unproved: Unproved;
  bodyTimeoutMs: number;
}

interface Ended {
  end: BodyEnd;
  proof: Proof;
}

/** For one body, under the upload's lock. */
export class BodyIntake {
  readonly #options: BodyIntakeOptions;
  readonly #upload: Upload;
  readonly #receive: ReceiveOptions;
  readonly #start: number;
  readonly #digest: RunningDigest | undefined;
  readonly #head: Head;
  readonly #checkpoints: Checkpoints;
  /** As far as room was taken for the upload. */
  #reserved: number;
  /** Of all that has come. */
  #checksum: Checksum;
  /** Of as much as the sender may have been told of. */
  #told: Checksum;
  /** Of what is stored once the batches are that are on their way: one for each. */
  readonly #onTheWay: Checksum[] = [];
  /** Of as much as is stored for certain; undefined: nothing of this body. */
  #stored: Checksum | undefined;
  /** Why a body that carries its own checksum is not kept. */
  #mismatch: { error: unknown } | undefined;

  /** @param stored CRC-32 of what is stored already: the body is appended to it */
  constructor(options: BodyIntakeOptions, upload: Upload, stored: Checksum, receive: ReceiveOptions) {
    this.#options = options;
    this.#upload = upload;
    this.#receive = receive;
    this.#start = stored.offset;
    this.#checksum = { ...stored };
    this.#told = { ...stored };
    this.#digest = receive.expected && startDigest(receive.expected.algorithm);
    this.#head = new Head(upload, stored.offset);
    this.#checkpoints = new Checkpoints(upload, stored.offset, options, receive.requireHeld);
    this.#reserved = isCounted(upload) ? upload.reservedBytes : Number.POSITIVE_INFINITY;
  }

  /** To be called once. @throws UploadError, as `Receiver.receive` */
  async take(open: OpenBody): Promise<Received> {
    const { confirmations } = this.#options;
    let ended: Ended;
    try {
      if (this.#receive.expected) await confirmations.markUnverified(this.#upload.id, this.#start);
      ended = await this.#pour(open);
      await this.#conclude(ended);
    } catch (error) {
      await this.#salvage();
      if (error instanceof StagedBytesLost) await endDamaged(this.#options, this.#upload, this.#told, error);
      throw faultOf(error);
    }
    const { end, proof } = ended;
    const { checksum, offset } = this.#checksum;
    if (end === 'too-long') throw refusalOf(end, this.#receive.signal);
    // However the body ended: nothing is missing, so nobody need come back for the inspection to begin.
    if (this.#isComplete)
      return { stored: offset, complete: { proof, checksum, ...(this.#head.isWhole ? { head: this.#head.bytes } : {}) } };
    if (end === 'interrupted' || end === 'too-slow') throw refusalOf(end, this.#receive.signal);
    return { stored: offset };
  }

  get #isComplete(): boolean {
    return this.#checksum.offset === this.#upload.length;
  }

  async #pour(open: OpenBody): Promise<Ended> {
    const { staging, bodyTimeoutMs } = this.#options;
    const { maxBytes, signal, requireHeld, comesWhole: inOne = false } = this.#receive;
    const { id, length: completeBytes } = this.#upload;
    let source: BodySource | undefined;
    const writer = await staging.openWriter(id, this.#start, {
      completeBytes,
      inOne,
      isProvisional: this.#receive.expected !== undefined,
      ...(requireHeld && { requireHeld }),
      onStored: (offset) => this.#checkpoint(offset, sync),
      counted: () => this.#checkpoints.offset,
      nudge: () => source?.nudge(),
    });
    const sync = () => writer.sync();
    try {
      source = open({ maxBytes, signal, bodyTimeoutMs, inOne });
      for (;;) {
        const batch = await source.next();
        if (batch === undefined) break;
        try {
          await this.#takeBatch(batch, writer);
        } finally {
          batch.release();
        }
      }
      const { end = 'cut' } = source;
      const isRight = this.#receive.expected === undefined || this.#isAsSent(end);
      return { end, proof: await writer.end(isRight && end !== 'too-long') };
    } finally {
      source?.close();
      await writer.close();
    }
  }

  async #takeBatch(batch: LeasedBatch, writer: StagingWriter): Promise<void> {
    if (batch.bytes === 0) return writer.write([]);
    this.#receive.onActivity?.();
    let { buffers, bytes } = batch;
    while (bytes > 0) {
      const { room } = writer;
      let rest: readonly Buffer[] = [];
      if (bytes > room) [buffers, rest] = splitBuffers(buffers, room);
      const taken = Math.min(bytes, room);
      await this.#takeRoom(taken);
      this.#sum(buffers);
      if (this.#digest) for (const buffer of buffers) this.#digest.update(buffer);
      if (this.#head.isWanted) await this.#readHead(buffers);
      // The last thing before the write: a process that was stopped for long wakes up anywhere.
      this.#receive.requireHeld?.();
      await writer.write(buffers);
      buffers = rest;
      bytes -= taken;
    }
  }

  async #takeRoom(bytes: number): Promise<void> {
    const { freeSpace, reservations } = this.#options;
    const end = this.#checksum.offset + bytes;
    // A row that is yet to be added takes its room then.
    if (end > this.#reserved && !this.#receive.comesWhole) this.#reserved = await reservations.extend(this.#upload, end);
    await freeSpace.take(bytes);
  }

  #sum(buffers: readonly Buffer[]): void {
    if (!this.#receive.expected) this.#told = { ...this.#checksum };
    advance(this.#checksum, buffers);
    this.#onTheWay.push({ ...this.#checksum });
  }

  async #readHead(buffers: readonly Buffer[]): Promise<void> {
    const isWhole = await this.#head.add(this.#options.staging, buffers);
    // Of a chunk with a checksum nothing is decided before that is known to be right: the bytes may be damaged.
    if (isWhole && !this.#receive.expected) await this.#judgeHead();
  }

  async #judgeHead(): Promise<void> {
    // What is whole now is inspected whole at once.
    if (!this.#head.isWhole || this.#isComplete || this.#receive.comesWhole) return;
    await requireAllowedHead(this.#options, this.#upload, this.#head.bytes, this.#told);
    this.#head.forget();
  }

  /** Of a chunk that may have to go again, nothing is promised before its end. */
  #checkpoint(offset: number, sync: () => Promise<void>): void {
    const { expected, comesWhole } = this.#receive;
    while (this.#onTheWay[0] !== undefined && this.#onTheWay[0].offset <= offset) this.#stored = this.#onTheWay.shift();
    // The last byte may have to go again, too: more may follow it than there is.
    if (this.#stored === undefined || this.#stored.offset === this.#upload.length || expected || comesWhole) return;
    this.#checkpoints.consider(this.#stored, sync);
  }

  /** The body is over: what of it stays. */
  async #conclude({ end, proof }: Ended): Promise<void> {
    const { staging } = this.#options;
    const { expected, requireHeld, signal, comesWhole } = this.#receive;
    const { id, length } = this.#upload;
    if (expected) {
      const isRight = await this.#verify(end);
      if (!isRight && end !== 'cut' && end !== 'whole') throw refusalOf(end, signal);
      if (!isRight) return;
      await this.#judgeHead();
    }
    if (end === 'too-long' && length !== null && this.#isComplete) {
      // The byte that would complete it was never acknowledged: a file that is longer than it said is not finished by us.
      requireHeld?.();
      this.#stored = undefined;
      await staging.truncate(id, length - 1);
      throw new UploadError('ERR_UPLOAD_LENGTH_EXCEEDED');
    }
    // The state change that follows carries the checksum of a complete upload.
    // But of bytes in a store that is not ours it has to be known before: they begin no inspection by themselves.
    if ((this.#isComplete && !staging.isReadBack) || comesWhole) return;
    // What was verified counts from the moment on at which it is proved: as one, or a power cut leaves half of it.
    await this.#checkpoints.end(this.#checksum, proof, expected && { unverifiedFrom: null });
  }

  /**
   * tus 1.0.0, Checksum: what came whole and right is kept; what was cut off can't be told, and goes.
   * @throws UploadError 460, 400
   */
  async #verify(end: BodyEnd): Promise<boolean> {
    if (end === 'whole' && this.#mismatch === undefined) return true;
    const { id } = this.#upload;
    this.#receive.requireHeld?.();
    await this.#options.staging.truncate(id, this.#start);
    await this.#options.confirmations.markUnverified(id, null);
    this.#checksum = this.#told;
    if (this.#mismatch) throw this.#mismatch.error;
    return false;
  }

  /** Whether a body that carries its own checksum came as it was sent. */
  #isAsSent(end: BodyEnd): boolean {
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

  /** After a fault, or a refusal: what was stored before it counts as far as it may. Never rejects. */
  async #salvage(): Promise<void> {
    const { staging, unproved } = this.#options;
    if (this.#stored && !this.#receive.expected && !staging.isReadableInProgress) await this.#checkpoints.keep(this.#stored);
    if (await this.#checkpoints.isUnproved()) await unproved.add(this.#upload.id);
    await this.#clearEnded();
  }

  /** Whoever lost the lock over a write may have stored it when the upload had ended, and its bytes had been taken away. */
  async #clearEnded(): Promise<void> {
    const { ledger, staging } = this.#options;
    const { id } = this.#upload;
    if (ledger.isAlone) return;
    try {
      const upload = await ledger.get(id);
      if (upload?.state !== 'receiving' && upload?.state !== 'inspecting') await staging.remove(id);
    } catch {
      // Then it is the sweeper's.
    }
  }
}

/** Whether what it takes is counted anywhere. */
function isCounted({ onVolume, quota, credential }: Upload): boolean {
  return onVolume === 1 || quota !== '' || credential !== null;
}
