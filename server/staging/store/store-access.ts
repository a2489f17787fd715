// Access to a tus DataStore. Subclasses for known stores use the store's own client for what its interface lacks or answers wrongly: the
// held size, a range, the removal (docs/stores.md).
import type { Readable } from 'node:stream';
import { type DataStore, Upload } from '@tus/utils';
import type { StagedFile } from '../staging.ts';
import { StoreFault, saysMissing, storeOutcome } from './store-fault.ts';

export type { DataStore } from '@tus/utils';

/** The bytes that a store holds under a name. */
export interface HeldBytes {
  size: number;
  /** The length that was declared to the store; undefined when the store needs none. */
  length?: number | null | undefined;
  /** True when the store has completed it: it can be read, but not appended to. */
  isSealed: boolean;
  /** True when bytes in the middle are missing, so that nothing can be appended at the right offset. */
  hasGap: boolean;
}

const MIB = 1024 * 1024;

/** Access to any store, by its interface and its `read`, which every store has in addition. */
export class StoreAccess {
  readonly store: DataStore;
  /** True when each write goes to the store at once, instead of being collected into slices. */
  readonly isDirect: boolean = false;
  /** True when bytes are durable once the store's `write` has returned. */
  readonly isDurableByWrite: boolean = true;

  constructor(store: DataStore) {
    this.store = store;
  }

  /** Name of the store, for messages to the operator. */
  get title(): string {
    return this.store.constructor.name;
  }

  async prepare(): Promise<void> {
    if (!('read' in this.store)) throw new StoreFault(`${this.title} has no method to read an upload.`);
  }

  /** Bytes of one write to the store, for an upload of this length. */
  sliceBytes(_length: number | null): number {
    return 8 * MIB;
  }

  async create(name: string, length: number | null): Promise<void> {
    const upload = new Upload({ id: name, offset: 0, metadata: {}, ...(length === null ? {} : { size: length }) });
    await storeOutcome('create', () => this.store.create(upload));
  }

  async declareLength(name: string, length: number): Promise<void> {
    await storeOutcome('declare a length', () => this.store.declareUploadLength(name, length));
  }

  /** @returns the store's offset after the write, as the store reports it */
  write(name: string, offset: number, bytes: Readable): Promise<number> {
    return storeOutcome('write', () => this.store.write(bytes, name, offset));
  }

  /** Resolves to undefined when the store has nothing under this name. */
  async held(name: string): Promise<HeldBytes | undefined> {
    try {
      const { offset, size = null } = await this.store.getUpload(name);
      return { size: offset, length: size, isSealed: false, hasGap: false };
    } catch (error) {
      if (saysMissing(error)) return undefined;
      return storeOutcome('tell what it holds', () => Promise.reject(error));
    }
  }

  /** The last bytes, which the store will store again together with the next write. */
  async unsettledTail(_name: string): Promise<Buffer> {
    return Buffer.alloc(0);
  }

  /** Completes the upload in the store, for stores that can read only completed uploads. */
  async seal(_name: string, _size: number): Promise<void> {}

  async sync(_name: string): Promise<void> {}

  /** Reads bytes [start, end). */
  async *range(name: string, start: number, end: number): AsyncIterable<Buffer> {
    const whole = await storeOutcome('read', async () => (this.store as unknown as { read(id: string): unknown }).read(name));
    let at = 0;
    for await (const chunk of whole as Readable) {
      const bytes = chunk as Buffer;
      const from = Math.max(start - at, 0);
      const to = Math.min(end - at, bytes.byteLength);
      if (from < to) yield bytes.subarray(from, to);
      at += bytes.byteLength;
      if (at >= end) return;
    }
  }

  /** Idempotent. */
  async remove(name: string): Promise<void> {
    try {
      await this.store.remove(name);
    } catch (error) {
      if (!saysMissing(error)) await storeOutcome('remove', () => Promise.reject(error));
    }
  }

  async locate(_name: string, _size: number): Promise<StagedFile> {
    return {};
  }

  /** Path of the upload's file, for stores that keep files on this machine. */
  path(_name: string): string | undefined {
    return undefined;
  }

  /** Resolves to undefined when the free space is not known. */
  async freeBytes(): Promise<number | undefined> {
    return undefined;
  }
}
