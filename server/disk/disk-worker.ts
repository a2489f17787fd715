// Makes the system calls for all uploads that are being published at the same time, one after another.
import { closeSync, fsyncSync, linkSync, lstatSync, mkdirSync, openSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { codeOf, type DiskAnswer, type DiskOutcome, type DiskRequest, NO_LINK } from './disk-thread.ts';

type Publication = Extract<DiskRequest, { folder: string }>;

/** Uploads of more days than this do not finish at the same time, except at a start after a long stop. */
const REMEMBERED_DAYS = 8;

/** Directories of days that are known to be durable up to the root. */
const provenDays = new Set<string>();

parentPort?.on('message', (requests: DiskRequest[]) => parentPort?.postMessage(doAll(requests)));

/** All links are made before the first sync: on a file system with a journal, that sync makes all of them durable. */
function doAll(requests: readonly DiskRequest[]): DiskAnswer[] {
  const syncs = new Syncs();
  return requests
    .map((request) => ({ request, answer: caught(() => ('unlink' in request ? unlink(request.unlink) : link(request))) }))
    .map(({ request, answer }) => (answer === 'done' && 'folder' in request ? caught(() => prove(request, syncs)) : answer));
}

function unlink(path: string): DiskOutcome {
  try {
    if (lstatSync(path).nlink === 1) return 'last-link';
    unlinkSync(path);
    return 'done';
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 'no-file';
    throw error;
  }
}

function link({ folder, link: names }: Publication): DiskOutcome {
  makeDirectory(folder);
  if (names === undefined) return 'done';
  try {
    linkSync(names.from, names.to);
    return 'done';
  } catch (error) {
    const code = codeOf(error);
    // An existing target is this upload's own complete file, from an interrupted attempt: only this upload writes in the directory
    // of its id.
    if (code === 'EEXIST') return 'done';
    if (code === 'ENOENT') return 'no-file';
    if (NO_LINK.has(code)) return 'no-link';
    throw error;
  }
}

function makeDirectory(path: string): void {
  try {
    // The parent exists for all uploads but the first of a day.
    mkdirSync(path, 0o750);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT') throw error;
    // The new directory is not durable yet, even if an earlier one with its name was.
    provenDays.delete(dirname(path));
    mkdirSync(path, { recursive: true, mode: 0o750 });
  }
}

/** A directory is durable once its parent is synced, whichever process created it: perhaps an attempt that crashed. */
function prove({ root, folder }: Publication, syncs: Syncs): DiskOutcome {
  const day = dirname(folder);
  syncs.once(folder);
  syncs.once(day);
  if (!provenDays.has(day)) {
    for (let parent = dirname(day); parent.length >= root.length; parent = dirname(parent)) syncs.once(parent);
    if (provenDays.size >= REMEMBERED_DAYS) provenDays.clear();
    provenDays.add(day);
  }
  return 'done';
}

/** One sync of a directory serves all requests of a batch, and so does its failure: a second sync would hide the error. */
class Syncs {
  readonly #done = new Map<string, { error?: unknown }>();

  once(path: string): void {
    const result = this.#done.get(path) ?? sync(path);
    this.#done.set(path, result);
    if ('error' in result) throw result.error;
  }
}

function sync(path: string): { error?: unknown } {
  try {
    const directory = openSync(path, 'r');
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
    return {};
  } catch (error) {
    return { error };
  }
}

function caught(work: () => DiskOutcome): DiskAnswer {
  try {
    return work();
  } catch (error) {
    return { code: codeOf(error), message: error instanceof Error ? error.message : String(error) };
  }
}
