import { constants, createReadStream } from 'node:fs';
import { copyFile, link, mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import send from 'send';
import { UploadError } from '../../shared/errors.ts';
import { type DiskStaging, isMissing } from '../staging/disk-staging.ts';
import { StagedBytesGone, type Storage, type Target } from './storage.ts';

/** Links that cannot be: another device, a file system without them, a user who may not. */
const NO_LINK = new Set(['EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS']);

/**
 * Final files under `<root>/YYYY/MM/DD/<id>/<name>`. Published by `link` where staging is on the same device, so that the
 * time does not depend on the size; by copy to `<id>.<attempt>.part` beside the target, fsync and link where it is not.
 */
export class DiskStorage implements Storage {
  readonly #root: string;
  readonly #staging: DiskStaging;
  readonly #parents = new GroupedSync();

  constructor(root: string, staging: DiskStaging) {
    this.#root = root;
    this.#staging = staging;
  }

  async prepare(): Promise<void> {
    await mkdir(this.#root, { recursive: true, mode: 0o750 });
  }

  /** The path of a final file on this machine. */
  path(directory: string, name: string): string {
    return join(this.#root, ...directory.split('/'), name);
  }

  async publish({ id, directory, name, attempt }: Target): Promise<void> {
    const target = this.path(directory, name);
    const folder = dirname(target);
    const top = await makeDirectory(folder);
    if (attempt > 1) await removeParts(folder, id);
    const staged = this.#staging.path(id);
    if ((await tryLink(staged, target)) === 'no-link') await copyInto(staged, target, join(folder, `${id}.${attempt}.part`));
    await syncDirectory(folder);
    // A directory is durable once its parent is synced: so up to the parent of the first one made.
    if (top !== undefined) {
      for (let parent = dirname(folder); parent.length >= top.length; parent = dirname(parent)) await this.#parents.sync(parent);
    }
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
      .on('error', (error: Error) => reject(new UploadError('ERR_NOT_FOUND', { cause: error })))
      .pipe(response);
    return promise;
  }

  async remove(directory: string): Promise<void> {
    await rm(dirname(this.path(directory, 'x')), { recursive: true, force: true });
  }
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

/** Resolves with the parent of the first directory that had to be made, if any. */
async function makeDirectory(path: string): Promise<string | undefined> {
  try {
    // All but the first of a day find the parent there.
    await mkdir(path, { mode: 0o750 });
    return dirname(path);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') return undefined;
    if (code !== 'ENOENT') throw error;
    const made = await mkdir(path, { recursive: true, mode: 0o750 });
    return made === undefined ? undefined : dirname(made);
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

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  await directory.sync().finally(() => directory.close());
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
