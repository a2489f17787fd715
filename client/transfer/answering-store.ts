import type { ResumeStore } from '../resume/store.ts';

/** A store answers within milliseconds, or within seconds when a disk has to start. */
const WITHIN_MS = 10_000;

/**
 * A store whose calls fail when the application's store does not answer in time. Otherwise an upload would neither continue nor end.
 *
 * @param withinMs time limit of a call
 */
export function answeringStore(store: ResumeStore, withinMs: number = WITHIN_MS): ResumeStore {
  const limited = async <T>(call: () => Promise<T>): Promise<T> => {
    const { promise: tooLate, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error('The store of resume records does not answer.')), withinMs);
    try {
      return await Promise.race([call(), tooLate]);
    } finally {
      clearTimeout(timer);
    }
  };
  return {
    list: () => limited(() => store.list()),
    get: (key) => limited(() => store.get(key)),
    put: (record) => limited(() => store.put(record)),
    remove: (key) => limited(() => store.remove(key)),
  };
}
