import { setTimeout as sleep } from 'node:timers/promises';

/** Resolves after so long with true, or with false as soon as the signal is aborted. Does not keep the process alive. */
export function pause(ms: number, signal?: AbortSignal): Promise<boolean> {
  return sleep(ms, true, { ref: false, ...(signal && { signal }) }).catch(() => false);
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
