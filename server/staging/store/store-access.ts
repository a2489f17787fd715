// What is asked of a tus DataStore, and where more than the interface has is known of the store, asked past it: how much it really
// holds, a range of it, its removal. A store's own word for these is wrong often enough (docs/stores.md).
import type { Readable } from 'node:stream';
import { type DataStore, Upload } from '@tus/utils';
import type { StagedFile } from '../staging.ts';
import { StoreFault, saysMissing, storeOutcome } from './store-fault.ts';

export type { DataStore } from '@tus/utils';

/** What a store holds under a name. */
export interface HeldBytes {
  size: number;
  /** As it was told to the store; undefined: the store has no use for it. */
  length?: number | null | undefined;
  /** It is one whole that can be read, and not appended to. */
  isSealed: boolean;
  /** Bytes between others are missing: nothing can be appended where it belongs. */
  hasGap: boolean;
}

const MIB = 1024 * 1024;

/** Any store: with what the interface has, and `read`, which every store has beside it. */
export class StoreAccess {
  readonly store: DataStore;
  /** A write is handed to the store as it comes, and not gathered before. */
  readonly isDirect: boolean = false;
  /** What the store has said that it wrote survives a power cut. */
  readonly isDurableByWrite: boolean = true;

  constructor(store: DataStore) {
    this.store = store;
  }

  /** For the person who set it up. */
  get title(): string {
    return this.store.constructor.name;
  }

  async prepare(): Promise<void> {
    if (!('read' in this.store)) throw new StoreFault(`${this.title} has no method to read what it holds.`);
  }

  /** Bytes that one write of the store brings, of an upload of this length. */
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

  /** @returns the offset that the store says it has then */
  write(name: string, offset: number, bytes: Readable): Promise<number> {
    return storeOutcome('write', () => this.store.write(bytes, name, offset));
  }

  /** Undefined: there is nothing of this name. */
  async held(name: string): Promise<HeldBytes | undefined> {
    try {
      const { offset, size = null } = await this.store.getUpload(name);
      return { size: offset, length: size, isSealed: false, hasGap: false };
    } catch (error) {
      if (saysMissing(error)) return undefined;
      return storeOutcome('tell what it holds', () => Promise.reject(error));
    }
  }

  /** Bytes that the next write of the store stores once more, together with what it is given. */
  async unsettledTail(_name: string): Promise<Buffer> {
    return Buffer.alloc(0);
  }

  /** Makes one whole of what is held, where the store can't read it otherwise. */
  async seal(_name: string, _size: number): Promise<void> {}

  async sync(_name: string): Promise<void> {}

  /** Bytes [start, end). */
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

  /** Fine when it is gone already. */
  async remove(name: string): Promise<void> {
    try {
      await this.store.remove(name);
    } catch (error) {
      if (!saysMissing(error)) await storeOutcome('remove', () => Promise.reject(error));
    }
  }

  async place(_name: string, _size: number): Promise<StagedFile> {
    return {};
  }

  /** A file on this machine, where it is one. */
  path(_name: string): string | undefined {
    return undefined;
  }

  /** Undefined: there is no telling. */
  async freeBytes(): Promise<number | undefined> {
    return undefined;
  }
}
