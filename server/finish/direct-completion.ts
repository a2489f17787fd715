// From bytes that were sent past this server to their inspection. A sender says when it has sent all of them; one that lost its
// network after the last byte need not come back for that: what is whole is inspected.
import type { Logger } from 'pino';
import type { DirectUploads } from '../ledger/direct-uploads.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { UploadIn } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { TryLock } from '../locking/locker.ts';
import { NO_CHECKSUM } from '../staging/running-checksum.ts';
import type { InspectionStarts } from './inspection-starts.ts';

const PAGE = 100;
/** Inspections begun in one pass, so that it is not a stampede after a day on which nobody looked. */
const BEGUN_AT_ONCE = 32;
/** Looked at in one pass: what else is to be swept must not wait for all that somebody created and never sent. */
const LOOKED_AT_ONCE = 500;
/** So many faults, and S3 is away: the others are asked for again, too. */
const FAULTS_AT_ONCE = 8;

export interface DirectStaging {
  /** How long an address is good for. */
  readonly linkLifetimeMs: number;
  /** Makes one object of what was sent; false: not all of it is there. */
  complete(id: UploadId, length: number): Promise<boolean>;
}

export interface DirectCompletionOptions {
  ledger: Ledger;
  uploads: DirectUploads;
  staging: DirectStaging;
  inspectionStarts: Pick<InspectionStarts, 'start' | 'has'>;
  lock: TryLock;
  /** How long an upload waits for its sender, from the last time that it was heard of. */
  expireAfterMs: number;
  log: Logger;
}

export class DirectCompletion {
  readonly #options: DirectCompletionOptions;

  constructor(options: DirectCompletionOptions) {
    this.#options = options;
  }

  /** Under the upload's lock. False: not all of its bytes are there. @throws S3Fault */
  async startIfComplete(id: UploadId): Promise<boolean> {
    const { ledger, staging, inspectionStarts } = this.#options;
    const upload = await ledger.get(id);
    if (upload?.state !== 'receiving' || upload.length === null || inspectionStarts.has(id)) return true;
    if (!(await staging.complete(id, upload.length))) return false;
    // Nobody here has seen the bytes: there is no checksum of them to be had but by reading them all back. Should this process
    // not come to the inspection, whoever sweeps next does.
    await ledger.change(id, { from: 'receiving' }, { checksumOffset: NO_CHECKSUM, directDueAt: ledger.now() }, true);
    void inspectionStarts.start(id, upload.length, 'byte', { proof: 'durable' });
    return true;
  }

  /**
   * Begins the inspection of what is whole though its sender did not say so. Each is looked at when the addresses it was given
   * last have run out: before, its sender may still be at it. What one pass does not come to is left to the next.
   *
   * @param isOver whether to end early
   */
  async sweep(isOver: () => boolean = () => false): Promise<void> {
    const { ledger, uploads } = this.#options;
    const now = ledger.now();
    const left = new Set<string>();
    for (let begun = 0, looked = 0, faults = 0; begun < BEGUN_AT_ONCE; ) {
      const due = (await uploads.due(now, PAGE + left.size)).filter(({ id }) => !left.has(id));
      if (due.length === 0) return;
      for (const upload of due) {
        if (isOver() || looked++ === LOOKED_AT_ONCE) return;
        const outcome = await this.#look(upload, now);
        if (outcome === 'in use') left.add(upload.id);
        if (outcome === 'begun' && ++begun === BEGUN_AT_ONCE) return;
        if (outcome === 'fault' && ++faults === FAULTS_AT_ONCE) return;
      }
    }
  }

  async #look({ id, expiresAt }: UploadIn<'receiving'>, now: number): Promise<'begun' | 'not whole' | 'in use' | 'fault'> {
    const { uploads, staging, lock, expireAfterMs, log } = this.#options;
    const idleMs = expiresAt === null ? 0 : now + expireAfterMs - expiresAt;
    let isWhole = false;
    let isFault = false;
    const isFree = await lock.tryWith(id, async () => {
      // A fault with one must not keep the others waiting.
      isWhole = await this.startIfComplete(id).catch((error: unknown) => {
        log.warn({ err: error, upload: id }, 'fault while looking for what was sent past this server');
        isFault = true;
        return false;
      });
      // Ever more seldom: a request that began with the last address may take its time, and abandoned ones are looked at until they expire.
      if (!isWhole) await uploads.lookAgain(id, now + Math.max(staging.linkLifetimeMs, idleMs));
    });
    if (!isFree) return 'in use';
    if (isFault) return 'fault';
    if (isWhole) log.info({ upload: id }, 'all was sent past this server, and its sender did not come back');
    return isWhole ? 'begun' : 'not whole';
  }
}
