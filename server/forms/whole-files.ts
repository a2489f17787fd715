// Files of a small form. Each is read completely before it is stored, so its length is known, and its row is written once, as
// `inspecting`.
import type { IncomingMessage } from 'node:http';
import { UploadError } from '../../shared/errors.ts';
import type { InspectionStarts } from '../finish/inspection-starts.ts';
import type { UploadIn } from '../ledger/upload.ts';
import type { UploadLocker } from '../locking/locker.ts';
import { mayComeWhole, type NewUpload, WHOLE_BYTES } from '../staging/admission.ts';
import { memoryBody } from '../staging/body-source.ts';
import { bodyOf } from '../staging/lifted-body.ts';
import type { Receiver } from '../staging/receiver.ts';
import type { Staging } from '../staging/staging.ts';

export interface WholeFilesOptions {
  staging: Staging;
  receiver: Receiver;
  inspectionStarts: InspectionStarts;
  locker: Pick<UploadLocker, 'expectNew' | 'tryWith'>;
}

export class WholeFiles {
  readonly #options: WholeFilesOptions;

  constructor(options: WholeFilesOptions) {
    this.#options = options;
  }

  /** Whether the form's Content-Length says that it is small, and the row of an upload may come after its bytes. */
  isFor(request: IncomingMessage): boolean {
    const formBytes = Number(request.headers['content-length'] ?? Number.POSITIVE_INFINITY);
    return formBytes <= WHOLE_BYTES && mayComeWhole(this.#options.staging);
  }

  /**
   * Reads a form that `isFor`.
   * @throws UploadError when it is cut off or too slow, or the server shuts down
   */
  async read(request: IncomingMessage, signal: AbortSignal): Promise<Buffer> {
    try {
      return await this.#options.receiver.readHeld(bodyOf(request), WHOLE_BYTES, signal, undefined);
    } catch (error) {
      if (request.complete || signal.aborted) throw error;
      throw error instanceof UploadError && error.code === 'ERR_BODY_TIMEOUT'
        ? error
        : new UploadError('ERR_INVALID_FORM', { cause: error, detail: 'The form was cut off.' });
    }
  }

  /**
   * Stores a file and starts its inspection.
   * @param bytes the whole file, at least one byte
   * @throws UploadError; then nothing of the file is left
   */
  async take(bytes: Buffer, creation: Omit<NewUpload, 'length' | 'comesWhole'>, signal: AbortSignal): Promise<UploadIn<'receiving'>> {
    const { receiver, inspectionStarts, locker } = this.#options;
    const length = bytes.byteLength;
    const upload = (await receiver.create({ ...creation, length, comesWhole: true })).upload as UploadIn<'receiving'>;
    // The sweeper deletes staged bytes without a row, unless they are locked.
    locker.expectNew(upload.id);
    await locker.tryWith(upload.id, async () => {
      const receiving = receiver.receive(upload, 0, memoryBody(bytes), { maxBytes: length, signal, isNew: true, comesWhole: true });
      await inspectionStarts.receiveNew(upload, receiving, (add) => receiver.add(upload, add, creation.waitForRoom));
    });
    return upload;
  }
}
