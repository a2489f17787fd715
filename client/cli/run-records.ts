import type { ResumeRecord, ResumeStore } from '../resume/store.ts';

/**
 * The records of one run. A record that is done with stays in the store until the whole run is: a command that was killed and
 * is run again asks how those files ended, where it would send them a second time.
 */
export class RunRecords implements ResumeStore {
  readonly #store: ResumeStore;
  readonly #done = new Set<string>();

  constructor(store: ResumeStore) {
    this.#store = store;
  }

  async list(): Promise<ResumeRecord[]> {
    return (await this.#store.list()).filter(({ key }) => !this.#done.has(key));
  }

  async get(key: string): Promise<ResumeRecord | undefined> {
    return this.#done.has(key) ? undefined : this.#store.get(key);
  }

  async put(record: ResumeRecord): Promise<void> {
    this.#done.delete(record.key);
    await this.#store.put(record);
  }

  async remove(key: string): Promise<void> {
    this.#done.add(key);
  }

  /** The run is over, and its results are told: nothing of it is to be gone on with. */
  async clear(): Promise<void> {
    await Promise.all([...this.#done].map((key) => this.#store.remove(key).catch(() => {})));
  }
}
