import type { ResumeStore } from '../resume/store.ts';
import { abortable } from './abortable.ts';

/** A store answers within milliseconds, or within seconds when a disk has to start. */
const WITHIN_MS = 10_000;

/**
 * A store whose calls fail when the application's store does not answer in time. Otherwise an upload would neither continue nor end.
 *
 * @param withinMs time limit of a call
 */
export function answeringStore(store: ResumeStore, withinMs: number = WITHIN_MS): ResumeStore {
  const limited = <T>(answer: Promise<T>) => abortable(answer, AbortSignal.timeout(withinMs));
  return {
    list: () => limited(store.list()),
    get: (key) => limited(store.get(key)),
    put: (record) => limited(store.put(record)),
    remove: (key) => limited(store.remove(key)),
  };
}
