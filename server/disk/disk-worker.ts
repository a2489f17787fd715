// Makes the system calls for all uploads that are being stored or published at the same time, and the small writes of slow uploads.
import { closeSync, constants, linkSync, lstatSync, mkdirSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { workerData } from 'node:worker_threads';
import { answerRequests } from '../runtime/worker.ts';
import {
  codeOf,
  type DiskAnswer,
  type DiskAnswers,
  type DiskBatch,
  type DiskMessage,
  type DiskOutcome,
  NO_LINK,
  type OtherRequest,
  type StoreRequest,
} from './disk-thread.ts';
import type { WriteAnswer, WriteAnswers, WriteRequest } from './small-writes.ts';
import { Syncs } from './syncs.ts';

type Request = DiskBatch['requests'][number];
type Publication = Extract<Request, { folder: string }>;

/** Uploads of more days than this do not finish at the same time, except at a start after a long stop. */
const REMEMBERED_DAYS = 8;

/** Directories of days that are known to be durable up to the root. */
const provenDays = new Set<string>();

/** Small writes come several times a second while slow uploads are received. */
const WRITES_PAUSE_MS = 1000;

const syncs = new Syncs();
const memory = new Uint8Array(workerData as SharedArrayBuffer);
let writtenAt = Number.NEGATIVE_INFINITY;

answerRequests<DiskMessage, DiskAnswers>((message) => ('writes' in message ? writeAll(message.writes) : doAll(message)));

function writeAll(writes: readonly WriteRequest[]): WriteAnswers {
  writtenAt = performance.now();
  const answers = writes.map(write);
  return answers.every((written, index) => written === writes[index]?.bytes) ? undefined : answers;
}

/** The file is open only during its write. */
function write({ path, position, mayCreate, start, bytes }: WriteRequest): WriteAnswer {
  try {
    const file = openSync(path, constants.O_WRONLY | (mayCreate ? constants.O_CREAT : 0), 0o640);
    try {
      return writeSync(file, memory, start, bytes, position);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    return failed(error);
  }
}

/**
 * All bytes are written and all links made before the first sync: on a file system with a journal, that sync makes all of the links
 * durable. One sync of a directory serves all requests, and so does its failure: a second sync would hide the error.
 */
async function doAll({ requests, bytes }: DiskBatch): Promise<DiskAnswer[]> {
  const opened = new Map<string, number>();
  let taken = 0;
  const done = requests.map((request) => {
    if (!('store' in request)) return { request, answer: caught(() => begin(request)) };
    const own = bytes.subarray(taken, taken + request.length);
    taken += request.length;
    return { request, answer: caught(() => store(request, own, opened)) };
  });
  const unsynced = done.map(({ request, answer }) => (answer === 'done' ? pathsOf(request) : []));
  // A slow sync in this thread would hold up the small writes.
  const areOthersWaiting = performance.now() - writtenAt < WRITES_PAUSE_MS;
  const failures = await syncs.all(new Set(unsynced.flat()), opened, areOthersWaiting ? 'all' : requests.length > 1 ? 'others' : 'none');
  return done.map(({ request, answer }, n) => {
    const failure = unsynced[n]?.map((path) => failures.get(path)).find((error) => error !== undefined);
    if (failure !== undefined) return failed(failure);
    if (answer === 'done' && 'folder' in request) rememberDay(dirname(request.folder));
    return answer;
  });
}

/** What is done to the names. A sync follows. */
function begin(request: OtherRequest): DiskOutcome {
  if ('sync' in request) return 'done';
  return 'unlink' in request ? unlink(request.unlink) : link(request);
}

/** What has to be synced before the request is done. */
function pathsOf(request: Request): string[] {
  if ('store' in request) return [request.store];
  if ('sync' in request) return [request.sync];
  return 'folder' in request ? unprovenDirectories(request) : [];
}

/** @param opened gets the files that are written and not synced yet, by path */
function store({ store: path, at }: StoreRequest, bytes: Uint8Array, opened: Map<string, number>): DiskOutcome {
  const file = openSync(path, constants.O_CREAT | constants.O_WRONLY, 0o640);
  try {
    // On a full disk a write is first short, and the next call throws ENOSPC.
    for (let written = 0; written < bytes.byteLength; ) {
      written += writeSync(file, bytes, written, bytes.byteLength - written, at + written);
    }
  } catch (error) {
    closeSync(file);
    throw error;
  }
  opened.set(path, file);
  return 'done';
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
function unprovenDirectories({ root, folder }: Publication): string[] {
  const day = dirname(folder);
  const directories = [folder, day];
  if (provenDays.has(day)) return directories;
  for (let parent = dirname(day); parent.length >= root.length; parent = dirname(parent)) directories.push(parent);
  return directories;
}

function rememberDay(day: string): void {
  if (provenDays.has(day)) return;
  if (provenDays.size >= REMEMBERED_DAYS) provenDays.clear();
  provenDays.add(day);
}

function caught(work: () => DiskOutcome): DiskAnswer {
  try {
    return work();
  } catch (error) {
    return failed(error);
  }
}

function failed(error: unknown): { code: string; message: string } {
  return { code: codeOf(error), message: error instanceof Error ? error.message : String(error) };
}
