// Bytes come in, with a PATCH or a creation: under the upload's lock, which the library has taken.
import type { CancellationContext, Upload as TusUpload } from '@tus/utils';
import { UploadError } from '../../shared/errors.ts';
import type { Beginnings } from '../finish/beginnings.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { maxBytesOf } from '../ledger/limits.ts';
import type { UploadIn } from '../ledger/upload.ts';
import type { UploadLocker } from '../locking/locker.ts';
import { tooLarge } from '../staging/admission.ts';
import type { Received } from '../staging/body-intake.ts';
import { bodyOf } from '../staging/lifted-body.ts';
import type { Receiver } from '../staging/receiver.ts';
import type { Staging } from '../staging/staging.ts';
import type { Context } from './request-context.ts';
import { linked } from './request-context.ts';
import type { TusRequest } from './stock-server.ts';
import { Moved } from './upload-store.ts';

export interface AppendsOptions {
  ledger: Ledger;
  staging: Staging;
  receiver: Receiver;
  beginnings: Beginnings;
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

  /** Under the lock. The library has compared the offset with the acknowledged one. */
  async receive(request: TusRequest<Context>, tusUpload: TusUpload, maxBytes: number, cancellation: CancellationContext): Promise<number> {
    const { context } = request;
    const { ledger, receiver, beginnings, locker, draining } = this.#options;
    let { upload } = context;
    if (upload !== undefined && context.append !== undefined) upload = await ledger.get(upload.id);
    if (upload?.state !== 'receiving' || beginnings.has(upload.id)) throw new Moved();
    const { id } = upload;
    const declared = context.append?.length;
    let limit = Math.min(maxBytes, maxBytesOf(upload, this.#options.maxUploadBytes) - tusUpload.offset);
    if (declared !== undefined) {
      upload = await this.#declare(context, upload, tusUpload.offset, declared);
      tusUpload.size = declared;
      limit = declared - tusUpload.offset;
      if (Number(request.headers.get('content-length') ?? 0) > limit) throw new UploadError('ERR_UPLOAD_LENGTH_EXCEEDED');
    }
    const checksums = (context.append ?? context.creation)?.checksums;
    if (checksums !== undefined && checksums.file !== null && upload.expectedChecksum !== checksums.file) {
      // Before the last byte can come: whoever finishes this upload, after a crash for one, holds it against this.
      const expectedChecksum = checksums.file;
      if (!context.comesWhole) await ledger.change(upload.id, { from: 'receiving' }, { expectedChecksum }, false);
      upload = { ...upload, expectedChecksum };
    }
    context.upload = upload;
    const stopping = linked([cancellation.signal, draining]);
    const receiving = receiver
      .receive(upload, tusUpload.offset, bodyOf(request.body), {
        maxBytes: limit,
        signal: stopping.signal,
        onActivity: () => locker.touch(id),
        requireHeld: () => locker.requireHeld(id),
        isNew: context.append === undefined,
        comesWhole: context.comesWhole ?? false,
        expected: checksums?.chunk,
      })
      .finally(stopping.unlink);
    if (context.comesWhole) return this.#beginNew(upload, receiving);
    const { stored, complete } = await receiving;
    // Under the lock, so that nothing is appended to what is being made durable.
    if (complete) void beginnings.begin(upload.id, stored, context.isDeclaring ? 'length' : 'byte', complete);
    else context.upload = (await ledger.get(upload.id)) ?? upload;
    return stored;
  }

  /** Whatever goes wrong before it has a row: nothing was created, and its sender has all of it. */
  async #beginNew(upload: UploadIn<'receiving'>, receiving: Promise<Received>): Promise<number> {
    const { beginnings, receiver, staging } = this.#options;
    try {
      const { stored, complete } = await receiving;
      if (complete === undefined) throw new UploadError('ERR_BAD_REQUEST', { detail: 'The body was cut off.' });
      if (complete.proof !== 'durable') throw new UploadError('ERR_STORAGE_UNAVAILABLE', { retryAfterSeconds: 5 });
      beginnings.beginNew(upload, stored, complete, (add) => receiver.add(upload, add));
      return stored;
    } catch (error) {
      await staging.remove(upload.id);
      throw error;
    }
  }

  /**
   * tus 1.0.0, Upload-Length of a deferred upload. When every byte was acknowledged before, it is the declaration that is
   * held back, in the inspection's own state change; otherwise the length is set now and the last byte is.
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
    else if (!(await ledger.change(upload.id, { from: 'receiving' }, { length }, true))) throw new Moved();
    return { ...upload, length };
  }
}
