// One process on its own, or one of several: who holds leases and locks, and what is taken up of those that are no more.
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
import { bootId, proveAll, returnToProven, returnToProvenOffsets } from '../staging/power-cut.ts';
import type { Staging } from '../staging/staging.ts';
import type { Unproved } from '../staging/unproved.ts';
import type { Finisher } from './finisher.ts';
import type { StartingInspection } from './inspection-starts.ts';
import type { LeaseHolder } from './lease.ts';
import { Takeover } from './takeover.ts';

/** So much of the time that it was served for a ledger may forget in a crash. */
const HEARTBEAT_MS = 60_000;

export interface ServingOptions {
  engine: Engine;
  ledger: Ledger;
  /** Of the other processes; undefined: this one is the only one. */
  notices: PostgresNotices | undefined;
  staging: Staging;
  durability: Durability;
  unproved: Unproved;
  leaseMs: number;
  lockTimeoutMs: number;
  /** The inspections of this process that are about to begin. */
  startingInspections: ReadonlyMap<string, StartingInspection>;
  log: Logger;
}

export interface Serving {
  readonly holder: LeaseHolder;
  readonly locker: UploadLocker;
  /** Takes up what was interrupted, before requests come. @throws when the ledger can't be reached */
  recover(finisher: Finisher): Promise<void>;
}

/**
 * To be closed after the finisher.
 * @param opened takes what is to be closed at the end, or when the start fails
 * @throws when the ledger can't be reached
 */
export function serve(opened: AsyncDisposableStack, options: ServingOptions): Promise<Serving> {
  return options.notices === undefined ? serveAlone(opened, options) : serveTogether(opened, options, options.notices);
}

/** For a ledger that this process alone serves: nothing that an earlier one held counts any more. */
async function serveAlone(opened: AsyncDisposableStack, options: ServingOptions): Promise<Serving> {
  const { engine, ledger, staging, unproved, lockTimeoutMs, log } = options;
  ledger.startClock(HEARTBEAT_MS, (error) => log.warn({ err: error }, 'the time could not be written down'));
  await new Holders(engine).clearAll();
  // What the ledger says of bytes that it counts itself is true after a power cut, too.
  if (staging.isReadableInProgress) {
    await returnToProvenOffsets(ledger, staging);
    // A start that failed before has proved nothing.
    opened.defer(() => proveAll(ledger, staging, unproved));
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
  // A process is behind the others by as much at most.
  ledger.startClock(Math.min(leaseMs, HEARTBEAT_MS), (error) => log.warn({ err: error }, 'the time could not be written down'));
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
    // What the ledger counts itself is proved, and with `finish` the sender counts on nothing before the end.
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
