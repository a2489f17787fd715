import type { Ledger } from '../ledger/ledger.ts';
import { completeChecksum } from '../staging/running-checksum.ts';
import type { Staging } from '../staging/staging.ts';

export interface ProverOptions {
  ledger: Ledger;
  staging: Staging;
  onFault(error: unknown, id: string): void;
}

/** Makes the bytes of complete uploads durable, also after a sync of them failed. */
export class Prover {
  readonly #options: ProverOptions;
  readonly #unproved = new Set<string>();

  constructor(options: ProverOptions) {
    this.#options = options;
  }

  /** A sync of these bytes failed: another would say that all is well. */
  distrust(id: string): void {
    this.#unproved.add(id);
  }

  /**
   * Makes the staged bytes durable. A failed fsync leaves them unproved and its error is reported only once, so they are
   * copied and the copy held against the running checksum. What does not match goes back to byte 0, and false is the answer.
   *
   * @param knownChecksum CRC-32 of the whole; undefined: the ledger's
   * @throws the reason of `lost` when the bytes are no longer this process's to write
   */
  async prove(id: string, knownChecksum: number | undefined, lost: AbortSignal): Promise<boolean> {
    const { ledger, staging, onFault } = this.#options;
    if (!this.#unproved.has(id)) {
      try {
        await staging.sync(id);
        return true;
      } catch (error) {
        this.#unproved.add(id);
        onFault(error, id);
      }
    }
    await staging.renew(id, lost);
    const upload = await ledger.get(id);
    const reader = await staging.open(id, lost);
    const { checksum } = await completeChecksum({ checksum: 0, checksumOffset: 0 }, reader, lost).finally(() => reader.close());
    this.#unproved.delete(id);
    const expected = knownChecksum ?? (upload?.checksumOffset === reader.size ? upload.checksum : undefined);
    if (checksum === expected) return true;
    lost.throwIfAborted();
    await staging.truncate(id, 0);
    await ledger.change(id, { from: 'receiving' }, { checksum: 0, checksumOffset: 0 }, true);
    return false;
  }
}
