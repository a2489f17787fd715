// Files of a form that is little: each is read to its end before it is stored, so that its length is known, and its row is written once,
// under inspection.
import type { IncomingMessage } from 'node:http';
import type { Beginnings } from '../finish/beginnings.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { UploadIn } from '../ledger/upload.ts';
import type { TryLock } from '../locking/locker.ts';
import { mayComeWhole, type NewUpload, WHOLE_BYTES } from '../staging/admission.ts';
import { memoryBody } from '../staging/body-source.ts';
import type { Receiver } from '../staging/receiver.ts';
import type { Staging } from '../staging/staging.ts';

export interface WholeFilesOptions {
  ledger: Ledger;
  staging: Staging;
  receiver: Receiver;
  beginnings: Beginnings;
  locker: TryLock;
}

export class WholeFiles {
  readonly #options: WholeFilesOptions;

  constructor(options: WholeFilesOptions) {
    this.#options = options;
  }

  /** Whether the files of this form come whole, as far as it says how long it is. */
  isFor(request: IncomingMessage): boolean {
    const { ledger, staging } = this.#options;
    const formBytes = Number(request.headers['content-length'] ?? Number.POSITIVE_INFINITY);
    return formBytes <= WHOLE_BYTES && mayComeWhole(ledger, staging);
  }

  /**
   * Stores a file and starts its inspection.
   * @param bytes all of it, at least one
   * @throws UploadError; then nothing is left of it
   */
  async take(bytes: Buffer, creation: Omit<NewUpload, 'length' | 'comesWhole'>, signal: AbortSignal): Promise<UploadIn<'receiving'>> {
    const { receiver, beginnings, locker } = this.#options;
    const length = bytes.byteLength;
    const upload = (await receiver.create({ ...creation, length, comesWhole: true })).upload as UploadIn<'receiving'>;
    // Until it has a row, who looks for what is left over must find it locked.
    await locker.tryWith(upload.id, async () => {
      const receiving = receiver.receive(upload, 0, memoryBody(bytes), { maxBytes: length, signal, isNew: true, comesWhole: true });
      await beginnings.receiveNew(upload, receiving, (add) => receiver.add(upload, add));
    });
    return upload;
  }
}
