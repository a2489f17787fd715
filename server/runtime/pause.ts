import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Resolves to true after `ms`, or to false as soon as the signal is aborted.
 * @param ref keeps the process alive meanwhile, for work that must be completed
 */
export function pause(ms: number, signal?: AbortSignal, ref = false): Promise<boolean> {
  return sleep(ms, true, { ref, ...(signal && { signal }) }).catch(() => false);
}

/** Settles as the promise does, or rejects with `late()` after `ms`. The promised work goes on in either case. */
export function withTimeout<T>(ms: number, promise: Promise<T>, late: () => Error): Promise<T> {
  const limit = Promise.withResolvers<never>();
  const timer = setTimeout(() => limit.reject(late()), ms);
  return Promise.race([promise, limit.promise]).finally(() => clearTimeout(timer));
}

const BACKOFF_BASE_MS = 500;
/** The longest wait between two attempts after faults of the server's own. */
export const BACKOFF_CAP_MS = 30_000;

/**
 * Milliseconds to wait after this many failures, randomly spread so that work that failed together is not retried together.
 * Whole milliseconds, because PostgreSQL accepts no fractions.
 */
export function backoffMs(failures: number): number {
  const ceilingMs = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(failures, 10));
  return Math.round(ceilingMs / 2 + Math.random() * (ceilingMs / 2));
}
