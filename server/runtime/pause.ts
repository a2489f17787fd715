import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Resolves after so long with true, or with false as soon as the signal is aborted.
 * @param ref keeps the process alive meanwhile: for what was begun and must come to its end
 */
export function pause(ms: number, signal?: AbortSignal, ref = false): Promise<boolean> {
  return sleep(ms, true, { ref, ...(signal && { signal }) }).catch(() => false);
}

/** As the promise settles, or rejects with what `late` makes of it after so long; what was promised goes on all the same. */
export function within<T>(ms: number, promise: Promise<T>, late: () => Error): Promise<T> {
  const limit = Promise.withResolvers<never>();
  const timer = setTimeout(() => limit.reject(late()), ms);
  return Promise.race([promise, limit.promise]).finally(() => clearTimeout(timer));
}

const BACKOFF_BASE_MS = 500;
/** The longest wait between two tries at what fails by our fault. */
export const BACKOFF_CAP_MS = 30_000;

/**
 * How long to wait after so many failures before this one; spread, so that what failed together does not come back together.
 * In whole milliseconds: PostgreSQL takes no fraction of one for a time.
 */
export function backoffMs(failures: number): number {
  const ceilingMs = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(failures, 10));
  return Math.round(ceilingMs / 2 + Math.random() * (ceilingMs / 2));
}
