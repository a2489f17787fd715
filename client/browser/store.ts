import { parseJson } from '../json.ts';
import { isResumeRecord, type ResumeRecord, type ResumeStore } from '../resume/store.ts';
import { localStorageOrNone } from './optional-apis.ts';

/** Used when the browser denies storage. Uploads can then be resumed within this visit only. */
const memory = new Map<string, string>();

/** `localStorage`: shared by the tabs of one origin, available on plain http, and written atomically. */
export const browserStore: ResumeStore = storeWithPrefix('landfall:upload:');

/** A store whose records are separate from those under other prefixes. */
export function storeWithPrefix(prefix: string): ResumeStore {
  return {
    async list(): Promise<ResumeRecord[]> {
      const storage = localStorageOrNone();
      const keys = storage ? Array.from({ length: storage.length }, (_, index) => storage.key(index) ?? '') : [...memory.keys()];
      return keys
        .filter((key) => key.startsWith(prefix))
        .map(read)
        .filter(isResumeRecord);
    },

    async get(key: string): Promise<ResumeRecord | undefined> {
      const record = read(prefix + key);
      return isResumeRecord(record) ? record : undefined;
    },

    async put(record: ResumeRecord): Promise<void> {
      const storage = localStorageOrNone();
      const text = JSON.stringify(record);
      if (storage) storage.setItem(prefix + record.key, text);
      else memory.set(prefix + record.key, text);
    },

    async remove(key: string): Promise<void> {
      localStorageOrNone()?.removeItem(prefix + key);
      memory.delete(prefix + key);
    },
  };
}

function read(key: string): unknown {
  return parseJson(localStorageOrNone()?.getItem(key) ?? memory.get(key) ?? '');
}
