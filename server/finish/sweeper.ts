// Clears what is over: unfinished uploads nobody sends to, records nobody need ask for, bytes whose upload has ended.
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

/** Bytes that nobody will ask for again are looked for this often: those of a process that crashed beside this one. */
const LEFTOVERS_EVERY_MS = 3_600_000;

/**
 * Where others serve, too, bytes without a row are left over once they were found so long ago. Of an upload that comes whole its row
 * follows within seconds, or never: by then the process that brings it is dead to the ledger, which takes no such row from it.
 */
const ROWLESS_MS = 600_000;

/** Rows looked at before the event loop gets its turn. */
const PAGE = 100;
/** So many in a row that can't be cleared end a pass. */
const MAX_FAULTS = 20;

export interface SweeperOptions {
  ledger: Ledger;
  staging: Staging;
  storage: Storage;
  lock: TryLock;
  /** Where senders bring bytes to S3 themselves. */
  direct?: Pick<DirectCompletion, 'beginIfWhole' | 'sweep'>;
  /** Whether an upload's inspection is about to begin: every byte of it is here. */
  isBeginning(id: UploadId): boolean;
  intervalMs: number;
  keepRecordsForMs: number;
  /** Gives back room that was taken for what does not come. */
  lapse(): Promise<void>;
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
  /** Bytes without a row that were found, and since when. */
  #rowless = new Map<UploadId, number>();

  constructor(options: SweeperOptions) {
    this.#options = options;
    this.#retries = new Retries((error) => options.log.error({ err: error }, 'what is left over can not be taken away yet'));
  }

  /**
   * What crashes left: staged bytes of uploads that have ended, when one came between the verdict and the deletion, and
   * publications half made. It may run at any time; one that can't be cleared keeps no others.
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
      // Another process may bring it now.
      if (upload === undefined && !ledger.isAlone && staging.isReadableInProgress) {
        const sinceMs = this.#rowless.get(id) ?? performance.now();
        rowless.set(id, sinceMs);
        if (performance.now() - sinceMs < ROWLESS_MS) continue;
      }
      await this.#retries.do(() => this.#clearLeftover(id));
    }
    this.#rowless = rowless;
  }

  /** Begins with what is left over. Nobody waits for that: a bucket takes a minute for a thousand of them. */
  start(): void {
    this.#lookForLeftovers();
    this.#timer = setInterval(() => {
      // One that takes longer than the interval is not followed by those it made wait.
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

  /** Beside the sweep, which must not wait for it. What could not be listed is looked for again with the next sweep. */
  #lookForLeftovers(): void {
    const clear = async () => {
      try {
        await this.clearLeftovers();
        this.#leftoversDueAtMs = performance.now() + (this.#rowless.size > 0 ? ROWLESS_MS : LEFTOVERS_EVERY_MS);
      } catch (error) {
        this.#options.log.error({ err: error }, 'fault while looking for what is left over');
      }
    };
    this.#clearing ??= clear().finally(() => {
      this.#clearing = undefined;
    });
  }

  /** One pass over everything whose time is over. Safe beside running uploads: what is locked is left for the next pass. */
  async sweep(): Promise<void> {
    const { ledger, direct, log } = this.#options;
    await direct?.sweep(() => this.#stopped);
    await this.#options.lapse();
    const now = ledger.now();
    const left = new Set<string>();
    let faults = 0;
    while (!this.#stopped) {
      const page = (await ledger.expired(now, PAGE + left.size)).filter((id) => !left.has(id));
      for (const id of page) {
        if (this.#stopped) return;
        // One that can't be cleared must not keep all others; where none can, something is away.
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
    const { ledger, staging, storage, lock, isBeginning } = this.#options;
    // An upload that comes whole in its creation has its bytes before its row; until then it is locked, or about to be inspected.
    await lock.tryWith(id, async () => {
      const upload = await ledger.get(id);
      if (isUnderWay(upload) || isBeginning(id)) return;
      if (upload?.state === 'rejected' && upload.target !== null) await storage.remove(upload.target);
      if (upload?.state === 'accepted') await storage.keepOnly(upload.target);
      await staging.remove(id);
    });
  }

  /** False: it is in use, or is no longer what it was. */
  async #clear(id: UploadId, now: number): Promise<boolean> {
    const { ledger, staging, storage, direct, lock, isBeginning, keepRecordsForMs, removal, log } = this.#options;
    const upload = await ledger.get(id);
    if (upload === undefined) return true;
    if (upload.state === 'accepted') {
      if (await removal.remove(upload)) log.info({ upload: id, state: 'removed' }, 'removed');
      return true;
    }
    // Another process may have moved its time on: somebody reads it.
    if (upload.state === 'removed' && upload.recordExpiresAt !== null) {
      if (upload.expiresAt !== null && upload.expiresAt <= now) await removal.finish(upload);
      return true;
    }
    if (upload.state !== 'receiving') {
      // The refusal may have been spoken after an earlier attempt had published, and its cleaning up have failed; or an operator
      // with an earlier version removed a file, and did not come to the end of it.
      if ((upload.state === 'rejected' || upload.state === 'removed') && upload.target !== null) await storage.remove(upload.target);
      // Whoever ended it may not have heard that it did.
      if (upload.state !== 'inspecting') await staging.remove(id);
      return ledger.forget(id, now);
    }
    let expired = false;
    await lock.tryWith(id, async () => {
      const fresh = await ledger.get(id);
      if (fresh?.state !== 'receiving' || fresh.expiresAt === null || fresh.expiresAt > now || isBeginning(id)) return;
      if (fresh.directDueAt !== null && (await direct?.beginIfWhole(id))) return;
      // What is complete waits for its inspection, not for its sender.
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
