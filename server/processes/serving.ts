// One process on its own, or one of several: who holds leases and locks, and what is taken up of those that are no more.
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Finisher } from '../finish/finisher.ts';
import type { LeaseHolder } from '../finish/lease.ts';
import { Recovery } from '../finish/recovery.ts';
import type { Engine } from '../ledger/engine.ts';
import { Holders } from '../ledger/holders.ts';
import { Ledger } from '../ledger/ledger.ts';
import { Locks } from '../ledger/locks.ts';
import { bootId, proveAll, returnToProven, returnToProvenOffsets } from '../staging/power-cut.ts';
import type { Staging } from '../staging/staging.ts';
import { Unproved } from '../staging/unproved.ts';
import { QueueingLocker, type UploadLocker } from '../tus/locker.ts';
import { PostgresNotices } from './postgres-notices.ts';
import { SharedLocker } from './shared-locker.ts';
import { Tenure } from './tenure.ts';

export interface ServingOptions {
  engine: Engine;
  staging: Staging;
  /** Empty: this process is the only one. */
  databaseUrl: string;
  leaseMs: number;
  lockTimeoutMs: number;
  log: Logger;
  /** Not before `start`. */
  finisher(): Finisher;
}

export interface Serving {
  readonly ledger: Ledger;
  readonly holder: LeaseHolder;
  readonly locker: UploadLocker;
  readonly unproved: Unproved;
  /** Before requests come. @throws when the ledger can't be reached */
  start(): Promise<void>;
  /** When the finisher has come to its end. */
  close(): Promise<void>;
}

export function serve(options: ServingOptions): Promise<Serving> {
  return options.databaseUrl === '' ? serveAlone(options) : serveTogether(options);
}

/** For a ledger that this process alone serves: nothing that an earlier one held counts any more. */
async function serveAlone({ engine, staging, lockTimeoutMs, finisher }: ServingOptions): Promise<Serving> {
  const ledger = new Ledger(engine);
  const unproved = new Unproved(ledger);
  return {
    ledger,
    unproved,
    holder: { isAlone: true, owner: randomUUID(), lost: new AbortController().signal },
    locker: new QueueingLocker(lockTimeoutMs),
    async start() {
      await new Holders(engine).clearAll();
      // What the ledger says of bytes that it counts itself is true after a power cut, too.
      if (staging.isReadableInProgress) await returnToProvenOffsets(ledger, staging);
      await finisher().start();
    },
    async close() {
      if (staging.isReadableInProgress) await proveAll(ledger, staging, unproved);
    },
  };
}

async function serveTogether(options: ServingOptions): Promise<Serving> {
  const { engine, staging, lockTimeoutMs, log, finisher, databaseUrl, leaseMs } = options;
  const notices = new PostgresNotices(databaseUrl, engine, log);
  const ledger = new Ledger(engine, notices);
  const holders = new Holders(engine);
  const locks = new Locks(engine);
  const tenure = new Tenure({ holders, leaseMs, boot: await bootId(), log });
  const locker = new SharedLocker({
    locks,
    tenure,
    notices,
    timeoutMs: lockTimeoutMs,
    beginning: (id) => finisher().beginning(id),
    async returnToProven(id) {
      const upload = await ledger.get(id);
      if (upload?.state === 'receiving') await returnToProven(ledger, staging, upload);
    },
  });
  let recovery: Recovery | undefined;
  return {
    ledger,
    unproved: new Unproved(ledger),
    holder: tenure,
    locker,
    async start() {
      await notices.start();
      await tenure.start();
      recovery = new Recovery({ holders, locks, lock: locker, finisher: finisher(), intervalMs: leaseMs / 3, log });
      recovery.start();
      finisher().watch();
    },
    async close() {
      await recovery?.close();
      await tenure.close();
      await notices.close();
    },
  };
}
