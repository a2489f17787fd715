import { parseJson } from '../json.ts';
import { isResumeRecord, type ResumeRecord, type ResumeStore } from '../resume/store.ts';
import { localStorageOrNone } from './optional-apis.ts';

const PREFIX = 'landfall:upload:';

/** Where storage is denied: a file that is given again in the same visit still goes on. */
const visit = new Map<string, string>();

/** `localStorage`: shared by the tabs of one origin, there on plain http too, written whole or not at all. */
export const browserStore: ResumeStore = {
  async list(): Promise<ResumeRecord[]> {
    const storage = localStorageOrNone();
    const keys = storage ? Array.from({ length: storage.length }, (_, index) => storage.key(index) ?? '') : [...visit.keys()];
    return keys
      .filter((key) => key.startsWith(PREFIX))
      .map(read)
      .filter(isResumeRecord);
  },

  async get(key: string): Promise<ResumeRecord | undefined> {
    const record = read(PREFIX + key);
    return isResumeRecord(record) ? record : undefined;
  },

  async put(record: ResumeRecord): Promise<void> {
    const storage = localStorageOrNone();
    const text = JSON.stringify(record);
    if (storage) storage.setItem(PREFIX + record.key, text);
    else visit.set(PREFIX + record.key, text);
  },

  async remove(key: string): Promise<void> {
    localStorageOrNone()?.removeItem(PREFIX + key);
    visit.delete(PREFIX + key);
  },
};

function read(key: string): unknown {
  return parseJson(localStorageOrNone()?.getItem(key) ?? visit.get(key) ?? '');
}
