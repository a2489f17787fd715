// Appends the body of a PATCH or a creation, under the upload's lock.
import { UploadError } from '../../shared/errors.ts';
import type { InspectionStarts } from '../finish/inspection-starts.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { maxBytesOf } from '../ledger/limits.ts';
import type { UploadIn } from '../ledger/upload.ts';
import type { UploadLocker } from '../locking/locker.ts';
import { tooLarge } from '../staging/admission.ts';
import type { Received, ReceiveOptions } from '../staging/body-intake.ts';
import { bodyOf } from '../staging/lifted-body.ts';
import type { Receiver } from '../staging/receiver.ts';
import type { Staging } from '../staging/staging.ts';
import type { CheckedRequest, Context } from './request-context.ts';
import type { Cancellation } from './stock-server.ts';
import { NotReceiving } from './upload-store.ts';

export interface AppendsOptions {
  ledger: Ledger;
  staging: Staging;
  receiver: Receiver;
  inspectionStarts: InspectionStarts;
  locker: UploadLocker;
  maxUploadBytes: number;
  /** Aborted with the reason when the server shuts down. */
  draining: AbortSignal;
}

/** A request whose body can be received. */
export interface PreparedAppend {
  upload: UploadIn<'receiving'>;
  offset: number;
  options: ReceiveOptions;
}

export class Appends {
  readonly #options: AppendsOptions;
  /** The requests whose bodies are being received. */
  readonly #running = new Set<Cancellation>();

  constructor(options: AppendsOptions) {
    this.#options = options;
    const { draining } = options;
    draining.addEventListener('abort', () => {
      for (const cancellation of this.#running) cancellation.abort(draining.reason);
    });
  }

  /** Call under the lock. Resolves to the new offset. */
  async receive(context: Context, checked: CheckedRequest, cancellation: Cancellation): Promise<number> {
    const { inspectionStarts, receiver } = this.#options;
    const prepared = await this.prepare(context, checked, cancellation);
    const { upload } = prepared;
    try {
      const receiving = this.start(context, prepared, cancellation);
      if (context.comesWhole) return await inspectionStarts.receiveNew(upload, receiving, (add) => receiver.add(upload, add));
      return await this.conclude(context, await receiving);
    } finally {
      this.end(cancellation);
    }
  }

  /** Call under the lock. Writes what has to be in the ledger before the body is received. @throws NotReceiving, UploadError */
  async prepare(context: Context, checked: CheckedRequest, cancellation: Cancellation): Promise<PreparedAppend> {
    const { offset, maxBytes } = checked;
    const { ledger, inspectionStarts, locker } = this.#options;
    let { upload } = context;
    if (upload !== undefined && context.append !== undefined) upload = await ledger.get(upload.id);
    if (upload?.state !== 'receiving' || inspectionStarts.has(upload.id)) throw new NotReceiving();
    const { id } = upload;
    const declared = context.append?.length;
    let limit = Math.min(maxBytes, maxBytesOf(upload, this.#options.maxUploadBytes) - offset);
    if (declared !== undefined) {
      upload = await this.#declare(context, upload, offset, declared);
      limit = declared - offset;
      if (Number(context.request.raw.headers['content-length'] ?? 0) > limit) throw new UploadError('ERR_UPLOAD_LENGTH_EXCEEDED');
    }
    const checksums = (context.append ?? context.creation)?.checksums;
    if (checksums !== undefined && checksums.file !== null && upload.expectedChecksum !== checksums.file) {
      // Written before the last byte can arrive, so that any process that later finishes the upload checks the file against it.
      const expectedChecksum = checksums.file;
      if (!context.comesWhole) await ledger.change(upload.id, { from: 'receiving' }, { expectedChecksum }, false);
      upload = { ...upload, expectedChecksum };
    }
    context.upload = upload;
    const options: ReceiveOptions = {
      maxBytes: limit,
      signal: cancellation.signal,
      onActivity: () => locker.touch(id),
      requireHeld: () => locker.requireHeld(id),
      isNew: context.append === undefined,
      stored: checked.stored,
      comesWhole: context.comesWhole ?? false,
      expected: checksums?.chunk,
    };
    return { upload, offset, options };
  }

  /** Receives the body. Call `end` when it has ended. */
  start({ request }: Context, { upload, offset, options }: PreparedAppend, cancellation: Cancellation): Promise<Received> {
    const { receiver, draining } = this.#options;
    this.#running.add(cancellation);
    if (draining.aborted) cancellation.abort(draining.reason);
    return receiver.receive(upload, offset, bodyOf(request.raw), options);
  }

  end(cancellation: Cancellation): void {
    this.#running.delete(cancellation);
  }

  /** Call under the lock, after the body. Resolves to the new offset. */
  async conclude(context: Context, { stored, complete }: Received): Promise<number> {
    const { ledger, inspectionStarts } = this.#options;
    const { upload, isDeclaring } = context;
    if (upload === undefined) throw new Error('The row of the upload was not read.');
    // Started under the lock, so that no request appends while the bytes are made durable.
    if (complete) void inspectionStarts.start(upload.id, stored, isDeclaring ? 'length' : 'byte', complete);
    else context.upload = (await ledger.get(upload.id)) ?? upload;
    return stored;
  }

  /**
   * tus 1.0.0, Upload-Length of a deferred upload. When all bytes were acknowledged before, the declaration is held back, and the move
   * to `inspecting` writes the length. Otherwise the length is written now, and the last byte will be held back.
   */
  async #declare(context: Context, upload: UploadIn<'receiving'>, offset: number, length: number): Promise<UploadIn<'receiving'>> {
    const maxUploadBytes = maxBytesOf(upload, this.#options.maxUploadBytes);
    if (upload.length !== null) {
      if (upload.length !== length) throw new UploadError('ERR_INVALID_UPLOAD_LENGTH', { detail: 'Another length was declared before.' });
      return upload;
    }
    if (length < offset) throw new UploadError('ERR_INVALID_UPLOAD_LENGTH', { detail: 'More bytes are stored already.' });
    if (length > maxUploadBytes) throw tooLarge(maxUploadBytes);
    if (length === offset) context.isDeclaring = true;
    else if (!(await this.#options.receiver.declare(upload, length))) throw new NotReceiving();
    return { ...upload, length, reservedBytes: length };
  }
}
