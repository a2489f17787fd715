import type { Ledger } from '../ledger/ledger.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import { completeChecksum } from '../staging/running-checksum.ts';
import type { Staging } from '../staging/staging.ts';
import type { Unproved } from '../staging/unproved.ts';

export interface ProverOptions {
  ledger: Ledger;
  staging: Staging;
  unproved: Unproved;
  onFault(error: unknown, id: UploadId): void;
}

/** Makes the bytes of complete uploads durable, also after a sync of them failed. */
export class Prover {
  readonly #options: ProverOptions;

  constructor(options: ProverOptions) {
    this.#options = options;
  }

  /** A sync of these bytes failed: another would say that all is well. */
  distrust(id: UploadId): Promise<void> {
    return this.#options.unproved.add(id);
  }

  /**
   * Makes the staged bytes durable. A failed fsync leaves them unproved and its error is reported only once, so they are
   * copied and the copy held against the running checksum. What does not match goes back to byte 0, and false is the answer.
   *
   * @param knownChecksum CRC-32 of the whole; undefined: the ledger's
   * @throws the reason of `lost` when the bytes are no longer this process's to write
   */
  async prove(id: UploadId, knownChecksum: number | undefined, lost: AbortSignal): Promise<boolean> {
    const { ledger, staging, unproved, onFault } = this.#options;
    if (!unproved.has(id)) {
      try {
        await staging.sync(id);
        return true;
      } catch (error) {
        await unproved.add(id);
        onFault(error, id);
      }
    }
    await staging.renew(id, lost);
    const upload = await ledger.get(id);
    const reader = await staging.open(id, lost);
    const { checksum } = await completeChecksum({ checksum: 0, checksumOffset: 0 }, reader, lost).finally(() => reader.close());
    const expected = knownChecksum ?? (upload?.checksumOffset === reader.size ? upload.checksum : undefined);
    const isRight = checksum === expected;
    lost.throwIfAborted();
    if (!isRight) {
      // The ledger first: of what comes in their stead nothing is proved, and should this process not come to take them away,
      // they count for nothing.
      await ledger.change(id, { from: 'receiving' }, { provenOffset: 0, unverifiedFrom: 0, checksum: 0, checksumOffset: 0 }, true);
      await staging.truncate(id, 0);
    }
    unproved.delete(id);
    return isRight;
  }
}
