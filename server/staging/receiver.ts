// Where every door (tus, forms) brings its bytes in: a row for a new upload, then bodies appended to it.
import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { UploadError } from '../../shared/errors.ts';
import { safeFileName, safeRelativePath } from '../../shared/filename.ts';
import { type Metadata, metadataValue } from '../../shared/metadata.ts';
import { checkName, type Policy } from '../../shared/policy.ts';
import { formatBytes } from '../../shared/units.ts';
import type { Rejection } from '../finish/check.ts';
import type { Ledger, Upload } from '../ledger/ledger.ts';
import { collectBody } from './body-writer.ts';
import { Checkpoints, type Durability } from './checkpoints.ts';
import { type ExpectedChecksum, type RunningDigest, requireDigest, startDigest } from './chunk-checksum.ts';
import { faultOf } from './faults.ts';
import { Head } from './head.ts';
import { Room } from './room.ts';
import { advance, type Checksum, completeChecksum } from './running-checksum.ts';
import type { BodyEnd, Proof, Staging } from './staging.ts';

const ID_BYTES = 16;

/** So long an idempotency key stands for the upload it was first sent with. */
const KEY_MS = 24 * 60 * 60 * 1000;

export interface ReceiverOptions {
  ledger: Ledger;
  staging: Staging;
  policy: Policy;
  policyHash: string;
  maxUploadSize: number;
  expireAfterMs: number;
  keepRecordsForMs: number;
  bodyTimeoutMs: number;
  durability: Durability;
  /** Whether another machine writes the bytes, or did when it died: then what it has not proved is not known of here. */
  isWrittenElsewhere(id: string): Promise<boolean>;
  /** What the first bytes alone can refuse. */
  checkHead(head: Uint8Array, upload: Upload): Promise<Rejection | undefined>;
  /** Told of the verdict, once it is durable, when they do. Never rejects. */
  announce(upload: Upload): Promise<void>;
}

export interface NewUpload {
  id: string;
  owner: string;
  /** Bytes; null while deferred. */
  length: number | null;
  metadata: Metadata;
  /** As sent, for HEAD to echo. */
  rawMetadata: string;
  idempotencyKey: string | null;
  /** All of it comes now, and it is little: its row is written when its bytes are here, by whoever begins its inspection. */
  comesWhole?: boolean;
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
  /** A sync of these failed, and its error is reported only once: what is beyond their proven offset is sent again. */
  readonly #unproved = new Set<string>();
  readonly #room: Room;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#room = new Room(options.staging);
  }

  /**
   * Adds an upload. With an idempotency key its owner used before, the earlier upload is returned and `created` is false.
   * @throws UploadError 413 over the size limit, 422 for a name that policy refuses, 507 without room for the length
   */
  async create(request: NewUpload): Promise<{ upload: Upload; created: boolean }> {
    const { ledger, policy, maxUploadSize, expireAfterMs, durability } = this.#options;
    const { id, owner, length, metadata, rawMetadata, idempotencyKey } = request;
    if (idempotencyKey !== null) {
      const earlier = await ledger.findByKey(owner, idempotencyKey);
      if (earlier && earlier.createdAt > Date.now() - KEY_MS) return { upload: earlier, created: false };
      if (earlier) await ledger.releaseKey(earlier.id);
    }
    if (length !== null && length > maxUploadSize) throw tooLarge(maxUploadSize);
    const originalName = metadataValue(metadata, 'name');
    const name = originalName === null ? null : safeFileName(originalName);
    // As sent: some names hide an extension that is gone once they are safe.
    const refusal = originalName === null ? undefined : checkName(policy, originalName);
    if (refusal) throw new UploadError(refusal.code, refusal.detail === undefined ? {} : { detail: refusal.detail });
    await this.#room.require(length ?? 0);
    const relativePath = metadataValue(metadata, 'relativePath');
    const now = Date.now();
    const upload: Upload = {
      id,
      owner,
      state: 'receiving',
      length,
      held: 'byte',
      metadata: rawMetadata,
      originalName,
      claimedType: metadataValue(metadata, 'type'),
      relativePath: relativePath === null ? null : (safeRelativePath(relativePath) ?? null),
      name,
      type: null,
      target: null,
      provenOffset: 0,
      checksum: 0,
      checksumOffset: 0,
      unverifiedFrom: null,
      expectedChecksum: null,
      sha256: null,
      attempt: 0,
      strikes: 0,
      leaseOwner: null,
      retryAt: null,
      errorCode: null,
      errorDetail: null,
      policyHash: null,
      idempotencyKey,
      createdAt: now,
      updatedAt: now,
      expiresAt: now + expireAfterMs,
    };
    if (request.comesWhole) return { upload, created: true };
    // Whoever is told of an upload finds it again after a power cut, where offsets are promised beyond one.
    if (await ledger.create(upload, durability === 'chunk')) return { upload, created: true };
    const earlier = idempotencyKey === null ? undefined : await ledger.findByKey(owner, idempotencyKey);
    if (earlier) return { upload: earlier, created: false };
    throw new UploadError('ERR_INTERNAL');
  }

  /**
   * Bytes that may be acknowledged to the sender: with durability `chunk` they are made durable first, and what can't be
   * is not counted. May be asked without the lock: bytes are only ever appended.
   */
  async confirmed(upload: Upload): Promise<number> {
    const { staging, ledger, durability, isWrittenElsewhere } = this.#options;
    if (this.#unproved.has(upload.id)) return upload.provenOffset;
    const stored = await this.#stored(upload);
    // Asked after the size: whoever wrote more by now has taken the lock before.
    if (staging.isReadableInProgress && (await isWrittenElsewhere(upload.id))) return Math.min(stored, upload.provenOffset);
    if (upload.unverifiedFrom !== null) return Math.min(stored, upload.unverifiedFrom);
    if (durability === 'finish' || stored <= upload.provenOffset) return stored;
    // A crash, or a body that is still coming, left more than is proved.
    try {
      await staging.sync(upload.id);
    } catch {
      await this.#distrust(upload.id);
      return upload.provenOffset;
    }
    // What the ledger can't remember is not promised: it may be sent again.
    const isRemembered = await ledger.checkpoint(upload.id, {}, stored).catch(() => false);
    return isRemembered ? stored : upload.provenOffset;
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
    const { staging, bodyTimeoutMs } = this.#options;
    const { requireHeld } = options;
    let stored = options.isNew ? 0 : await this.#stored(upload);
    if (stored > offset && (this.#unproved.has(upload.id) || upload.unverifiedFrom !== null || stored !== upload.length)) {
      // More is here than could be proved, hence acknowledged: the sender brings it again.
      requireHeld?.();
      await staging.truncate(upload.id, offset);
      this.#unproved.delete(upload.id);
      stored = offset;
    }
    // What a crash left of a chunk with a checksum is gone now, and what comes next need not carry one.
    if (upload.unverifiedFrom !== null) await this.#markUnverified(upload.id, null);
    if (upload.length !== null && stored >= upload.length) {
      const sent = await this.readHeld(body, upload.length - offset, options.signal);
      await compare(staging, upload.id, offset, sent);
      return { stored, complete: { proof: 'unknown' } };
    }
    // Whoever creates an upload has asked just before.
    if (!options.isNew) this.#room.askAgain();
    const checksum = await this.#checksum(upload, stored);
    const head = new Head(upload, stored);
    const checkpoints = new Checkpoints(upload.id, stored, this.#options, requireHeld);
    const { expected, comesWhole = false } = options;
    const digest = expected && startDigest(expected.algorithm);
    // One a batch that is on its way.
    const passed: Checksum[] = [];
    let written: Checksum | undefined;
    let end: BodyEnd;
    let proof: Proof;
    try {
      if (expected) await this.#markUnverified(upload.id, stored);
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
          advance(checksum, batch);
          passed.push({ ...checksum });
          if (digest) for (const chunk of batch) digest.update(chunk);
          // What is whole now is inspected whole at once.
          if (head.isWanted && (await head.add(staging, batch)) && checksum.offset !== upload.length && !comesWhole) {
            await this.#checkHead(upload, head.bytes);
            head.forget();
          }
          // The last thing before the write: a process that was stopped for long wakes up anywhere.
          requireHeld?.();
        },
        // Of a chunk that may have to go again, nothing is promised before its end.
        onWritten: (sync, upTo) => {
          while (passed[0] !== undefined && passed[0].offset <= upTo) written = passed.shift();
          if (written && !expected && !comesWhole) checkpoints.consider(written, sync);
        },
      });
      ({ end, proof } = outcome);
      if (expected && digest && !(await this.#verify(upload, stored, end, expected, digest, requireHeld))) {
        if (end === 'cut' || end === 'whole') return { stored };
        throw refusalOf(end, options.signal);
      }
      if (end === 'too-long' && checksum.offset === upload.length) {
        // The byte that would complete it was never acknowledged: a file that is longer than it said is not finished by us.
        requireHeld?.();
        await staging.truncate(upload.id, upload.length - 1);
        throw new UploadError('ERR_UPLOAD_LENGTH_EXCEEDED');
      }
      // The state change that follows carries the checksum of a complete upload.
      if (checksum.offset !== upload.length && !comesWhole) {
        await checkpoints.end(checksum, proof);
        if (expected) await this.#markUnverified(upload.id, null);
      }
    } catch (error) {
      if (written && !expected && !staging.isReadableInProgress) await checkpoints.keep(written);
      if (await checkpoints.isUnproved()) await this.#distrust(upload.id);
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
   * What a sender repeats because it was not acknowledged: at most the held byte. Kept in memory.
   * @throws UploadError when it is more, does not come, or comes no further
   */
  async readHeld(body: Readable, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    const { bytes, end } = await collectBody(body, { maxBytes, signal, bodyTimeoutMs: this.#options.bodyTimeoutMs });
    if (end !== 'whole') throw refusalOf(end, signal);
    return bytes;
  }

  /** Bytes that a body can be appended to. */
  async #stored({ id, checksumOffset }: Upload): Promise<number> {
    const { staging } = this.#options;
    return staging.isReadableInProgress ? staging.size(id) : Math.max(checksumOffset, 0);
  }

  async #checksum(upload: Upload, stored: number): Promise<Checksum> {
    if (upload.checksumOffset === stored) return { checksum: upload.checksum, offset: stored };
    const reader = await this.#options.staging.open(upload.id);
    try {
      return await completeChecksum(upload, reader);
    } finally {
      await reader.close();
    }
  }

  /** A sync has failed, and only whoever asked is told: the ledger tells the other processes, where it can. */
  async #distrust(id: string): Promise<void> {
    this.#unproved.add(id);
    const upload = await this.#options.ledger.get(id).catch(() => undefined);
    if (upload?.unverifiedFrom === null) await this.#markUnverified(id, upload.provenOffset).catch(() => undefined);
  }

  async #markUnverified(id: string, unverifiedFrom: number | null): Promise<void> {
    await this.#options.ledger.change(id, { from: 'receiving' }, { unverifiedFrom }, false);
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
        await this.#markUnverified(upload.id, null);
      }
    }
    return isRight;
  }

  async #checkHead(upload: Upload, head: Uint8Array): Promise<void> {
    const { ledger, staging, policyHash, keepRecordsForMs, checkHead, announce } = this.#options;
    // A detection that fails is no verdict: the full inspection looks again.
    const rejection = await checkHead(head, upload).catch(() => undefined);
    if (rejection === undefined) return;
    const rejected = await ledger.move(upload.id, { from: 'receiving' }, 'rejected', {
      errorCode: rejection.code,
      errorDetail: rejection.detail ?? null,
      policyHash,
      expiresAt: Date.now() + keepRecordsForMs,
    });
    if (rejected) {
      // Not awaited: whoever is told must not hold up the answer.
      void announce(rejected);
      await staging.remove(upload.id);
    }
    throw new UploadError(rejection.code, rejection.detail === undefined ? {} : { detail: rejection.detail });
  }
}

/** Fetched for many ids at once: the call costs more than the bytes. */
let random = Buffer.alloc(0);

/** 128 bits from a CSPRNG: an id that can't be guessed, and never the client's. */
export function newUploadId(): string {
  if (random.byteLength === 0) random = randomBytes(ID_BYTES * 256);
  const id = random.toString('hex', 0, ID_BYTES);
  random = random.subarray(ID_BYTES);
  return id;
}

export function tooLarge(maxUploadSize: number): UploadError {
  return new UploadError('ERR_MAX_SIZE_EXCEEDED', { detail: `The limit is ${formatBytes(maxUploadSize)}.` });
}

function refusalOf(end: Exclude<BodyEnd, 'whole'>, signal: AbortSignal): UploadError {
  switch (end) {
    case 'too-long':
      return new UploadError('ERR_UPLOAD_LENGTH_EXCEEDED');
    case 'too-slow':
      return new UploadError('ERR_BODY_TIMEOUT');
    case 'cut':
      return new UploadError('ERR_BAD_REQUEST', { detail: 'The body was cut off.' });
    case 'interrupted':
      return signal.reason instanceof UploadError ? signal.reason : new UploadError('ERR_UPLOAD_LOCKED', { retryAfterSeconds: 1 });
  }
}

/** @throws UploadError ERR_SOURCE_CHANGED when what was sent is not what is stored from `offset` on */
async function compare(staging: Staging, id: string, offset: number, sent: Buffer): Promise<void> {
  const reader = await staging.open(id);
  const stored = await reader.read(offset, offset + sent.byteLength).finally(() => reader.close());
  if (!stored.equals(sent)) throw new UploadError('ERR_SOURCE_CHANGED');
}
