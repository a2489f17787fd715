import { constants, createReadStream } from 'node:fs';
import { copyFile, link, mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import send from 'send';
import { UploadError } from '../../shared/errors.ts';
import { makeDurableDirectory, syncDirectory } from '../disk/durable-directory.ts';
import { type DiskStaging, isMissing } from '../staging/disk-staging.ts';
import { faultOf } from '../staging/faults.ts';
import { StagedBytesGone, type Storage, type Target } from './storage.ts';

/** Links that cannot be: another device, a file system without them, a user who may not. */
const NO_LINK = new Set(['EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS']);

/** Uploads of more days than this do not end at one time, but for a start after a long rest. */
const REMEMBERED_DAYS = 8;

/**
 * Final files under `<root>/YYYY/MM/DD/<id>/<name>`. Published by `link` where staging is on the same device, so that the
 * time does not depend on the size; by copy to `<id>.<attempt>.part` beside the target, fsync and link where it is not.
 */
export class DiskStorage implements Storage {
  readonly #root: string;
  readonly #staging: DiskStaging;
  readonly #parents = new GroupedSync();
  readonly #days = new Map<string, Promise<void>>();

  constructor(root: string, staging: DiskStaging) {
    this.#root = root;
    this.#staging = staging;
  }

  async prepare(): Promise<void> {
    await makeDurableDirectory(this.#root);
  }

  /** The path of a final file on this machine. */
  path(directory: string, name: string): string {
    return join(this.#root, ...directory.split('/'), name);
  }

  async publish({ id, directory, name, attempt }: Target): Promise<string> {
    const target = this.path(directory, name);
    const folder = dirname(target);
    const day = dirname(folder);
    // What was proved of an earlier directory of this name says nothing of one made now.
    if (await makeDirectory(folder)) this.#days.delete(day);
    if (attempt > 1) await removeParts(folder, id);
    const staged = this.#staging.path(id);
    if ((await tryLink(staged, target)) === 'no-link') await copyInto(staged, target, join(folder, `${id}.${attempt}.part`));
    await syncDirectory(folder);
    // A directory is durable once its parent is synced, whoever made it: an attempt that crashed, or an upload that ends beside
    // this one and has not come so far yet.
    await this.#parents.sync(day);
    await this.#proveDay(day);
    return directory;
  }

  /** All attempts share one name, and the first to have it keeps it. */
  async retract(): Promise<void> {}

  async keepOnly(): Promise<void> {}

  /** The next attempt of the same upload does. */
  async clearUnfinished(): Promise<void> {}

  /** Once in the life of this process. */
  #proveDay(day: string): Promise<void> {
    let proven = this.#days.get(day);
    if (proven === undefined) {
      proven = this.#syncAbove(day);
      if (this.#days.size >= REMEMBERED_DAYS) this.#days.clear();
      this.#days.set(day, proven);
      proven.catch(() => this.#days.delete(day));
    }
    return proven;
  }

  async #syncAbove(day: string): Promise<void> {
    for (let parent = dirname(day); parent.length >= this.#root.length; parent = dirname(parent)) await syncDirectory(parent);
  }

  async size(directory: string, name: string): Promise<number | undefined> {
    try {
      return (await stat(this.path(directory, name))).size;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  read(directory: string, name: string, range?: { start: number; end: number }): Readable {
    // createReadStream's `end` is the last byte's position, ours the one after it.
    return createReadStream(this.path(directory, name), range && { start: range.start, end: range.end - 1 });
  }

  async deliver(request: IncomingMessage, response: ServerResponse, directory: string, name: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    response.once('close', resolve);
    send(request, encodeURIComponent(name), { root: dirname(this.path(directory, name)), dotfiles: 'allow', index: false })
      .on('error', (error: Error) => reject(refusalOf(error)))
      .pipe(response);
    return promise;
  }

  async remove(directory: string): Promise<void> {
    await rm(dirname(this.path(directory, 'x')), { recursive: true, force: true });
  }
}

/** What `send` does not answer itself: a range or a condition that can't be met, a file that is not there, a fault of ours. */
function refusalOf(error: Error): UploadError {
  const status = 'status' in error ? error.status : undefined;
  if (status === 412 || status === 416) return new UploadError('ERR_BAD_REQUEST', { status, cause: error });
  return status === 404 ? new UploadError('ERR_NOT_FOUND', { cause: error }) : faultOf(error);
}

/**
 * A target that exists is this upload's own, whole, from an attempt that got no further: nobody else writes in a
 * directory with this id.
 */
async function tryLink(from: string, target: string): Promise<'linked' | 'no-link'> {
  try {
    await link(from, target);
    return 'linked';
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') return 'linked';
    if (code === 'ENOENT') throw new StagedBytesGone('The staged bytes are gone.', { cause: error });
    if (code !== undefined && NO_LINK.has(code)) return 'no-link';
    throw error;
  }
}

async function copyInto(staged: string, target: string, part: string): Promise<void> {
  try {
    await copyFile(staged, part, constants.COPYFILE_EXCL);
    const file = await open(part, 'r+');
    await file.sync().finally(() => file.close());
    // Where even a link beside the file is not to be had, the directory is the upload's own: nothing can be overwritten.
    if ((await tryLink(part, target)) === 'no-link') await rename(part, target);
  } catch (error) {
    if (isMissing(error)) throw new StagedBytesGone('The staged bytes are gone.', { cause: error });
    throw error;
  } finally {
    await unlink(part).catch(() => undefined);
  }
}

/** What crashed attempts left half copied. */
async function removeParts(folder: string, id: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.startsWith(`${id}.`) && name.endsWith('.part')) await unlink(join(folder, name));
  }
}

/** Resolves with whether more than the last directory had to be made. */
async function makeDirectory(path: string): Promise<boolean> {
  try {
    // All but the first of a day find the parent there.
    await mkdir(path, { mode: 0o750 });
    return false;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') return false;
    if (code !== 'ENOENT') throw error;
    await mkdir(path, { recursive: true, mode: 0o750 });
    return true;
  }
}

/** Many uploads end in one day's directory: one sync serves all that wait for it. */
class GroupedSync {
  readonly #next = new Map<string, Promise<void>>();
  readonly #running = new Map<string, Promise<void>>();

  /** Whoever comes while one runs needs the one after it: the running one may have begun too early. */
  sync(path: string): Promise<void> {
    let next = this.#next.get(path);
    if (next === undefined) {
      next = (this.#running.get(path) ?? Promise.resolve()).then(() => {
        this.#next.delete(path);
        const current = syncDirectory(path);
        const settled = current
          .catch(() => undefined)
          .then(() => {
            if (this.#running.get(path) === settled) this.#running.delete(path);
          });
        this.#running.set(path, settled);
        return current;
      });
      this.#next.set(path, next);
    }
    return next;
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
