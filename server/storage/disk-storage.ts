import { createReadStream } from 'node:fs';
import { link, open, readdir, rename, rm, stat, statfs, unlink } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { dirname, join, sep } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { UploadError } from '../../shared/errors.ts';
import { copyFile } from '../disk/copy-file.ts';
import { codeOf, type DiskThread, NO_LINK } from '../disk/disk-thread.ts';
import { makeDurableDirectory } from '../disk/durable-directory.ts';
import { writeFileFrom } from '../disk/write-file.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import { isMissing } from '../staging/disk/disk-staging.ts';
import type { Staging } from '../staging/staging.ts';
import { answerWithoutBytes, requireRange } from './preconditions.ts';
import { checkedContent } from './staged-content.ts';
import { StagedBytesGone, type Storage, type Target } from './storage.ts';

/** The thread that publishes belongs to the staging. */
type StagingBesideDisk = Staging & { readonly thread: DiskThread };

/**
 * Final files under `<root>/YYYY/MM/DD/<id>/<name>`. They are published by `link` when staging is on the same device, in a time that
 * does not depend on their size. On another device, and when the staged bytes are not in one file, they are copied to
 * `<id>.<attempt>.part` beside the target, synced and linked.
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

  /** Free bytes for final files; Infinity when they share a file system with `folder`, and publishing needs no more space. */
  async freeBytesBeside(folder: string): Promise<number> {
    const [own, other] = await Promise.all([stat(this.#root), stat(folder)]);
    if (own.dev === other.dev) return Number.POSITIVE_INFINITY;
    const { bavail, bsize } = await statfs(this.#root);
    return bavail * bsize;
  }

  /** The path of a final file on this machine. */
  path(directory: string, name: string): string {
    return `${join(this.#root, directory)}${sep}${name}`;
  }

  async publish({ id, directory, name, attempt, checksum }: Target, signal?: AbortSignal): Promise<string> {
    const target = this.path(directory, name);
    const folder = dirname(target);
    const part = `${folder}${sep}${id}.${attempt}.part`;
    signal?.throwIfAborted();
    const location = await this.#staging.locate(id, signal);
    if (location === undefined) throw new StagedBytesGone('The staged bytes are gone.');
    if (attempt > 1) await removeParts(folder, id);
    const { thread } = this.#staging;
    signal?.throwIfAborted();
    const { path: staged } = location;
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

  /** All attempts publish under one name, and the first one to do so wins. */
  async retract(): Promise<void> {}

  async keepOnly(): Promise<void> {}

  /** The next attempt of the same upload clears it. */
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
    // createReadStream's `end` is the position of the last byte, ours the one after it.
    return createReadStream(this.path(directory, name), range && { start: range.start, end: range.end - 1 });
  }

  async deliver(request: IncomingMessage, response: ServerResponse, directory: string, name: string): Promise<void> {
    const file = await open(this.path(directory, name)).catch((error) => {
      throw isMissing(error) ? new UploadError('ERR_NOT_FOUND', { cause: error }) : error;
    });
    try {
      const { size, mtime } = await file.stat();
      mtime.setMilliseconds(0);
      const validators = { size, etag: String(response.getHeader('ETag') ?? ''), lastModified: mtime };
      if (answerWithoutBytes(request, response, validators)) return;
      const range = requireRange(request, response, validators);
      const { start, end } = range ?? { start: 0, end: size };
      response.writeHead(range ? 206 : 200, {
        'Content-Length': end - start,
        'Accept-Ranges': 'bytes',
        ...(range && { 'Content-Range': `bytes ${start}-${end - 1}/${size}` }),
      });
      if (end === start) response.end();
      else await pipeline(file.createReadStream({ start, end: end - 1 }), response);
    } catch (error) {
      // The client left.
      if (codeOf(error) !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
    } finally {
      await file.close();
    }
  }

  async remove(directory: string): Promise<void> {
    await rm(dirname(this.path(directory, 'x')), { recursive: true, force: true });
  }
}

/** @param make creates the part and makes it durable */
async function publishPart(part: string, target: string, signal: AbortSignal | undefined, make: () => Promise<void>): Promise<void> {
  try {
    await make();
    signal?.throwIfAborted();
    await link(part, target).catch(async (error) => {
      // Even where no link is possible, nothing can be overwritten: the directory belongs to this upload.
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

/** Removes the partial copies of crashed attempts. */
async function removeParts(folder: string, id: UploadId): Promise<void> {
  const names = await readdir(folder).catch((error) => {
    if (isMissing(error)) return [];
    throw error;
  });
  for (const name of names) {
    if (name.startsWith(`${id}.`) && name.endsWith('.part')) await unlink(join(folder, name));
  }
}
