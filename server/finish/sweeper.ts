// Expires unfinished uploads, removes accepted files at the end of their retention, deletes expired records, and deletes the staged
// bytes of uploads that have ended.
import type { Logger } from 'pino';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { TryLock } from '../locking/locker.ts';
import { Retries } from '../runtime/retries.ts';
import { isAllStored } from '../staging/all-stored.ts';
import { endReceiving } from '../staging/end-receiving.ts';
import type { Staging } from '../staging/staging.ts';
import type { Storage } from '../storage/storage.ts';
import type { DirectCompletion } from './direct-completion.ts';
import type { Removal } from './removal.ts';

/** How often the sweeper looks for bytes that a crashed process left behind. */
const LEFTOVERS_EVERY_MS = 3_600_000;

/**
 * Where several processes serve, the sweeper deletes bytes without a row only when it first found them this long ago. The row of an
 * upload that is sent whole follows its bytes within seconds. A process that is suspended between the two for this long has lost its
 * lease, and the ledger takes no row from it.
 */
const ROWLESS_MS = 600_000;

/** Rows looked at before the event loop gets its turn. */
const PAGE = 100;
/** This many failures in a row end a pass. */
const MAX_FAULTS = 20;

export interface SweeperOptions {
  ledger: Ledger;
  staging: Staging;
  storage: Storage;
  lock: TryLock;
  /** Only where senders send bytes directly to S3. */
  direct?: Pick<DirectCompletion, 'startIfComplete' | 'sweep'>;
  /** True while an upload's inspection is being started: all its bytes are stored. */
  isStarting(id: UploadId): boolean;
  intervalMs: number;
  keepRecordsForMs: number;
  /** Releases the expired reservations of bytes that did not arrive. */
  releaseReservations(): Promise<void>;
  removal: Removal;
  log: Logger;
}

export class Sweeper {
  readonly #options: SweeperOptions;
  readonly #retries: Retries;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #clearing: Promise<void> | undefined;
  #stopped = false;
  #leftoversDueAtMs = 0;
  /** Uploads whose bytes have no row, and when the sweeper found them first. */
  #rowless = new Map<UploadId, number>();

  constructor(options: SweeperOptions) {
    this.#options = options;
    this.#retries = new Retries((error) => options.log.error({ err: error }, 'leftover bytes could not be deleted yet'));
  }

  /**
   * Clears what crashes left behind: staged bytes of uploads that have ended (a crash between the verdict and the deletion), and
   * unfinished publications. May run at any time. A failure with one upload does not keep the others from being cleared.
   */
  async clearLeftovers(): Promise<void> {
    const { ledger, staging, storage } = this.#options;
    const isOver = () => this.#stopped;
    await this.#retries.do(() =>
      storage.clearUnfinished(async (id, attempt) => {
        const upload = await ledger.get(id);
        return upload?.state === 'inspecting' && upload.attempt === attempt;
      }, isOver),
    );
    const rowless = new Map<UploadId, number>();
    for await (const id of staging.list()) {
      if (this.#stopped) return;
      const upload = await ledger.get(id);
      if (isUnderWay(upload)) continue;
      // Another process may be about to add the row.
      if (upload === undefined && !ledger.isAlone && staging.isReadableInProgress) {
        const sinceMs = this.#rowless.get(id) ?? performance.now();
        rowless.set(id, sinceMs);
        if (performance.now() - sinceMs < ROWLESS_MS) continue;
      }
      await this.#retries.do(() => this.#clearLeftover(id));
    }
    this.#rowless = rowless;
  }

  /** Clears leftovers first, in the background: in S3, a thousand of them take a minute. */
  start(): void {
    this.#lookForLeftovers();
    this.#timer = setInterval(() => {
      // While a pass takes longer than the interval, no other pass starts.
      this.#running ??= this.#pass().finally(() => {
        this.#running = undefined;
      });
      if (performance.now() > this.#leftoversDueAtMs) this.#lookForLeftovers();
    }, this.#options.intervalMs);
    this.#timer.unref();
  }

  async close(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#running;
    await this.#clearing;
    await this.#retries.close();
  }

  async #pass(): Promise<void> {
    try {
      await this.sweep();
    } catch (error) {
      this.#options.log.error({ err: error }, 'fault while sweeping');
    }
  }

  /** Runs beside the sweep, which must not wait for it. When the listing fails, the next sweep tries again. */
  #lookForLeftovers(): void {
    const clear = async () => {
      try {
        await this.clearLeftovers();
        this.#leftoversDueAtMs = performance.now() + (this.#rowless.size > 0 ? ROWLESS_MS : LEFTOVERS_EVERY_MS);
      } catch (error) {
        this.#options.log.error({ err: error }, 'fault while looking for leftover bytes');
      }
    };
    this.#clearing ??= clear().finally(() => {
      this.#clearing = undefined;
    });
  }

  /** One pass over all expired uploads. Safe beside running uploads: a locked upload is left for the next pass. */
  async sweep(): Promise<void> {
    const { ledger, direct, log } = this.#options;
    await direct?.sweep(() => this.#stopped);
    await this.#options.releaseReservations();
    const now = ledger.now();
    const left = new Set<string>();
    let faults = 0;
    while (!this.#stopped) {
      const page = (await ledger.uploads.expired(now, PAGE + left.size)).filter((id) => !left.has(id));
      for (const id of page) {
        if (this.#stopped) return;
        // A failure with one upload must not stop the pass. When all fail, the storage or the ledger is probably unreachable.
        const isCleared = await this.#clear(id, now).catch((error: unknown) => {
          if (++faults === MAX_FAULTS) throw error;
          log.error({ err: error, upload: id }, 'fault while sweeping');
          return false;
        });
        if (isCleared) faults = 0;
        else left.add(id);
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (page.length < PAGE) return;
    }
  }

  async #clearLeftover(id: UploadId): Promise<void> {
    const { ledger, staging, storage, lock, isStarting } = this.#options;
    // An upload that is sent whole in its creation has bytes before it has a row. Until then it is locked, or its inspection is starting.
    await lock.tryWith(id, async () => {
      const upload = await ledger.get(id);
      if (isUnderWay(upload) || isStarting(id)) return;
      if (upload?.state === 'rejected' && upload.target !== null) await storage.remove(upload.target);
      if (upload?.state === 'accepted') await storage.keepOnly(upload.target);
      await staging.remove(id);
    });
  }

  /** Resolves to false when the upload is locked, or its state has changed meanwhile. */
  async #clear(id: UploadId, now: number): Promise<boolean> {
    const { ledger, staging, storage, direct, lock, isStarting, keepRecordsForMs, removal, log } = this.#options;
    const upload = await ledger.get(id);
    if (upload === undefined) return true;
    if (upload.state === 'accepted') {
      if (await removal.remove(upload)) log.info({ upload: id, state: 'removed' }, 'removed');
      return true;
    }
    // Another process may have extended `expiresAt`, because it sends the file to a reader.
    if (upload.state === 'removed' && upload.recordExpiresAt !== null) {
      if (upload.expiresAt !== null && upload.expiresAt <= now) await removal.finish(upload);
      return true;
    }
    if (upload.state !== 'receiving') {
      // An earlier run may have published the file before a later run refused it, and the clean-up may have failed. Or an operator removed
      // the file with an earlier version of Landfall, and that removal did not finish.
      if ((upload.state === 'rejected' || upload.state === 'removed') && upload.target !== null) await storage.remove(upload.target);
      // The process that ended the upload may not have received the ledger's answer, and may have left the bytes.
      if (upload.state !== 'inspecting') await staging.remove(id);
      return ledger.forget(id, now);
    }
    let expired = false;
    await lock.tryWith(id, async () => {
      const fresh = await ledger.get(id);
      if (fresh?.state !== 'receiving' || fresh.expiresAt === null || fresh.expiresAt > now || isStarting(id)) return;
      if (fresh.directDueAt !== null && (await direct?.startIfComplete(id))) return;
      // A complete upload waits for its inspection, not for its sender, so it does not expire.
      if (fresh.length !== null && fresh.length > 0 && fresh.unverifiedFrom === null && (await isAllStored(staging, fresh))) return;
      const expiresAt = ledger.now() + keepRecordsForMs;
      const expire = () => ledger.move(id, { from: 'receiving' }, 'expired', { expiresAt });
      expired = (await endReceiving(staging, expire)) !== undefined;
    });
    if (expired) log.info({ upload: id, state: 'expired' }, 'expired');
    return expired;
  }
}

function isUnderWay(upload: Upload | undefined): boolean {
  return upload?.state === 'receiving' || upload?.state === 'inspecting';
}
