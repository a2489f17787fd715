// Syncs of several files and directories at the same time.
import { closeSync, fsync, fsyncSync, openSync } from 'node:fs';

/** A longer sync waits for a disk. A shorter one costs less than a hop to the thread pool and back. */
const SLOW_MS = 0.1;

/**
 * A disk groups syncs that run at the same time, so where they are slow, they run in the thread pool. In memory, or with a cache that
 * survives a power cut, a sync takes microseconds, and they run one after another.
 */
export class Syncs {
  #isSlow = false;

  /**
   * Syncs each path. Resolves to the errors, by path; a path that is durable has none.
   * @param opened descriptors of paths that are open already; they are closed
   * @param inPool slow syncs that may run in the thread pool: none for a single request, which waits for its own syncs only
   */
  async all(
    paths: ReadonlySet<string>,
    opened: ReadonlyMap<string, number>,
    inPool: 'all' | 'others' | 'none',
  ): Promise<Map<string, unknown>> {
    const failures = new Map<string, unknown>();
    const [first, ...others] = paths;
    if (first === undefined) return failures;
    const running: Promise<void>[] = [];
    const sync = (path: string, isHere: boolean) => {
      try {
        const descriptor = opened.get(path) ?? openSync(path, 'r');
        if (isHere) syncHere(descriptor);
        else running.push(syncInPool(descriptor).catch((error: unknown) => void failures.set(path, error)));
      } catch (error) {
        failures.set(path, error);
      }
    };
    const isParallel = this.#isSlow && inPool !== 'none';
    if (isParallel) for (const path of others) sync(path, false);
    const startedAt = performance.now();
    sync(first, !isParallel || inPool === 'others');
    if (isParallel && inPool === 'all') await Promise.all(running);
    this.#isSlow = performance.now() - startedAt > SLOW_MS;
    if (!isParallel) for (const path of others) sync(path, true);
    await Promise.all(running);
    return failures;
  }
}

function syncHere(descriptor: number): void {
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function syncInPool(descriptor: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fsync(descriptor, (error) => {
      try {
        // Nothing is left to write after a sync.
        closeSync(descriptor);
        if (error) reject(error);
        else resolve();
      } catch (failure) {
        reject(failure);
      }
    });
  });
}
