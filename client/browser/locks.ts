import type { Locks } from '../ports.ts';
import { requestLock } from './optional-apis.ts';

/** Web Locks: between the tabs of one origin, released by a tab that dies. Where there are none only the server keeps senders apart. */
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
