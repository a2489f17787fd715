// Starts the inspection of direct uploads, whose senders send the bytes to S3 themselves. A sender reports that it has sent all bytes.
// A sender that loses its network after the last byte cannot: the sweeper then finds the complete upload and starts the inspection.
import type { Logger } from 'pino';
import type { DirectUploads } from '../ledger/direct-uploads.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { UploadIn } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { TryLock } from '../locking/locker.ts';
import { NO_CHECKSUM } from '../staging/running-checksum.ts';
import type { InspectionStarts } from './inspection-starts.ts';

const PAGE = 100;
/** Inspections started in one pass, so that a server that was off for a day does not start all of them at once. */
const STARTS_PER_PASS = 32;
/** Uploads looked at in one pass, so that many created and never sent ones do not delay the rest of the sweep. */
const LOOKS_PER_PASS = 500;
/** After this many faults S3 is probably unreachable, and the pass ends. */
const FAULTS_PER_PASS = 8;

export interface DirectStaging {
  /** How long a signed address is valid. */
  readonly linkLifetimeMs: number;
  /** Makes one object of the bytes that were sent. Resolves to false when some are missing. */
  complete(id: UploadId, length: number): Promise<boolean>;
}

export interface DirectCompletionOptions {
  ledger: Ledger;
  uploads: DirectUploads;
  staging: DirectStaging;
  inspectionStarts: Pick<InspectionStarts, 'start' | 'has'>;
  lock: TryLock;
  /** How long an upload waits for its sender, from the sender's last request. */
  expireAfterMs: number;
  log: Logger;
}

export class DirectCompletion {
  readonly #options: DirectCompletionOptions;

  constructor(options: DirectCompletionOptions) {
    this.#options = options;
  }

  /** Starts the inspection. Call under the upload's lock. Resolves to false when bytes are missing. @throws S3Fault */
  async startIfComplete(id: UploadId): Promise<boolean> {
    const { ledger, staging, inspectionStarts } = this.#options;
    const upload = await ledger.get(id);
    if (upload?.state !== 'receiving' || upload.length === null || inspectionStarts.has(id)) return true;
    if (!(await staging.complete(id, upload.length))) return false;
    // The bytes did not pass this server, so it has no checksum of them. `directDueAt` is set to now: if this process dies before the
    // inspection has started, the next sweep of any process starts it.
    await ledger.change(id, { from: 'receiving' }, { checksumOffset: NO_CHECKSUM, directDueAt: ledger.now() }, true);
    void inspectionStarts.start(id, upload.length, 'byte', { proof: 'durable' });
    return true;
  }

  /**
   * Starts the inspection of complete uploads whose senders did not report the last byte. An upload is looked at once its last signed
   * addresses have expired: until then its sender may still be sending. The next pass continues where this one ends.
   *
   * @param isOver returns true to end the pass early
   */
  async sweep(isOver: () => boolean = () => false): Promise<void> {
    const { ledger, uploads } = this.#options;
    const now = ledger.now();
    const left = new Set<string>();
    for (let starts = 0, looks = 0, faults = 0; starts < STARTS_PER_PASS; ) {
      const due = (await uploads.due(now, PAGE + left.size)).filter(({ id }) => !left.has(id));
      if (due.length === 0) return;
      for (const upload of due) {
        if (isOver() || looks++ === LOOKS_PER_PASS) return;
        const outcome = await this.#look(upload, now);
        if (outcome === 'in use') left.add(upload.id);
        if (outcome === 'started' && ++starts === STARTS_PER_PASS) return;
        if (outcome === 'fault' && ++faults === FAULTS_PER_PASS) return;
      }
    }
  }

  async #look({ id, expiresAt }: UploadIn<'receiving'>, now: number): Promise<'started' | 'incomplete' | 'in use' | 'fault'> {
    const { uploads, staging, lock, expireAfterMs, log } = this.#options;
    const idleMs = expiresAt === null ? 0 : now + expireAfterMs - expiresAt;
    let isComplete = false;
    let isFault = false;
    const isFree = await lock.tryWith(id, async () => {
      // A fault of one upload must not delay the others.
      isComplete = await this.startIfComplete(id).catch((error: unknown) => {
        log.warn({ err: error, upload: id }, 'fault while looking for bytes that were sent directly to S3');
        isFault = true;
        return false;
      });
      // The longer the sender is idle, the later the next look. More looks are needed, because a request that started just before its
      // address expired may still be running. They become rare, because an abandoned upload is looked at until it expires.
      if (!isComplete) await uploads.lookAgain(id, now + Math.max(staging.linkLifetimeMs, idleMs));
    });
    if (!isFree) return 'in use';
    if (isFault) return 'fault';
    if (isComplete) log.info({ upload: id }, 'all bytes were sent directly to S3 and the sender did not report it: the inspection starts');
    return isComplete ? 'started' : 'incomplete';
  }
}
