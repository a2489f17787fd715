import { unlinkSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJson } from '../json.ts';
import { nodeLocks } from '../node/locks.ts';
import { nodeStore, writeWhole } from '../node/store.ts';
import { randomId } from '../resume/journal.ts';
import { isResumeRecord, type ResumeRecord, type ResumeStore } from '../resume/store.ts';

/** For another run that is ending at this moment. */
const ENDING_WITHIN_MS = 5000;

/**
 * The records of one run. A record that is done with stays in the store until the whole run is: a command that was killed and
 * is run again asks how those files ended, where it would send them a second time.
 *
 * At its end a run moves the records that are done into one file, and removes that: all are forgotten in one act, the last one
 * of the process. A run that finds such a file takes it for that of a run which was killed before its end.
 */
export class RunRecords implements ResumeStore {
  readonly #store: ResumeStore;
  /** Files of runs that are ending. */
  readonly #ending: string;
  readonly #done = new Set<string>();

  private constructor(directory: string) {
    this.#store = nodeStore(directory);
    this.#ending = join(directory, 'ending');
  }

  /** @param directory where the state is kept */
  static async open(directory: string): Promise<RunRecords> {
    const records = new RunRecords(directory);
    const names = await readdir(records.#ending).catch(() => []);
    for (const name of names) if (name.endsWith('.json')) await records.#takeBack(join(records.#ending, name)).catch(() => {});
    return records;
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

  /**
   * The run is over, and its results are told: nothing of it is to be gone on with. To be followed by the end of the process and
   * nothing else: what is killed after it, while Node takes itself down, has ended, and what is killed before it has not.
   */
  async conclude(): Promise<void> {
    const keys = [...this.#done];
    const records = (await Promise.all(keys.map((key) => this.#store.get(key).catch(() => undefined)))).filter(
      (record) => record !== undefined,
    );
    if (records.length === 0) return;
    const path = join(this.#ending, `${randomId()}.json`);
    // Until the process is gone: another run does not take this one for killed.
    await nodeLocks.acquire(path, AbortSignal.timeout(ENDING_WITHIN_MS), () => {});
    const isWritten = await writeWhole(this.#ending, path, JSON.stringify(records)).then(
      () => true,
      () => false,
    );
    await Promise.all(keys.map((key) => this.#store.remove(key).catch(() => {})));
    if (isWritten) unlinkSync(path);
  }

  /** The records first: a run that is killed over it leaves the file to the next. */
  async #takeBack(path: string): Promise<void> {
    const release = await nodeLocks.acquire(path, AbortSignal.timeout(ENDING_WITHIN_MS), () => {});
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
