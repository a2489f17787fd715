import type { Ledger } from '../ledger/ledger.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import { advance } from '../staging/running-checksum.ts';
import type { StagedReader, Staging } from '../staging/staging.ts';
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
  markUnproved(id: UploadId): Promise<void> {
    return this.#options.unproved.add(id);
  }

  /**
   * Makes the staged bytes durable. A failed fsync leaves them unproved and its error is reported only once, so they are
   * copied and the copy held against the running checksum. What does not match goes back to the proven offset, and false is the
   * answer; to byte 0 where the copy is already wrong as far as the ledger's last checkpoint.
   *
   * @param knownChecksum CRC-32 of the whole; undefined: the ledger's
   * @throws the reason of `lost` when the bytes are no longer this process's to write
   */
  async makeDurable(id: UploadId, knownChecksum: number | undefined, lost: AbortSignal): Promise<boolean> {
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
    const checkpoint = upload?.checksumOffset ?? 0;
    const copied = await checksumsOf(reader, checkpoint, lost).finally(() => reader.close());
    const expected = knownChecksum ?? (checkpoint === reader.size ? upload?.checksum : undefined);
    const isRight = copied.whole === expected;
    lost.throwIfAborted();
    if (!isRight) {
      const isRightBefore = upload !== undefined && copied.first === upload.checksum;
      const kept = isRightBefore ? upload.provenOffset : 0;
      // The ledger first: of what comes in their stead nothing is proved, and should this process not come to take them away,
      // they count for nothing.
      const checksum = isRightBefore && checkpoint <= kept ? {} : { checksum: 0, checksumOffset: 0 };
      await ledger.change(id, { from: 'receiving' }, { provenOffset: kept, unverifiedFrom: kept, ...checksum }, true);
      await staging.truncate(id, kept);
    }
    unproved.delete(id);
    return isRight;
  }
}

/** CRC-32 of all staged bytes, and of the first `count`; undefined where there are not as many. @throws the signal's reason */
async function checksumsOf(
  reader: StagedReader,
  count: number,
  signal: AbortSignal,
): Promise<{ first: number | undefined; whole: number }> {
  const running = { checksum: 0, offset: 0 };
  let first = count === 0 ? 0 : undefined;
  for await (const chunk of reader.stream()) {
    signal.throwIfAborted();
    const before = chunk.subarray(0, Math.max(count - running.offset, 0));
    advance(running, [before]);
    if (running.offset === count) first = running.checksum;
    advance(running, [chunk.subarray(before.byteLength)]);
  }
  return { first, whole: running.checksum };
}
