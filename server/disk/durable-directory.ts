// A name is durable once its directory is synced, and the directory's own name once its parent is synced.
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf } from './disk-thread.ts';
import { OpenFile } from './open-file.ts';

export async function syncDirectory(path: string): Promise<void> {
  const directory = await OpenFile.open(path, 'r');
  await directory.sync().finally(() => directory.closeSync());
}

/** Creates a directory and its missing parents with mode 0750, and makes them durable. */
export async function makeDurableDirectory(path: string): Promise<void> {
  const made = await make(path);
  if (made === undefined) return;
  for (let parent = dirname(path); parent.length >= dirname(made).length; parent = dirname(parent)) {
    await syncDirectory(parent);
    if (parent === dirname(parent)) return;
  }
}

/**
 * Resolves to the topmost directory that it created; undefined: none. Not with Node's `recursive`, which never ends when a parent
 * exists that accepts no directories, as below /proc.
 */
async function make(path: string, isParentThere = false): Promise<string | undefined> {
  try {
    await mkdir(path, 0o750);
    return path;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST' || code === 'EISDIR') return requireDirectory(path, error);
    if (code !== 'ENOENT' || isParentThere || dirname(path) === path) throw error;
    const made = await make(dirname(path));
    const own = await make(path, true);
    return made ?? own;
  }
}

async function requireDirectory(path: string, error: unknown): Promise<undefined> {
  if (!(await stat(path)).isDirectory()) throw error;
}
