import type { Locks } from '../ports.ts';

/** Web Locks: between the tabs of one origin, released by a tab that dies. A page that came over plain http has none. */
export const browserLocks: Locks = {
  async acquire(name: string, signal: AbortSignal, onWaiting: () => void): Promise<() => void> {
    signal.throwIfAborted();
    if (typeof navigator === 'undefined' || !('locks' in navigator) || navigator.locks === undefined) return () => {};
    const lockName = `landfall:${name}`;
    return (await request(lockName, { ifAvailable: true })) ?? (await wait(lockName, signal, onWaiting));
  },
};

async function wait(name: string, signal: AbortSignal, onWaiting: () => void): Promise<() => void> {
  onWaiting();
  const release = await request(name, { signal });
  // Only `ifAvailable` is answered with none.
  return release ?? (() => {});
}

/** A lock is held as long as the promise of its callback is open. */
function request(name: string, options: LockOptions): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, options, (lock) => {
        if (lock === null) return resolve(undefined);
        const { promise, resolve: release } = Promise.withResolvers<void>();
        resolve(release);
        return promise;
      })
      .catch(reject);
  });
}
