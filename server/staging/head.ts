import { HEAD_BYTES } from '../../shared/formats.ts';
import type { Upload } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { Staging } from './staging.ts';

/** Collects the first bytes of an upload while they are being stored. */
export class Head {
  readonly #id: UploadId;
  /** HEAD_BYTES, or the upload's length if that is smaller. */
  readonly #size: number;
  /** The number of bytes that are stored, or were given to `add`. */
  #position: number;
  /** The number of bytes in `#parts`, which are the first ones. */
  #have = 0;
  #parts: Uint8Array[] = [];

  constructor(upload: Upload, stored: number) {
    this.#id = upload.id;
    this.#position = stored;
    this.#size = upload.length === null ? HEAD_BYTES : Math.min(upload.length, HEAD_BYTES);
  }

  /** True while bytes are missing. False when the head was stored before this body, and so checked before. */
  get isWanted(): boolean {
    return this.#position < this.#size;
  }

  /** True when the head is complete and still in memory. */
  get isWhole(): boolean {
    return this.#parts.length > 0 && this.#have === this.#size;
  }

  /** Frees the memory after the check: the body may last for hours. */
  forget(): void {
    this.#parts = [];
  }

  get bytes(): Uint8Array {
    const [first] = this.#parts;
    if (first !== undefined && this.#parts.length === 1) return first;
    // With memory of its own: each small buffer of Node's pool would keep 64 KiB alive.
    const whole = new Uint8Array(this.#have);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.byteLength;
    }
    return whole;
  }

  /**
   * Resolves to true when the head is complete. A head that comes in pieces is read back from staging, because the pieces of thousands
   * of slow uploads would outlive many collections of the young generation.
   */
  async add(staging: Staging, batch: readonly Uint8Array[]): Promise<boolean> {
    const start = this.#position;
    for (const { byteLength } of batch) this.#position += byteLength;
    if (this.isWanted && staging.isReadableInProgress) return false;
    if (this.#have < start) {
      const reader = await staging.open(this.#id);
      this.#parts.push(await reader.read(this.#have, start).finally(() => reader.close()));
      this.#have = start;
    }
    for (const chunk of batch) {
      if (this.#have === this.#size) break;
      const part = chunk.subarray(0, this.#size - this.#have);
      // A copy, because a slice would keep the whole network buffer in memory.
      this.#parts.push(new Uint8Array(part));
      this.#have += part.byteLength;
    }
    return this.#have === this.#size;
  }
}
