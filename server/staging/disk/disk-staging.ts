import { constants } from 'node:fs';
import { mkdir, readdir, rename, stat, statfs, truncate, unlink } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { copyFile } from '../../disk/copy-file.ts';
import { DiskThread } from '../../disk/disk-thread.ts';
import { makeDurableDirectory, syncDirectory } from '../../disk/durable-directory.ts';
import { OpenFile } from '../../disk/open-file.ts';
import { parseUploadId, type UploadId } from '../../ledger/upload-id.ts';
import { Retries } from '../../runtime/retries.ts';
import type { StagedFile, StagedReader, Staging, StagingWriter, WriterOptions } from '../staging.ts';
import { AppendedFile } from './appended-file.ts';
import { DiskWriter } from './disk-writer.ts';
import { StagedSyncs } from './staged-syncs.ts';
import { WholeWriter } from './whole-writer.ts';

const STREAM_BYTES = 1024 * 1024;

/** Names of the folders: the first two digits of the ids in them. */
const PREFIXES = Array.from({ length: 256 }, (_, prefix) => prefix.toString(16).padStart(2, '0'));
/** Suffix of a copy while `renew` makes it. */
const RENEWED = '.renewed';

/**
 * Types of network file systems by statfs(2): NFS, CIFS, SMB2, Ceph, FUSE. There, closing a file sends its bytes to the server and waits.
 */
const NETWORK_TYPES: ReadonlySet<number> = new Set([0x6969, 0xff534d42, 0xfe534d42, 0x00c36400, 0x65735546]);

/** Keeps each upload in a file `<root>/<first two digits of the id>/<id>`, so that no directory gets too large. */
export class DiskStaging implements Staging {
  readonly isReadableInProgress = true;
  readonly isReadBack = false;
  /** Stores files that come whole, and small pieces of others. Shared with the storage that publishes all files. */
  readonly thread: DiskThread = new DiskThread();
  readonly #root: string;
  readonly #removals: Retries;
  readonly #renewing = new Set<string>();
  readonly #syncs = new StagedSyncs();
  #isInNetwork = false;

  /** @param onFault called when a file cannot be removed yet */
  constructor(root: string, onFault: (error: unknown) => void = () => undefined) {
    this.#root = root;
    this.#removals = new Retries(onFault);
  }

  /** Makes the root and its 256 folders, so that creating an upload makes only one file. */
  async prepare(): Promise<void> {
    this.thread.start();
    await makeDurableDirectory(this.#root);
    for (const prefix of PREFIXES) await mkdir(join(this.#root, prefix), { recursive: true, mode: 0o750 });
    await syncDirectory(this.#root);
    this.#isInNetwork = NETWORK_TYPES.has((await statfs(this.#root)).type);
  }

  /** Path of the file. A caller that links or reads it holds the inspection's lease. */
  path(id: UploadId): string {
    // Several times for each upload, so without `join`, which parses its parts.
    return `${this.#root}${sep}${id.slice(0, 2)}${sep}${id}`;
  }

  async size(id: UploadId): Promise<number> {
    try {
      return (await stat(this.path(id))).size;
    } catch (error) {
      if (isMissing(error)) return 0;
      throw error;
    }
  }

  async openWriter(id: UploadId, offset: number, options: WriterOptions): Promise<StagingWriter> {
    const path = this.path(id);
    if (options.inOne) return new WholeWriter(this.thread, path, options);
    this.#syncs.resume(id, offset);
    const shared = { thread: this.thread, syncs: this.#syncs, staysOpen: this.#isInNetwork };
    return new DiskWriter(new AppendedFile(id, path, options.completeBytes, shared), offset, options);
  }

  async sync(id: UploadId): Promise<void> {
    const file = await OpenFile.open(this.path(id), constants.O_CREAT | constants.O_WRONLY, 0o640);
    await this.#syncs.run(id, file, 'sync').finally(() => file.close());
  }

  async renew(id: UploadId, signal?: AbortSignal): Promise<void> {
    const path = this.path(id);
    const fresh = `${path}${RENEWED}`;
    this.#renewing.add(id);
    try {
      await unlink(fresh).catch(unlessMissing);
      await copyFile(path, fresh, signal);
      signal?.throwIfAborted();
      await rename(fresh, path);
      this.#syncs.forget(id);
    } finally {
      await unlink(fresh).catch(unlessMissing);
      this.#renewing.delete(id);
    }
  }

  async truncate(id: UploadId, size: number): Promise<void> {
    await truncate(this.path(id), size);
    this.#syncs.forget(id);
  }

  async open(id: UploadId): Promise<StagedReader> {
    const file = await OpenFile.open(this.path(id), 'r');
    return new DiskReader(file, await file.size());
  }

  remove(id: UploadId): Promise<void> {
    const path = this.path(id);
    this.#syncs.forget(id);
    return this.#removals.do(async () => {
      if ((await this.thread.do({ unlink: path })) === 'last-link') await unlink(path).catch(unlessMissing);
    });
  }

  async close(): Promise<void> {
    await this.#removals.close();
    await this.thread.close();
  }

  /** Skips files that are not Landfall's (`.DS_Store`, `.nfs…`, `lost+found`). */
  async *list(): AsyncIterable<UploadId> {
    for (const prefix of PREFIXES) {
      for (const name of await readdir(join(this.#root, prefix))) {
        const id = parseUploadId(name);
        if (id !== undefined) yield id;
        else if (name.endsWith(RENEWED)) await this.#clearRenewed(parseUploadId(name.slice(0, -RENEWED.length)));
      }
    }
  }

  /** Removes a copy that a crash left, not one that this process is making. Another process whose copy is removed makes it again. */
  async #clearRenewed(id: UploadId | undefined): Promise<void> {
    if (id !== undefined && !this.#renewing.has(id)) await unlink(`${this.path(id)}${RENEWED}`).catch(unlessMissing);
  }

  async locate(id: UploadId): Promise<StagedFile> {
    return { path: this.path(id) };
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#root);
    return bavail * bsize;
  }
}

class DiskReader implements StagedReader {
  readonly size: number;
  readonly #file: OpenFile;

  constructor(file: OpenFile, size: number) {
    this.#file = file;
    this.size = size;
  }

  async read(start: number, end: number): Promise<Buffer> {
    // Not from Node's pool, in which each small buffer would keep 64 KiB alive.
    const buffer = Buffer.allocUnsafeSlow(Math.max(0, Math.min(end, this.size) - start));
    let filled = 0;
    while (filled < buffer.byteLength) {
      const bytesRead = await this.#file.read(buffer, filled, start + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  }

  async *stream(start = 0): AsyncIterable<Buffer> {
    for (let position = start; position < this.size; position += STREAM_BYTES) {
      yield await this.read(position, position + STREAM_BYTES);
    }
  }

  async close(): Promise<void> {
    this.#file.closeSync();
  }
}

function unlessMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
