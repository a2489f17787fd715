import { DataStore, Upload as TusUpload } from '@tus/utils';
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

/** The upload left `receiving` after the request had read its state and before it acquired the lock. */
export class NotReceiving extends Error {}

/** What the library gets for an upload whose state it asks for, under the lock. */
export class StoredUpload extends TusUpload {
  /** Bytes that are stored, perhaps more than may be acknowledged. */
  readonly stored: number;

  constructor(upload: ConstructorParameters<typeof TusUpload>[0], stored: number) {
    super(upload);
    this.stored = stored;
  }
}

/** The data store for the handlers of @tus/server: reads the ledger and staging together. */
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

  /**
   * 0 turns the library's expiration off, which counts from the creation. Landfall's counts from the last activity, and the sweeper
   * applies it.
   */
  override getExpiration(): number {
    return 0;
  }

  override async getUpload(given: string): Promise<StoredUpload> {
    const { ledger, receiver } = this.#options;
    const id = requireUploadId(given);
    const upload = await ledger.get(id);
    if (upload?.state !== 'receiving') throw new NotReceiving();
    const { stored, confirmed } = await receiver.offsets(upload);
    const offset = acknowledgedOffset(upload, confirmed);
    // Without a size, the library takes the length as deferred, which the types of its options do not say.
    return new StoredUpload({ id, offset, ...(upload.length === null ? {} : { size: upload.length }) }, stored);
  }

  /** The library calls this under the lock. */
  override async remove(given: string): Promise<void> {
    const { ledger, staging, inspectionStarts, keepRecordsForMs } = this.#options;
    const id = requireUploadId(given);
    if (inspectionStarts.has(id)) throw new NotReceiving();
    const expiresAt = ledger.now() + keepRecordsForMs;
    const terminate = () => ledger.move(id, { from: 'receiving' }, 'terminated', { expiresAt });
    if ((await endReceiving(staging, terminate)) === undefined) throw new NotReceiving();
  }
}

/** Types an id that @tus/server passes back. */
export function requireUploadId(id: string): UploadId {
  const parsed = parseUploadId(id);
  if (parsed === undefined) throw new Error(`@tus/server passed an id that Landfall did not give it: ${id}`);
  return parsed;
}
