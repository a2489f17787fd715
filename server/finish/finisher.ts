// What happens after the last byte: idempotent, single-flight by id, detached from any request, resumed at start.
import { setTimeout as setTimeoutPromise } from 'node:timers/promises';
import type { Logger } from 'pino';
import { nameFromType } from '../../shared/filename.ts';
import type { Policy } from '../../shared/policy.ts';
import type { Ledger, Upload } from '../ledger/ledger.ts';
import type { Complete } from '../staging/receiver.ts';
import { completeChecksum } from '../staging/running-checksum.ts';
import type { Staging } from '../staging/staging.ts';
import { StagedBytesGone, type Storage } from '../storage/storage.ts';
import { type Check, CheckCrash, type Rejection } from './check.ts';
import { inspect } from './inspection.ts';
import type { TryLock } from './sweeper.ts';

/** Crashes or time limits in a row after which a file is refused: it must not take the server down again and again. */
export const MAX_STRIKES = 5;
const BACKOFF_BASE_MS = 500;
const BACKOFF_CAP_MS = 30_000;
/** What an earlier process left is taken up this many at a time, so that a start is not a stampede. */
const RESUMED_AT_ONCE = 32;
const PAGE = 500;

/** Under which name this process takes leases, and until when it has them. */
export interface LeaseHolder {
  /** Nobody else takes up what waits for its next attempt. */
  readonly isAlone: boolean;
  /** @throws while it may take none */
  readonly owner: string;
  /** Aborted when what the present owner has is no longer its own. */
  readonly lost: AbortSignal;
}

export interface FinisherOptions {
  ledger: Ledger;
  holder: LeaseHolder;
  staging: Staging;
  storage: Storage;
  checks: readonly Check[];
  policy: Policy;
  policyHash: string;
  checkTimeoutMs: number;
  digest?: (content: AsyncIterable<Uint8Array>) => Promise<string>;
  keepRecordsForMs: number;
  /** Whoever writes the bytes holds it: what is complete while it is held is begun by its holder. */
  lock: TryLock;
  log: Logger;
  /** Told of every verdict after it is durable; its faults are logged and change nothing. */
  onVerdict?: (upload: Upload) => Promise<void> | void;
}

interface Lease {
  owner: string;
  attempt: number;
  /** Crashes and time limits in a row, this attempt counted as one until it ends. */
  strikes: number;
}

/** An inspection whose lease was taken with the state change, and what is known of the bytes. */
interface Begun {
  upload: Upload;
  head: Uint8Array | undefined;
}

/** An inspection that is about to begin. */
interface Beginning {
  length: number;
  held: Upload['held'];
  /** With whether it was begun here. */
  done: Promise<boolean>;
  /** Of an upload that is being added. */
  row?: Upload;
}

export class Finisher {
  readonly #options: FinisherOptions;
  readonly #running = new Map<string, Promise<void>>();
  readonly #unproved = new Set<string>();
  readonly #retries = new Map<string, NodeJS.Timeout>();
  readonly #beginnings = new Map<string, Beginning>();
  #resumed: Promise<void> = Promise.resolve();
  readonly #closing = new AbortController();

  constructor(options: FinisherOptions) {
    this.#options = options;
  }

  /**
   * Takes up what an earlier process left: running inspections, and uploads whose bytes are complete but were never inspected.
   * For a ledger that this process alone serves.
   */
  async start(): Promise<void> {
    const { ledger } = this.#options;
    await ledger.releaseLeases();
    this.#resumed = this.#resume(Date.now()).catch((error) => this.#log(error));
  }

  /** In the background: requests for these uploads wait like any other. */
  async #resume(startedAt: number): Promise<void> {
    const { ledger } = this.#options;
    for (const id of await ledger.dueInspections(startedAt, Number.MAX_SAFE_INTEGER)) {
      this.#run(id);
      await this.#untilFewRun();
    }
    let after = '';
    while (!this.#closing.signal.aborted) {
      const page = await ledger.receiving(after, PAGE);
      for (const upload of page) {
        after = upload.id;
        await this.#resumeReceiving(upload, startedAt);
        await this.#untilFewRun();
      }
      if (page.length < PAGE) return;
    }
  }

  async #resumeReceiving({ id, length, createdAt, unverifiedFrom }: Upload, startedAt: number): Promise<void> {
    const { ledger, staging, lock } = this.#options;
    if (length === null) return;
    if (length === 0) {
      // Its sender was never answered: for them it was never created.
      if (createdAt < startedAt && (await ledger.abandon(id))) await staging.remove(id);
      return;
    }
    // A chunk whose checksum was never looked at completes nothing.
    if (unverifiedFrom !== null || (await staging.size(id)) !== length) return;
    await lock.tryWith(id, async () => {
      // Not awaited: one whose bytes can't be proved must not hold up the others.
      if ((await staging.size(id)) === length) void this.begin(id, length, 'byte');
    });
  }

  /** Goes on with an inspection that nobody runs, if that is so. False: enough are running here. */
  resume(id: string): boolean {
    if (this.#running.size + this.#beginnings.size >= RESUMED_AT_ONCE) return false;
    this.#run(id);
    return true;
  }

  /** Begins an inspection that whoever stored the last byte did not come to. To be called under the upload's lock. */
  async beginIfComplete(id: string): Promise<void> {
    const { ledger, staging } = this.#options;
    const upload = await ledger.get(id);
    // An empty one's sender was never answered: for them it was never created.
    if (upload?.state !== 'receiving' || !upload.length || upload.unverifiedFrom !== null) return;
    if ((await staging.size(id)) === upload.length) void this.begin(id, upload.length, 'byte');
  }

  async #untilFewRun(): Promise<void> {
    const atWork = [...this.#running.values(), ...[...this.#beginnings.values()].map(({ done }) => done)];
    if (atWork.length >= RESUMED_AT_ONCE) await Promise.race(atWork);
  }

  /** Lets running inspections end; waiting retries are left to the next start. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const timer of this.#retries.values()) clearTimeout(timer);
    this.#retries.clear();
    // If the grace time ends before an inspection does, that is not the file's doing.
    await (async () => this.#options.ledger.forgiveStrikes(this.#options.holder.owner))().catch((error) => this.#log(error));
    await this.#resumed;
    await Promise.allSettled([...this.#running.values(), ...[...this.#beginnings.values()].map(({ done }) => done)]);
  }

  /**
   * All `length` bytes are stored: makes them durable, fixes what a later attempt must not change, and starts the
   * inspection; in the background, over and over while the fault is ours. To be called under the upload's lock, which may
   * be released at once: until the state has changed, `isBeginning` keeps writers out. Fine to call again.
   *
   * @param held what the sender is not told yet: the last byte, or that the length was declared
   */
  begin(id: string, length: number, held: Upload['held'], complete: Complete = { proof: 'unknown' }): Promise<boolean> {
    let beginning = this.#beginnings.get(id);
    if (beginning === undefined) {
      const done = this.#begin(id, length, held, complete).finally(() => this.#beginnings.delete(id));
      beginning = { length, held, done };
      this.#beginnings.set(id, beginning);
    }
    return beginning.done;
  }

  /**
   * As `begin`, for an upload that has no row yet, and no idempotency key, all of whose bytes are durable: it is added as one
   * under inspection. Whoever settles it is told when that fails; then its bytes go.
   */
  beginNew(upload: Upload, length: number, { checksum = 0, head }: Complete): void {
    const row: Upload = {
      ...upload,
      state: 'inspecting',
      target: directoryFor(upload.id, new Date()),
      checksum,
      checksumOffset: length,
      attempt: 1,
      strikes: 1,
      leaseOwner: this.#options.holder.owner,
      expiresAt: null,
    };
    const done = this.#add(row, head).finally(() => this.#beginnings.delete(row.id));
    done.catch((error) => this.#log(error, row.id));
    this.#beginnings.set(row.id, { length, held: row.held, done, row });
  }

  async #add(row: Upload, head: Uint8Array | undefined): Promise<boolean> {
    const { ledger, staging } = this.#options;
    try {
      await ledger.create(row, true);
      this.#run(row.id, { upload: row, head });
      return true;
    } catch (error) {
      // It may be there all the same, from a change whose end we did not hear of. Who can't tell leaves it to the next start.
      const added = await ledger.get(row.id);
      if (added) this.#run(row.id);
      else await staging.remove(row.id);
      throw error;
    }
  }

  isBeginning(id: string): boolean {
    return this.#beginnings.has(id);
  }

  /** Settles when the inspection that is about to begin has begun, or is given up; undefined where there is none. */
  beginning(id: string): Promise<unknown> | undefined {
    return this.#beginnings.get(id)?.done;
  }

  /** Resolves with whether the inspection was begun here. */
  async #begin(id: string, length: number, held: Upload['held'], { proof, checksum, head }: Complete): Promise<boolean> {
    const { ledger, holder } = this.#options;
    if (proof === 'unproved') this.#unproved.add(id);
    for (let fault = 0; !this.#closing.signal.aborted; fault++) {
      try {
        if (proof !== 'durable') {
          // Where the verdict has come already, a sync would make an empty file of what was taken away.
          if ((await ledger.get(id))?.state !== 'receiving') return false;
          if (!(await this.#prove(id, checksum))) return false;
        }
        const upload = await ledger.beginInspection(id, holder.owner, {
          length,
          held,
          target: directoryFor(id, new Date()),
          expiresAt: null,
          unverifiedFrom: null,
          ...(checksum === undefined ? {} : { checksum, checksumOffset: length }),
        });
        // Where it is begun already, its lease may be our own, from a change whose end we did not hear of.
        this.#run(id, upload && { upload, head });
        return upload !== undefined;
      } catch (error) {
        this.#log(error, id);
        await setTimeoutPromise(backoffMs(fault), undefined, { signal: this.#closing.signal }).catch(() => undefined);
      }
    }
    return false;
  }

  /**
   * Waits for the verdict, at most `patienceMs`, and returns the row as it is then; as `inspecting` also while its bytes are
   * still being made durable. Undefined: there is no such row any more.
   */
  settle(id: string, patienceMs: number, signal: AbortSignal): Promise<Upload | undefined> {
    const { ledger } = this.#options;
    return new Promise((resolve, reject) => {
      const stop = ledger.onChange(id, (upload) => {
        if (upload.state !== 'inspecting') end(upload);
      });
      const timer = setTimeout(look, Math.max(patienceMs, 0));
      signal.addEventListener('abort', look);
      function cease(): void {
        stop();
        clearTimeout(timer);
        signal.removeEventListener('abort', look);
      }
      function end(upload: Upload | undefined): void {
        cease();
        resolve(upload);
      }
      function fail(error: unknown): void {
        cease();
        reject(error);
      }
      const read = async (isOver: boolean): Promise<void> => {
        const beginning = this.#beginnings.get(id);
        const upload = (await ledger.get(id)) ?? beginning?.row;
        const isInspecting = upload?.state === 'inspecting' || (upload?.state === 'receiving' && beginning !== undefined);
        if (!isInspecting) end(upload);
        else if (isOver)
          end({ ...upload, state: 'inspecting', length: beginning?.length ?? upload.length, held: beginning?.held ?? upload.held });
      };
      function look(): void {
        read(true).catch(fail);
      }
      if (signal.aborted) look();
      // Begun here, its change will be heard. Otherwise it may have come before the listener.
      else if (this.#beginnings.has(id))
        this.#beginnings
          .get(id)
          ?.done.then((isBegun) => (isBegun ? undefined : read(false)))
          .catch(fail);
      else read(false).catch(fail);
    });
  }

  /**
   * Makes the staged bytes durable. A failed fsync leaves them unproved and its error is reported only once, so they are
   * copied and the copy held against the running checksum. What does not match goes back to byte 0, and false is the answer.
   */
  async #prove(id: string, knownChecksum: number | undefined): Promise<boolean> {
    const { ledger, staging } = this.#options;
    if (!this.#unproved.has(id)) {
      try {
        await staging.sync(id);
        return true;
      } catch (error) {
        this.#unproved.add(id);
        this.#log(error, id);
      }
    }
    await staging.renew(id);
    const upload = await ledger.get(id);
    const reader = await staging.open(id);
    const { checksum } = await completeChecksum({ checksum: 0, checksumOffset: 0 }, reader).finally(() => reader.close());
    this.#unproved.delete(id);
    const expected = knownChecksum ?? (upload?.checksumOffset === reader.size ? upload.checksum : undefined);
    if (checksum === expected) return true;
    await staging.truncate(id, 0);
    await ledger.change(id, { from: 'receiving' }, { checksum: 0, checksumOffset: 0 }, true);
    return false;
  }

  #run(id: string, begun?: Begun): void {
    if (this.#closing.signal.aborted || this.#running.has(id)) return;
    const run = this.#attempt(id, begun)
      .catch((error) => {
        this.#log(error, id);
        this.#retryAfter(id, BACKOFF_CAP_MS);
      })
      .finally(() => this.#running.delete(id));
    this.#running.set(id, run);
  }

  async #attempt(id: string, begun: Begun | undefined): Promise<void> {
    const { ledger, holder } = this.#options;
    const owner = begun?.upload.leaseOwner ?? holder.owner;
    const upload = begun?.upload ?? (await ledger.claim(id, owner, Date.now()));
    if (upload === undefined) {
      const now = await ledger.get(id);
      // Another holds it, or its time has not come by a clock that was set back meanwhile.
      if (now?.state === 'inspecting') {
        if (holder.isAlone) this.#retryAfter(id, BACKOFF_CAP_MS);
      }
      // The end of an earlier attempt was written, but not heard of.
      else if (now !== undefined) await this.#clear(now);
      return;
    }
    const lease: Lease = { owner, attempt: upload.attempt, strikes: upload.strikes };
    try {
      if (upload.strikes > MAX_STRIKES) {
        await this.#reject(upload, lease, { code: 'ERR_UNINSPECTABLE', detail: `Its inspection failed ${MAX_STRIKES} times.` });
      } else {
        await this.#finish(upload, lease, begun?.head);
      }
    } catch (error) {
      await this.#defer(upload, lease, error);
    }
  }

  async #finish(upload: Upload, lease: Lease, head: Uint8Array | undefined): Promise<void> {
    const { ledger, staging, storage, checks, policy, checkTimeoutMs, digest, holder } = this.#options;
    const { id, length, target } = upload;
    if (length === null || target === null) throw new Error('An upload under inspection has a length and a target.');
    const inspection = await inspect({ upload, length, head, staging, checks, policy, checkTimeoutMs, digest, lost: holder.lost });
    const { rejection, found, checksum, sha256 } = inspection;
    if (rejection) {
      await this.#reject(upload, lease, rejection);
      return;
    }
    // The checks are through: what crashes from here on is not the file's doing.
    if (lease.strikes > 1) await ledger.change(id, { from: 'inspecting', lease }, { strikes: 0 }, true);
    lease.strikes = 1;
    const name = upload.name ?? nameFromType(id, found.extension);
    const { attempt } = lease;
    const directory = await storage.publish({ id, directory: target, name, type: found.type, attempt });
    const accepted = await ledger.move(id, { from: 'inspecting', lease }, 'accepted', {
      name,
      target: directory,
      type: found.type,
      ...(checksum === null ? {} : { checksum, checksumOffset: length }),
      sha256,
      strikes: 0,
      leaseOwner: null,
      expiresAt: null,
    });
    if (!accepted) {
      await this.#lost(upload, target, attempt);
      return;
    }
    await this.#ended(accepted, async () => {
      // Of the others who published, nobody is named by the row. The staged bytes go last: a start that finds them does this again.
      if (attempt > 1) await storage.keepOnly(directory);
      await staging.remove(id);
    });
  }

  /** The row was not ours to write any more. What another holder of the lease accepted is not touched. */
  async #lost(upload: Upload, target: string, attempt: number): Promise<void> {
    const { ledger, staging, storage } = this.#options;
    const now = await ledger.get(upload.id);
    if (now?.state === 'accepted' || now?.state === 'inspecting') {
      if (now.attempt !== attempt) await storage.retract({ directory: target, attempt });
      return;
    }
    // As after a refusal.
    await storage.remove(target);
    await staging.remove(upload.id);
  }

  async #reject(upload: Upload, lease: Lease, rejection: Rejection): Promise<void> {
    const { ledger, staging, storage, policyHash, keepRecordsForMs } = this.#options;
    const rejected = await ledger.move(upload.id, { from: 'inspecting', lease }, 'rejected', {
      errorCode: rejection.code,
      errorDetail: rejection.detail ?? null,
      policyHash,
      leaseOwner: null,
      expiresAt: Date.now() + keepRecordsForMs,
    });
    if (!rejected) return;
    await this.#ended(rejected, async () => {
      // An earlier attempt may have published and crashed before its verdict. The staged bytes go last: a start that finds
      // them knows that this was not done to its end.
      if (lease.attempt > 1 && upload.target !== null) await storage.remove(upload.target);
      await staging.remove(upload.id);
    });
  }

  /** What an upload that has ended need not keep. */
  async #clear({ id, state, target }: Upload): Promise<void> {
    const { staging, storage } = this.#options;
    if (state === 'receiving' || state === 'inspecting') return;
    if (state === 'rejected' && target !== null) await storage.remove(target);
    await staging.remove(id);
  }

  /** After the verdict: nothing that fails here changes it. */
  async #ended(upload: Upload, cleanUp: () => Promise<void>): Promise<void> {
    await cleanUp().catch((error) => this.#log(error, upload.id));
    await this.announce(upload);
  }

  /** Tells of a verdict, whoever came to it. Never rejects. */
  async announce(upload: Upload): Promise<void> {
    const { onVerdict, log } = this.#options;
    const { id, state, length, errorCode } = upload;
    log.info({ upload: id, state, length, code: errorCode ?? undefined }, state);
    if (onVerdict) await (async () => onVerdict(upload))().catch((error) => this.#log(error, id));
  }

  /** A fault of ours, or a crash of a check: next attempt, backoff. Only a crash stays counted. */
  async #defer(upload: Upload, lease: Lease, error: unknown): Promise<void> {
    const { ledger } = this.#options;
    this.#log(error, upload.id);
    if (error instanceof StagedBytesGone) {
      const now = await ledger.get(upload.id);
      if (now?.state !== 'inspecting' && upload.target !== null) await this.#lost(upload, upload.target, lease.attempt);
      if (now?.state !== 'inspecting' || now.attempt !== lease.attempt) return;
    }
    const strikes = error instanceof CheckCrash ? lease.strikes : lease.strikes - 1;
    const delayMs = backoffMs(lease.attempt - 1);
    await ledger
      .change(upload.id, { from: 'inspecting', lease }, { strikes, leaseOwner: null, retryAt: Date.now() + delayMs }, true)
      .catch((fault) => this.#log(fault, upload.id));
    this.#retryAfter(upload.id, delayMs);
  }

  #retryAfter(id: string, delayMs: number): void {
    if (this.#closing.signal.aborted) return;
    clearTimeout(this.#retries.get(id));
    const timer = setTimeout(() => {
      this.#retries.delete(id);
      this.#run(id);
    }, delayMs + 5);
    timer.unref();
    this.#retries.set(id, timer);
  }

  #log(error: unknown, id?: string): void {
    this.#options.log.error({ err: error, upload: id }, 'fault while finishing');
  }
}

/** In whole milliseconds: PostgreSQL takes no fraction of one for a time. */
function backoffMs(failures: number): number {
  const ceilingMs = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(failures, 10));
  return Math.round(ceilingMs / 2 + Math.random() * (ceilingMs / 2));
}

/** By the day the last byte came (UTC), then by id: safe beside any other upload, easy to back up by date. */
function directoryFor(id: string, day: Date): string {
  return `${day.toISOString().slice(0, 10).replaceAll('-', '/')}/${id}`;
}
