// Appends the body of a PATCH or a creation, under the upload's lock.
import { UploadError } from '../../shared/errors.ts';
import type { InspectionStarts } from '../finish/inspection-starts.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { maxBytesOf } from '../ledger/limits.ts';
import type { UploadIn } from '../ledger/upload.ts';
import type { UploadLocker } from '../locking/locker.ts';
import { onAbort } from '../runtime/on-abort.ts';
import { tooLarge } from '../staging/admission.ts';
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

export class Appends {
  readonly #options: AppendsOptions;

  constructor(options: AppendsOptions) {
    this.#options = options;
  }

  /** Call under the lock. Resolves to the new offset. */
  async receive(context: Context, checked: CheckedRequest, cancellation: Cancellation): Promise<number> {
    const { offset, maxBytes } = checked;
    const { ledger, receiver, inspectionStarts, locker, draining } = this.#options;
    const { raw } = context.request;
    let { upload } = context;
    if (upload !== undefined && context.append !== undefined) upload = await ledger.get(upload.id);
    if (upload?.state !== 'receiving' || inspectionStarts.has(upload.id)) throw new NotReceiving();
    const { id } = upload;
    const declared = context.append?.length;
    let limit = Math.min(maxBytes, maxBytesOf(upload, this.#options.maxUploadBytes) - offset);
    if (declared !== undefined) {
      upload = await this.#declare(context, upload, offset, declared);
      limit = declared - offset;
      if (Number(raw.headers['content-length'] ?? 0) > limit) throw new UploadError('ERR_UPLOAD_LENGTH_EXCEEDED');
    }
    const checksums = (context.append ?? context.creation)?.checksums;
    if (checksums !== undefined && checksums.file !== null && upload.expectedChecksum !== checksums.file) {
      // Written before the last byte can arrive, so that any process that later finishes the upload checks the file against it.
      const expectedChecksum = checksums.file;
      if (!context.comesWhole) await ledger.change(upload.id, { from: 'receiving' }, { expectedChecksum }, false);
      upload = { ...upload, expectedChecksum };
    }
    context.upload = upload;
    const stop = () => cancellation.abort(draining.reason);
    const forget = onAbort(draining, stop);
    if (draining.aborted) stop();
    const receiving = receiver
      .receive(upload, offset, bodyOf(raw), {
        maxBytes: limit,
        signal: cancellation.signal,
        onActivity: () => locker.touch(id),
        requireHeld: () => locker.requireHeld(id),
        isNew: context.append === undefined,
        stored: checked.stored,
        comesWhole: context.comesWhole ?? false,
        expected: checksums?.chunk,
      })
      .finally(forget);
    const row = upload;
    if (context.comesWhole) return inspectionStarts.receiveNew(row, receiving, (add) => receiver.add(row, add));
    const { stored, complete } = await receiving;
    // Started under the lock, so that no request appends while the bytes are made durable.
    if (complete) void inspectionStarts.start(upload.id, stored, context.isDeclaring ? 'length' : 'byte', complete);
    else context.upload = (await ledger.get(upload.id)) ?? upload;
    return stored;
  }

  /**
   * tus 1.0.0, Upload-Length of a deferred upload. When all bytes were acknowledged before, the declaration is held back, and the move
   * to `inspecting` writes the length. Otherwise the length is written now, and the last byte will be held back.
   */
  async #declare(context: Context, upload: UploadIn<'receiving'>, offset: number, length: number): Promise<UploadIn<'receiving'>> {
    const { ledger } = this.#options;
    const maxUploadBytes = maxBytesOf(upload, this.#options.maxUploadBytes);
    if (upload.length !== null) {
      if (upload.length !== length) throw new UploadError('ERR_INVALID_UPLOAD_LENGTH', { detail: 'Another length was declared before.' });
      return upload;
    }
    if (length < offset) throw new UploadError('ERR_INVALID_UPLOAD_LENGTH', { detail: 'More bytes are stored already.' });
    if (length > maxUploadBytes) throw tooLarge(maxUploadBytes);
    if (length === offset) context.isDeclaring = true;
    else if (!(await ledger.change(upload.id, { from: 'receiving' }, { length }, true))) throw new NotReceiving();
    return { ...upload, length };
  }
}
