// Bytes in progress in any DataStore of @tus/*. The store only keeps bytes. The ledger decides the offset of an upload, and bytes that
// are read back from the store are verified by the running checksum before a file is accepted.
import { randomBytes } from 'node:crypto';
import { mkdir, rename, statfs, truncate, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { DataStore } from '@tus/utils';
import { copyFile } from '../../disk/copy-file.ts';
import { DiskThread } from '../../disk/disk-thread.ts';
import type { StagedNames } from '../../ledger/staged-names.ts';
import type { UploadId } from '../../ledger/upload-id.ts';
import { Retries } from '../../runtime/retries.ts';
import { StagedBytesLost, type StagedFile, type StagedReader, type Staging, type StagingWriter, type WriterOptions } from '../staging.ts';
import { accessTo } from './open-access.ts';
import { PendingFile, PendingMemory } from './pending-bytes.ts';
import type { HeldBytes, StoreAccess } from './store-access.ts';
import { unlessMissing } from './store-fault.ts';
import { MemoryReader, StoreReader } from './store-reader.ts';
import { StoreWriter } from './store-writer.ts';

export interface StoreStagingOptions {
  store: DataStore;
  names: StagedNames;
  /**
   * Directory for bytes that are collected before a write to the store. Only this process uses it, and no file in it outlives the
   * process.
   */
  spoolDir: string;
  /** Prefix of each name in the store. */
  prefix?: string;
  maxUploadBytes: number;
  /** Called when bytes cannot be removed yet. */
  onFault?: (error: unknown) => void;
}

interface Found {
  name: string;
  held: HeldBytes;
}

export class StoreStaging implements Staging {
  readonly isReadableInProgress = false;
  readonly isReadBack = true;
  /** Shared with the storage that publishes these files. */
  readonly thread: DiskThread = new DiskThread();
  readonly #options: StoreStagingOptions;
  readonly #access: StoreAccess;
  readonly #names: StagedNames;
  readonly #removals: Retries;

  constructor(options: StoreStagingOptions) {
    this.#options = options;
    this.#access = accessTo(options.store, options.maxUploadBytes);
    this.#names = options.names;
    this.#removals = new Retries(options.onFault ?? (() => undefined));
  }

  /** Name of the store, for messages to the operator. */
  get title(): string {
    return this.#access.title;
  }

  async prepare(): Promise<void> {
    const { spoolDir } = this.#options;
    await mkdir(spoolDir, { recursive: true, mode: 0o750 });
    await this.#access.prepare();
  }

  async size(id: UploadId): Promise<number> {
    return (await this.#find(id))?.held.size ?? 0;
  }

  async openWriter(id: UploadId, offset: number, options: WriterOptions): Promise<StagingWriter> {
    const { completeBytes } = options;
    let { name, held } = (await this.#find(id)) ?? (await this.#create(id, offset, completeBytes));
    if (held.hasGap || held.size < offset) throw new StagedBytesLost(`The store holds ${held.size} bytes of ${offset}.`);
    options.requireHeld?.();
    const path = this.#access.path(name);
    if (path !== undefined && held.size > offset) {
      await truncate(path, offset);
      held = { ...held, size: offset };
    }
    if (held.isSealed && held.size !== completeBytes) {
      name = await this.#rewrite(id, name, offset, completeBytes);
      held = { size: offset, length: completeBytes, isSealed: false, hasGap: false };
    }
    if (completeBytes !== null && !held.isSealed && held.length !== completeBytes) await this.#access.declareLength(name, completeBytes);
    return this.#writer(name, offset, held, options);
  }

  async sync(id: UploadId): Promise<void> {
    const { name } = (await this.#find(id)) ?? (await this.#createEmpty(id));
    await this.#access.sync(name);
  }

  /** Copies a file. In other stores no sync fails. */
  async renew(id: UploadId, signal?: AbortSignal): Promise<void> {
    const name = await this.#names.current(id);
    const path = name === undefined ? undefined : this.#access.path(name);
    if (path === undefined) return;
    const fresh = `${path}.renewed`;
    try {
      await unlessMissing(unlink(fresh));
      await copyFile(path, fresh, signal);
      signal?.throwIfAborted();
      await rename(fresh, path);
    } finally {
      await unlessMissing(unlink(fresh));
    }
  }

  async truncate(id: UploadId, size: number): Promise<void> {
    const found = await this.#find(id);
    if (found === undefined || found.held.size <= size) return;
    const path = this.#access.path(found.name);
    if (path !== undefined) {
      await truncate(path, size);
      return;
    }
    await this.#access.seal(found.name, found.held.size);
    await this.#rewrite(id, found.name, size, null);
  }

  async open(id: UploadId): Promise<StagedReader> {
    const found = await this.#find(id);
    if (found === undefined) {
      const isGone = (await this.#names.current(id)) !== undefined;
      throw isGone ? new StagedBytesLost('The store has lost the upload.') : new Error(`Nothing is staged of ${id}.`);
    }
    const { name, held } = found;
    if (held.hasGap) throw new StagedBytesLost('Bytes between others are missing in the store.');
    const tail = held.isSealed ? undefined : await this.#access.unsettledTail(name);
    // The store has no part of such a small upload yet. It is not sealed here: after reading the first bytes, the body continues.
    if (tail !== undefined && tail.byteLength > 0 && tail.byteLength === held.size) return new MemoryReader(tail);
    await this.#access.seal(name, held.size);
    return new StoreReader(this.#access, name, held.size);
  }

  async locate(id: UploadId): Promise<StagedFile | undefined> {
    const found = await this.#find(id);
    if (found === undefined) return undefined;
    await this.#access.seal(found.name, found.held.size);
    return this.#access.locate(found.name, found.held.size);
  }

  remove(id: UploadId): Promise<void> {
    return this.#removals.do(async () => {
      for (const name of await this.#names.all(id)) await this.#forget(name);
    });
  }

  list(): AsyncIterable<UploadId> {
    return this.#names.uploads();
  }

  /** Includes the disk with the spool directory, where slices are collected. */
  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#options.spoolDir);
    return Math.min(bavail * bsize, (await this.#access.freeBytes()) ?? Number.POSITIVE_INFINITY);
  }

  async close(): Promise<void> {
    await this.#removals.close();
    await this.thread.close();
  }

  async #find(id: UploadId): Promise<Found | undefined> {
    const name = await this.#names.current(id);
    if (name === undefined) return undefined;
    const held = await this.#access.held(name);
    return held && { name, held };
  }

  async #create(id: UploadId, offset: number, length: number | null): Promise<Found> {
    if (offset > 0) throw new StagedBytesLost(`The store holds nothing of ${offset} bytes.`);
    const name = (await this.#names.current(id)) ?? (await this.#newName(id));
    await this.#access.create(name, length);
    return { name, held: { size: 0, length, isSealed: false, hasGap: false } };
  }

  async #createEmpty(id: UploadId): Promise<Found> {
    const found = await this.#create(id, 0, 0);
    await this.#access.seal(found.name, 0);
    return found;
  }

  /**
   * Makes a name that was never used, since some stores append to existing bytes under a name. It is in the ledger before the store has
   * it.
   */
  async #newName(id: UploadId): Promise<string> {
    const { prefix = '' } = this.#options;
    const isFirst = (await this.#names.all(id)).length === 0;
    const name = `${prefix}${id}${isFirst ? '' : `-${randomBytes(4).toString('hex')}`}`;
    await this.#names.add(id, name, isFirst);
    return name;
  }

  /** Copies the first `size` bytes to a new name, and puts that name into use once they are stored. */
  async #rewrite(id: UploadId, from: string, size: number, length: number | null): Promise<string> {
    const name = await this.#newName(id);
    await this.#access.create(name, length);
    const empty = { size: 0, length, isSealed: false, hasGap: false };
    const writer = await this.#writer(name, 0, empty, { completeBytes: null });
    try {
      for await (const piece of new StoreReader(this.#access, from, size).stream()) {
        for (let at = 0; at < piece.byteLength; ) {
          const bytes = piece.subarray(at, at + writer.capacity);
          await writer.write([bytes]);
          at += bytes.byteLength;
        }
      }
      await writer.end(true);
    } finally {
      await writer.close();
    }
    await this.#names.makeCurrent(id, name);
    await this.#forget(from);
    return name;
  }

  async #writer(name: string, offset: number, held: HeldBytes, options: WriterOptions): Promise<StagingWriter> {
    const access = this.#access;
    const sliceBytes = access.sliceBytes(options.completeBytes);
    if (access.isDirect) {
      const pending = new PendingMemory(offset);
      return new StoreWriter({ access, name, pending, held: held.size, isSealed: held.isSealed, sliceBytes }, offset, options);
    }
    const tail = held.isSealed ? Buffer.alloc(0) : await access.unsettledTail(name);
    const path = join(this.#options.spoolDir, randomBytes(8).toString('hex'));
    const pending = await PendingFile.open(path, held.size - tail.byteLength);
    await pending.append([tail]);
    return new StoreWriter({ access, name, pending, held: held.size, isSealed: held.isSealed, sliceBytes }, offset, options);
  }

  async #forget(name: string): Promise<void> {
    await this.#access.remove(name);
    await this.#names.remove(name);
  }
}
