import { parseJson } from '../json.ts';
import { isResumeRecord, type ResumeRecord, type ResumeStore } from '../resume/store.ts';
import { localStorageOrNone } from './optional-apis.ts';

/** Records that the browser does not store: storage is denied or full. Their uploads can be resumed within this visit. */
const memory = new Map<string, ResumeRecord>();

/** `localStorage`: shared by the tabs of one origin, available on plain http, and written atomically. */
export const browserStore: ResumeStore = storeWithPrefix('landfall:upload:');

/** A store whose records are separate from those under other prefixes. */
export function storeWithPrefix(prefix: string): ResumeStore {
  return {
    async list(): Promise<ResumeRecord[]> {
      const storage = localStorageOrNone();
      const stored = Array.from({ length: storage?.length ?? 0 }, (_, index) => storage?.key(index) ?? '');
      const keys = new Set([...stored, ...memory.keys()].filter((key) => key.startsWith(prefix)));
      return Array.from(keys, read).filter((record) => record !== undefined);
    },

    async get(key: string): Promise<ResumeRecord | undefined> {
      return read(prefix + key);
    },

    async put(record: ResumeRecord): Promise<void> {
      const key = prefix + record.key;
      // A full storage keeps the record that it took last: a later visit can resume from that, too.
      if (write(key, record)) memory.delete(key);
      else memory.set(key, record);
    },

    async remove(key: string): Promise<void> {
      localStorageOrNone()?.removeItem(prefix + key);
      memory.delete(prefix + key);
    },
  };
}

/** Returns false when storage is denied or full. */
function write(key: string, record: ResumeRecord): boolean {
  try {
    const storage = localStorageOrNone();
    storage?.setItem(key, JSON.stringify(record));
    return storage !== undefined;
  } catch {
    return false;
  }
}

/** The later one: another tab may have stored a record since. */
function read(key: string): ResumeRecord | undefined {
  const stored = parseJson(localStorageOrNone()?.getItem(key) ?? '');
  const kept = memory.get(key);
  if (!isResumeRecord(stored)) return kept;
  return kept === undefined || stored.updatedAt > kept.updatedAt ? stored : kept;
}
