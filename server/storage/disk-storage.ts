import { createReadStream } from 'node:fs';
import { link, readdir, rename, rm, stat, statfs, unlink } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import send from 'send';
import { UploadError } from '../../shared/errors.ts';
import { copyFile } from '../disk/copy-file.ts';
import { codeOf, type DiskThread, NO_LINK } from '../disk/disk-thread.ts';
import { makeDurableDirectory } from '../disk/durable-directory.ts';
import { writeFileFrom } from '../disk/write-file.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import { isMissing } from '../staging/disk/disk-staging.ts';
import { faultOf } from '../staging/faults.ts';
import type { Staging } from '../staging/staging.ts';
import { satisfiable } from './preconditions.ts';
import { checkedContent } from './staged-content.ts';
import { StagedBytesGone, type Storage, type Target } from './storage.ts';

/** The thread that publishes is the staging's, too. */
type StagingBesideDisk = Staging & { readonly thread: DiskThread };

/**
 * Final files under `<root>/YYYY/MM/DD/<id>/<name>`. Published by `link` where staging is on the same device, so that the
 * time does not depend on the size; by copy to `<id>.<attempt>.part` beside the target, fsync and link where it is not, and where
 * the bytes are not in a file at all.
 */
export class DiskStorage implements Storage {
  readonly #root: string;
  readonly #staging: StagingBesideDisk;

  constructor(root: string, staging: StagingBesideDisk) {
    this.#root = root;
    this.#staging = staging;
  }

  async prepare(): Promise<void> {
    await makeDurableDirectory(this.#root);
  }

  /** Bytes free for final files; Infinity where they are on the same file system as `folder`, and become no more by being published. */
  async freeBytesBeside(folder: string): Promise<number> {
    const [own, other] = await Promise.all([stat(this.#root), stat(folder)]);
    if (own.dev === other.dev) return Number.POSITIVE_INFINITY;
    const { bavail, bsize } = await statfs(this.#root);
    return bavail * bsize;
  }

  /** The path of a final file on this machine. */
  path(directory: string, name: string): string {
    return join(this.#root, ...directory.split('/'), name);
  }

  async publish({ id, directory, name, attempt, checksum }: Target, signal?: AbortSignal): Promise<string> {
    const target = this.path(directory, name);
    const folder = dirname(target);
    const part = join(folder, `${id}.${attempt}.part`);
    signal?.throwIfAborted();
    const place = await this.#staging.place(id, signal);
    if (place === undefined) throw new StagedBytesGone('The staged bytes are gone.');
    if (attempt > 1) await removeParts(folder, id);
    const { thread } = this.#staging;
    signal?.throwIfAborted();
    const { path: staged } = place;
    if (staged === undefined) {
      await thread.do({ root: this.#root, folder });
      await publishPart(part, target, signal, () => this.#read(id, part, checksum, signal));
      await thread.do({ root: this.#root, folder });
      return directory;
    }
    const outcome = await thread.do({ root: this.#root, folder, link: { from: staged, to: target } });
    if (outcome === 'no-file') throw new StagedBytesGone('The staged bytes are gone.');
    if (outcome === 'no-link') {
      await publishPart(part, target, signal, () => copyFile(staged, part, signal));
      await thread.do({ root: this.#root, folder });
    }
    return directory;
  }

  async #read(id: UploadId, part: string, checksum: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    const reader = await this.#staging.open(id, signal);
    await writeFileFrom(checkedContent(reader, checksum), part, signal).finally(() => reader.close());
  }

  /** All attempts share one name, and the first to have it keeps it. */
  async retract(): Promise<void> {}

  async keepOnly(): Promise<void> {}

  /** The next attempt of the same upload does. */
  async clearUnfinished(): Promise<void> {}

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
    const { range } = request.headers;
    if (range !== undefined) request.headers.range = satisfiable(range, (await this.size(directory, name)) ?? 0);
    const root = dirname(this.path(directory, name));
    // RFC 9110, 14.2: a range is for GET alone.
    const acceptRanges = request.method !== 'HEAD';
    response.setHeader('Accept-Ranges', 'bytes');
    send(request, encodeURIComponent(name), { root, dotfiles: 'allow', index: false, acceptRanges })
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
  if (status === 412) return new UploadError('ERR_PRECONDITION_FAILED', { cause: error });
  if (status === 416) return new UploadError('ERR_RANGE_NOT_SATISFIABLE', { cause: error });
  return status === 404 ? new UploadError('ERR_NOT_FOUND', { cause: error }) : faultOf(error);
}

/** @param make makes the part, durable */
async function publishPart(part: string, target: string, signal: AbortSignal | undefined, make: () => Promise<void>): Promise<void> {
  try {
    await make();
    signal?.throwIfAborted();
    await link(part, target).catch(async (error) => {
      // Where even a link beside the file is not to be had, the directory is the upload's own: nothing can be overwritten.
      if (NO_LINK.has(codeOf(error))) await rename(part, target);
      else if (codeOf(error) !== 'EEXIST') throw error;
    });
  } catch (error) {
    if (isMissing(error)) throw new StagedBytesGone('The staged bytes are gone.', { cause: error });
    throw error;
  } finally {
    await unlink(part).catch(() => undefined);
  }
}

/** What crashed attempts left half copied. */
async function removeParts(folder: string, id: UploadId): Promise<void> {
  const names = await readdir(folder).catch((error) => {
    if (isMissing(error)) return [];
    throw error;
  });
  for (const name of names) {
    if (name.startsWith(`${id}.`) && name.endsWith('.part')) await unlink(join(folder, name));
  }
}
