import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseJson } from '../json.ts';
import { isResumeRecord, type ResumeRecord, type ResumeStore } from '../resume/store.ts';

/** The environment variables that name the state directory. */
export interface StateEnvironment {
  XDG_STATE_HOME?: string | undefined;
  LOCALAPPDATA?: string | undefined;
}

/** The state directory of the XDG Base Directory Specification, or its counterpart on macOS and Windows. */
export function stateDirectory(environment: StateEnvironment = {}, platform: string = process.platform): string {
  const { XDG_STATE_HOME, LOCALAPPDATA } = environment;
  // The specification says to ignore relative paths.
  if (XDG_STATE_HOME?.startsWith('/')) return join(XDG_STATE_HOME, 'landfall');
  switch (platform) {
    case 'darwin':
      return join(homedir(), 'Library', 'Application Support', 'Landfall');
    case 'win32':
      return join(LOCALAPPDATA || join(homedir(), 'AppData', 'Local'), 'Landfall');
    default:
      return join(homedir(), '.local', 'state', 'landfall');
  }
}

/** One file for each upload, replaced by rename, so that a reader never sees half a record. */
export function nodeStore(directory: string): ResumeStore {
  const folder = join(directory, 'uploads');
  const pathOf = (key: string) => join(folder, `${createHash('sha256').update(key).digest('hex').slice(0, 32)}.json`);
  return {
    async list(): Promise<ResumeRecord[]> {
      const names = await readdir(folder).catch(() => []);
      const texts = names.filter((name) => name.endsWith('.json')).map((name) => readFile(join(folder, name), 'utf8').catch(() => ''));
      return (await Promise.all(texts)).map(parseJson).filter(isResumeRecord);
    },

    async get(key: string): Promise<ResumeRecord | undefined> {
      const record = parseJson(await readFile(pathOf(key), 'utf8').catch(() => ''));
      return isResumeRecord(record) && record.key === key ? record : undefined;
    },

    async put(record: ResumeRecord): Promise<void> {
      await writeAtomically(folder, pathOf(record.key), JSON.stringify(record));
    },

    async remove(key: string): Promise<void> {
      await rm(pathOf(key), { force: true });
    },
  };
}

/** Writes a file atomically and durably. @param folder the file's folder; created if necessary */
export async function writeAtomically(folder: string, path: string, text: string): Promise<void> {
  // Anyone who knows the address of an upload may write to it, so only this user may read the file.
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await writeFile(draft, text, { mode: 0o600, flush: true });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    throw error;
  }
}
