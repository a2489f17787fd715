import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { parseJson } from '../json.ts';
import { isResumeRecord, type ResumeRecord, type ResumeStore } from '../resume/store.ts';

/** The environment variables that name the state directory. */
export interface StateEnvironment {
  XDG_STATE_HOME?: string | undefined;
  LOCALAPPDATA?: string | undefined;
}

/**
 * The state directory of the XDG Base Directory Specification, or its counterpart on macOS and Windows. Undefined when it is below the
 * home directory and the user has none.
 */
export function stateDirectory(environment: StateEnvironment = {}, platform: string = process.platform): string | undefined {
  const { XDG_STATE_HOME, LOCALAPPDATA } = environment;
  // The specification says to ignore relative paths.
  if (XDG_STATE_HOME?.startsWith('/')) return join(XDG_STATE_HOME, 'landfall');
  if (platform === 'win32' && LOCALAPPDATA) return join(LOCALAPPDATA, 'Landfall');
  const home = homeDirectory();
  if (home === undefined) return undefined;
  switch (platform) {
    case 'darwin':
      return join(home, 'Library', 'Application Support', 'Landfall');
    case 'win32':
      return join(home, 'AppData', 'Local', 'Landfall');
    default:
      return join(home, '.local', 'state', 'landfall');
  }
}

/** A container may run a program as a user without an entry in `/etc/passwd` and without `HOME`. */
function homeDirectory(): string | undefined {
  try {
    const home = homedir();
    // An empty `HOME` would be the current directory.
    return isAbsolute(home) ? home : undefined;
  } catch {
    return undefined;
  }
}

/** A store that keeps nothing. */
const NO_STORE: ResumeStore = {
  list: async () => [],
  get: async () => undefined,
  put: async () => {
    throw new Error('The user has no home directory for resume records.');
  },
  remove: async () => {},
};

/**
 * One file for each upload, replaced by rename, so that a reader never sees half a record.
 *
 * @param directory undefined: every `put` fails
 */
export function nodeStore(directory: string | undefined): ResumeStore {
  if (directory === undefined) return NO_STORE;
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

/** As `mkdir` with `recursive`, which never returns below `/proc`, where creating a folder fails with ENOENT although the parent exists. */
async function makeFolder(folder: string): Promise<void> {
  const create = () =>
    mkdir(folder, { mode: 0o700 }).catch((error) => {
      if (error.code !== 'EEXIST') throw error;
    });
  try {
    await create();
  } catch (error) {
    const parent = dirname(folder);
    if (parent === folder) throw error;
    // The next attempt reports why it failed.
    await makeFolder(parent).catch(() => {});
    await create();
  }
}

/** Writes a file atomically and durably. @param folder the file's folder; created if necessary */
export async function writeAtomically(folder: string, path: string, text: string): Promise<void> {
  // Anyone who knows the address of an upload may write to it, so only this user may read the file.
  await makeFolder(folder);
  const draft = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await writeFile(draft, text, { mode: 0o600, flush: true });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    throw error;
  }
}
