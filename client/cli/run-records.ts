import { unlinkSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJson } from '../json.ts';
import { nodeLocks } from '../node/locks.ts';
import { nodeStore, writeAtomically } from '../node/store.ts';
import { randomId } from '../resume/journal.ts';
import { isResumeRecord, type ResumeRecord, type ResumeStore } from '../resume/store.ts';

/** Time limit for a lock that another ending run holds. */
const LOCK_WITHIN_MS = 5000;

/**
 * The resume records of one run. The record of a completed file stays in the store until the whole run ends. So when a killed command
 * is run again, it requests the verdict of that file instead of uploading the file a second time.
 *
 * At its end a run moves the completed records into one file and removes that file, so that all of them disappear atomically, in the
 * last act of the process. A run that finds such a file concludes that an earlier run was killed, and restores its records.
 */
export class RunRecords implements ResumeStore {
  readonly #store: ResumeStore;
  /** Directory with the files of ending runs; undefined when there is no state directory. */
  readonly #endingDirectory: string | undefined;
  readonly #completed = new Set<string>();
  /** Keys of records that this run read or wrote: the next run resumes these uploads. */
  readonly #kept = new Set<string>();
  readonly #unwritten = new Set<string>();

  private constructor(directory: string | undefined) {
    this.#store = nodeStore(directory);
    this.#endingDirectory = directory === undefined ? undefined : join(directory, 'ending');
  }

  /** @param directory the state directory; undefined when the user has none, and every upload starts from the first byte */
  static async open(directory: string | undefined): Promise<RunRecords> {
    const records = new RunRecords(directory);
    const folder = records.#endingDirectory;
    if (folder === undefined) return records;
    const names = await readdir(folder).catch(() => []);
    for (const name of names) if (name.endsWith('.json')) await records.#restore(join(folder, name)).catch(() => {});
    return records;
  }

  /** Number of uploads that the next run cannot resume, because no record of them was written. */
  get lost(): number {
    return this.#unwritten.size;
  }

  async list(): Promise<ResumeRecord[]> {
    return (await this.#store.list()).filter(({ key }) => !this.#completed.has(key));
  }

  async get(key: string): Promise<ResumeRecord | undefined> {
    if (this.#completed.has(key)) return undefined;
    const record = await this.#store.get(key);
    if (record !== undefined) this.#kept.add(key);
    return record;
  }

  async put(record: ResumeRecord): Promise<void> {
    const { key } = record;
    this.#completed.delete(key);
    // Added before the attempt, which may never end. An older record suffices to resume.
    if (!this.#kept.has(key)) this.#unwritten.add(key);
    await this.#store.put(record);
    this.#kept.add(key);
    this.#unwritten.delete(key);
  }

  async remove(key: string): Promise<void> {
    this.#completed.add(key);
  }

  /**
   * Removes the records of completed files after all results were printed. Exit the process right after it: a run that is killed before
   * this call counts as unfinished, and one that is killed after it counts as finished.
   */
  async removeCompleted(): Promise<void> {
    const folder = this.#endingDirectory;
    if (folder === undefined) return;
    const keys = [...this.#completed];
    const records = (await Promise.all(keys.map((key) => this.#store.get(key).catch(() => undefined)))).filter(
      (record) => record !== undefined,
    );
    if (records.length === 0) return;
    const path = join(folder, `${randomId()}.json`);
    // Held until the process exits, so that another run does not take this one for killed.
    await nodeLocks.acquire(path, AbortSignal.timeout(LOCK_WITHIN_MS), () => {});
    const isWritten = await writeAtomically(folder, path, JSON.stringify(records)).then(
      () => true,
      () => false,
    );
    await Promise.all(keys.map((key) => this.#store.remove(key).catch(() => {})));
    if (isWritten) unlinkSync(path);
  }

  /** Restores the records before it removes the file, so that the next run can repeat this if this one is killed. */
  async #restore(path: string): Promise<void> {
    const release = await nodeLocks.acquire(path, AbortSignal.timeout(LOCK_WITHIN_MS), () => {});
    try {
      const records = parseJson(await readFile(path, 'utf8'));
      for (const record of Array.isArray(records) ? records.filter(isResumeRecord) : []) {
        if ((await this.#store.get(record.key)) === undefined) await this.#store.put(record);
      }
      await rm(path, { force: true });
    } finally {
      release();
    }
  }
}
