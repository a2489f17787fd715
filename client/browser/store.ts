import { isResumeRecord, type ResumeRecord, type ResumeStore } from '../resume/store.ts';
import { parseJson } from '../transfer/failure.ts';

const PREFIX = 'landfall:upload:';

/** `localStorage`: shared by the tabs of one origin, there on plain http too, written whole or not at all. */
export const browserStore: ResumeStore = {
  async list(): Promise<ResumeRecord[]> {
    const keys = Array.from({ length: localStorage.length }, (_, index) => localStorage.key(index) ?? '');
    return keys
      .filter((key) => key.startsWith(PREFIX))
      .map((key) => parseJson(localStorage.getItem(key) ?? ''))
      .filter(isResumeRecord);
  },

  async get(key: string): Promise<ResumeRecord | undefined> {
    const record = parseJson(localStorage.getItem(PREFIX + key) ?? '');
    return isResumeRecord(record) ? record : undefined;
  },

  async put(record: ResumeRecord): Promise<void> {
    localStorage.setItem(PREFIX + record.key, JSON.stringify(record));
  },

  async remove(key: string): Promise<void> {
    localStorage.removeItem(PREFIX + key);
  },
};
