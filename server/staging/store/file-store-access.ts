// Access to @tus/file-store, which keeps each upload in a file, beside a JSON file that is not read here. Adds what the store lacks: sync
// and truncation.
import { chmod, stat, statfs, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DataStore } from '@tus/utils';
import { makeDurableDirectory, syncDirectory } from '../../disk/durable-directory.ts';
import { OpenFile } from '../../disk/open-file.ts';
import type { StagedFile } from '../staging.ts';
import { type HeldBytes, StoreAccess } from './store-access.ts';
import { unlessMissing } from './store-fault.ts';

/** The part of the store that is used here. */
interface FileStoreLike {
  directory: string;
  configstore: { delete(name: string): Promise<void> };
}

export function isFileStore(store: unknown): store is DataStore & FileStoreLike {
  const { directory, configstore } = store as Partial<FileStoreLike>;
  return typeof directory === 'string' && typeof configstore?.delete === 'function';
}

const PIECE_BYTES = 1024 * 1024;

export class FileStoreAccess extends StoreAccess {
  override readonly isDirect = true;
  override readonly isDurableByWrite = false;
  readonly #files: FileStoreLike;

  constructor(store: DataStore & FileStoreLike) {
    super(store);
    this.#files = store;
  }

  override async prepare(): Promise<void> {
    await makeDurableDirectory(this.#files.directory);
  }

  override path(name: string): string {
    return join(this.#files.directory, name);
  }

  override async create(name: string, length: number | null): Promise<void> {
    await super.create(name, length);
    await chmod(this.path(name), 0o640);
    await syncDirectory(dirname(this.path(name)));
  }

  /** Nothing to do: the JSON file is not read. The store does not write it atomically, so a power cut may leave half of it. */
  override async declareLength(): Promise<void> {}

  override async held(name: string): Promise<HeldBytes | undefined> {
    const stats = await unlessMissing(stat(this.path(name)));
    return stats && { size: stats.size, isSealed: false, hasGap: false };
  }

  override async sync(name: string): Promise<void> {
    const file = await OpenFile.open(this.path(name), 'r+');
    await file.sync().finally(() => file.close());
  }

  override async *range(name: string, start: number, end: number): AsyncIterable<Buffer> {
    const file = await OpenFile.open(this.path(name), 'r');
    try {
      for (let at = start; at < end; ) {
        const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, end - at));
        const bytesRead = await file.read(piece, 0, at);
        if (bytesRead === 0) return;
        yield piece.subarray(0, bytesRead);
        at += bytesRead;
      }
    } finally {
      file.closeSync();
    }
  }

  /** The store's own `remove` leaves its JSON file when the other file is gone. */
  override async remove(name: string): Promise<void> {
    await unlessMissing(unlink(this.path(name)));
    await unlessMissing(this.#files.configstore.delete(name));
  }

  override async locate(name: string): Promise<StagedFile> {
    return { path: this.path(name) };
  }

  override async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#files.directory);
    return bavail * bsize;
  }
}
