import type { Locks } from '../ports.ts';
import { requestLock } from './optional-apis.ts';

/** Web Locks, shared by the tabs of one origin and released when a tab dies. Without them only the server keeps senders apart. */
export const browserLocks: Locks = {
  async acquire(name: string, signal: AbortSignal, onWaiting: () => void): Promise<() => void> {
    signal.throwIfAborted();
    const lockName = `landfall:${name}`;
    let lock = await requestLock(lockName, { ifAvailable: true });
    if (lock === 'taken') {
      onWaiting();
      lock = await requestLock(lockName, { signal });
    }
    return typeof lock === 'string' ? () => {} : lock;
  },
};
