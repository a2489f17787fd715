import { parseJson } from '../json.ts';
import { isResumeRecord, type ResumeRecord, type ResumeStore } from '../resume/store.ts';
import { localStorageOrNone } from './optional-apis.ts';

/** Where storage is denied: a file that is given again in the same visit still goes on. */
const visit = new Map<string, string>();

/** `localStorage`: shared by the tabs of one origin, there on plain http too, written whole or not at all. */
export const browserStore: ResumeStore = storeUnder('landfall:upload:');

/** Apart from all others of this origin. */
export function storeUnder(prefix: string): ResumeStore {
  return {
    async list(): Promise<ResumeRecord[]> {
      const storage = localStorageOrNone();
      const keys = storage ? Array.from({ length: storage.length }, (_, index) => storage.key(index) ?? '') : [...visit.keys()];
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
      else visit.set(prefix + record.key, text);
    },

    async remove(key: string): Promise<void> {
      localStorageOrNone()?.removeItem(prefix + key);
      visit.delete(prefix + key);
    },
  };
}

function read(key: string): unknown {
  return parseJson(localStorageOrNone()?.getItem(key) ?? visit.get(key) ?? '');
}
