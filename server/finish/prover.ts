import type { Ledger } from '../ledger/ledger.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import { advance } from '../staging/running-checksum.ts';
import type { StagedReader, Staging } from '../staging/staging.ts';
import type { SyncFailures } from '../staging/sync-failures.ts';

export interface ProverOptions {
  ledger: Ledger;
  staging: Staging;
  syncFailures: SyncFailures;
  onFault(error: unknown, id: UploadId): void;
}

/** Makes the bytes of complete uploads durable, also after a failed sync. */
export class Prover {
  readonly #options: ProverOptions;

  constructor(options: ProverOptions) {
    this.#options = options;
  }

  /** Records that a sync of the upload's bytes failed: a later successful sync would not prove that they are on the disk. */
  addSyncFailure(id: UploadId): Promise<void> {
    return this.#options.syncFailures.add(id);
  }

  /**
   * Makes the staged bytes durable. The system reports a failed fsync only once. So after a failed fsync the bytes are copied, and the
   * copy is checked against the running checksum. When the copy does not match, this resolves to false, and the upload goes back to the
   * proven offset, or to byte 0 when even the bytes up to the ledger's last checkpoint are wrong.
   *
   * @param knownChecksum CRC-32 of the whole file; undefined: the ledger's checksum is used
   * @throws the reason of `lost` when this process may no longer write the bytes
   */
  async makeDurable(id: UploadId, knownChecksum: number | undefined, lost: AbortSignal): Promise<boolean> {
    const { ledger, staging, syncFailures, onFault } = this.#options;
    if (!syncFailures.has(id)) {
      try {
        await staging.sync(id);
        return true;
      } catch (error) {
        await syncFailures.add(id);
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
      // The ledger is changed first: if this process dies before the truncation, the wrong bytes no longer count.
      const checksum = isRightBefore && checkpoint <= kept ? {} : { checksum: 0, checksumOffset: 0 };
      await ledger.change(id, { from: 'receiving' }, { provenOffset: kept, unverifiedFrom: kept, ...checksum }, true);
      await staging.truncate(id, kept);
    }
    syncFailures.delete(id);
    return isRight;
  }
}

/** CRC-32 of all staged bytes, and of the first `count` bytes (undefined when fewer are staged). @throws the signal's reason */
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
