// A name is durable once the directory it stands in is synced, and that one's name once its parent is.
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OpenFile } from './open-file.ts';

export async function syncDirectory(path: string): Promise<void> {
  const directory = await OpenFile.open(path, 'r');
  await directory.sync().finally(() => directory.closeSync());
}

/** Makes a directory where there is none, with all above it that are missing, and makes durable what it made. Mode 0750. */
export async function makeDurableDirectory(path: string): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: 0o750 });
  if (made === undefined) return;
  for (let parent = dirname(path); parent.length >= dirname(made).length; parent = dirname(parent)) {
    await syncDirectory(parent);
    if (parent === dirname(parent)) return;
  }
}
