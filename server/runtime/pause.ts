import { setTimeout as sleep } from 'node:timers/promises';

/** Resolves after so long with true, or with false as soon as the signal is aborted. Does not keep the process alive. */
export function pause(ms: number, signal?: AbortSignal): Promise<boolean> {
  return sleep(ms, true, { ref: false, ...(signal && { signal }) }).catch(() => false);
}
