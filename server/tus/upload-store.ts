import { DataStore, type Upload as TusUpload, Upload as TusUploadClass } from '@tus/utils';
import type { InspectionStarts } from '../finish/inspection-starts.ts';
import { acknowledgedOffset } from '../finish/verdict-answers.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { parseUploadId, type UploadId } from '../ledger/upload-id.ts';
import { endReceiving } from '../staging/end-receiving.ts';
import type { Receiver } from '../staging/receiver.ts';
import type { Staging } from '../staging/staging.ts';

export interface UploadStoreOptions {
  ledger: Ledger;
  staging: Staging;
  receiver: Receiver;
  inspectionStarts: InspectionStarts;
  keepRecordsForMs: number;
}

/** The upload left `receiving` between the first look and the lock. */
export class NotReceiving extends Error {}

/** What the library's handlers ask of a store: the ledger and staging, read together. */
export class UploadStore extends DataStore {
  readonly #options: UploadStoreOptions;

  constructor(options: UploadStoreOptions) {
    super();
    this.#options = options;
    this.extensions = [
      'creation',
      'creation-with-upload',
      'creation-defer-length',
      'expiration',
      'termination',
      'checksum',
      'checksum-trailer',
    ];
  }

  /** 0: the library would count from the creation; ours slides with activity and is the sweeper's. */
  override getExpiration(): number {
    return 0;
  }

  override async getUpload(given: string): Promise<TusUpload> {
    const { ledger, receiver } = this.#options;
    const id = givenBack(given);
    const upload = await ledger.get(id);
    if (upload?.state !== 'receiving') throw new NotReceiving();
    const offset = acknowledgedOffset(upload, await receiver.confirmed(upload));
    // An absent size is how the library knows a deferred length, which the option types do not say.
    return new TusUploadClass({ id, offset, ...(upload.length === null ? {} : { size: upload.length }) });
  }

  /** Under the lock. */
  override async remove(given: string): Promise<void> {
    const { ledger, staging, inspectionStarts, keepRecordsForMs } = this.#options;
    const id = givenBack(given);
    if (inspectionStarts.has(id)) throw new NotReceiving();
    const expiresAt = ledger.now() + keepRecordsForMs;
    const terminate = () => ledger.move(id, { from: 'receiving' }, 'terminated', { expiresAt });
    if ((await endReceiving(staging, terminate)) === undefined) throw new NotReceiving();
  }
}

/** An id that the library had from us. */
export function givenBack(id: string): UploadId {
  const parsed = parseUploadId(id);
  if (parsed === undefined) throw new Error(`@tus/server gives an id that it did not get: ${id}`);
  return parsed;
}
