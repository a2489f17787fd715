// How this process serves the ledger: alone, or as one of several. Chooses the lease holder, the locker and the recovery.
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Engine } from '../ledger/engine.ts';
import { Holders } from '../ledger/holders.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { Locks } from '../ledger/locks.ts';
import type { PostgresNotices } from '../ledger/postgres-notices.ts';
import type { UploadLocker } from '../locking/locker.ts';
import { ProcessLease } from '../locking/process-lease.ts';
import { QueueingLocker } from '../locking/queueing-locker.ts';
import { SharedLocker } from '../locking/shared-locker.ts';
import type { Durability } from '../staging/checkpoints.ts';
import { bootId, makeAllDurable, returnToProven, returnToProvenOffsets } from '../staging/power-cut.ts';
import type { Staging } from '../staging/staging.ts';
import type { SyncFailures } from '../staging/sync-failures.ts';
import type { Finisher } from './finisher.ts';
import type { StartingInspection } from './inspection-starts.ts';
import type { LeaseHolder } from './lease.ts';
import { Takeover } from './takeover.ts';

/** A crash loses at most this much of the ledger's time. */
const HEARTBEAT_MS = 60_000;

export interface ServingOptions {
  engine: Engine;
  ledger: Ledger;
  /** Notices of the other processes; undefined when this process serves the ledger alone. */
  notices: PostgresNotices | undefined;
  staging: Staging;
  durability: Durability;
  syncFailures: SyncFailures;
  leaseMs: number;
  lockTimeoutMs: number;
  /** The inspections that this process is starting. */
  startingInspections: ReadonlyMap<string, StartingInspection>;
  log: Logger;
}

export interface Serving {
  readonly holder: LeaseHolder;
  readonly locker: UploadLocker;
  /** Recovers interrupted uploads. Call before requests are served. @throws when the ledger can't be reached */
  recover(finisher: Finisher): Promise<void>;
}

/**
 * Starts serving the ledger. Close it after the finisher.
 * @param opened gets everything that has to be closed at the end, or when the start fails
 * @throws when the ledger can't be reached
 */
export function serve(opened: AsyncDisposableStack, options: ServingOptions): Promise<Serving> {
  return options.notices === undefined ? serveAlone(opened, options) : serveTogether(opened, options, options.notices);
}

/** For a process that serves the ledger alone: clears the locks and leases of the last process. */
async function serveAlone(opened: AsyncDisposableStack, options: ServingOptions): Promise<Serving> {
  const { engine, ledger, staging, syncFailures, lockTimeoutMs, log } = options;
  ledger.startClock(HEARTBEAT_MS, (error) => log.warn({ err: error }, 'the time was not written to the ledger'));
  await new Holders(engine).clearAll();
  // Where staged bytes cannot be read in progress, the ledger counts them, and its count survives a power cut.
  if (staging.isReadableInProgress) {
    await returnToProvenOffsets(ledger, staging);
    // Deferred only after this succeeded: a start that fails above must not record the bytes as durable.
    opened.defer(() => makeAllDurable(ledger, staging, syncFailures));
  }
  return {
    holder: { isAlone: true, name: randomUUID(), lost: new AbortController().signal },
    locker: new QueueingLocker(lockTimeoutMs),
    recover: (finisher) => finisher.start(),
  };
}

async function serveTogether(opened: AsyncDisposableStack, options: ServingOptions, notices: PostgresNotices): Promise<Serving> {
  const { engine, ledger, staging, durability, lockTimeoutMs, startingInspections, leaseMs, log } = options;
  const holders = new Holders(engine);
  const locks = new Locks(engine);
  // The ledger's time in this process is behind that of the others by at most one interval.
  ledger.startClock(Math.min(leaseMs, HEARTBEAT_MS), (error) => log.warn({ err: error }, 'the time was not written to the ledger'));
  await notices.start();
  opened.defer(() => notices.close());
  const processLease = new ProcessLease({ holders, leaseMs, boot: await bootId(), log });
  await processLease.start();
  opened.defer(() => processLease.close());
  const locker = new SharedLocker({
    locks,
    processLease,
    notices,
    timeoutMs: lockTimeoutMs,
    startingInspection: (id) => startingInspections.get(id)?.done,
    async returnToProven(id) {
      const upload = await ledger.get(id);
      if (upload?.state === 'receiving') await returnToProven(ledger, staging, upload);
    },
    // 0 where the proven offset is enough: the ledger counts the bytes itself, or the durability is `finish`, which promises nothing
    // before acceptance.
    stored: async (id) => (staging.isReadableInProgress && durability === 'chunk' ? staging.size(id) : 0),
  });
  return {
    holder: processLease,
    locker,
    async recover(finisher) {
      const { restartRecovery } = finisher;
      const takeover = new Takeover({ holders, locks, lock: locker, restartRecovery, intervalMs: leaseMs / 3, log });
      opened.defer(() => takeover.close());
      takeover.start();
      finisher.watch.start();
    },
  };
}
