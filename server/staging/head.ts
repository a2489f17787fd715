import { HEAD_BYTES } from '../../shared/formats.ts';
import type { Upload } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { Staging } from './staging.ts';

/** Gathers the first bytes of an upload as they pass. */
export class Head {
  readonly #id: UploadId;
  readonly #stored: number;
  /** HEAD_BYTES, or all where there are fewer. */
  readonly #size: number;
  #have = 0;
  #parts: Uint8Array[] = [];

  constructor(upload: Upload, stored: number) {
    this.#id = upload.id;
    this.#stored = stored;
    this.#size = upload.length === null ? HEAD_BYTES : Math.min(upload.length, HEAD_BYTES);
  }

  /** Not when it was there before this body came: then it was looked at. */
  get isWanted(): boolean {
    return this.#have < this.#size && this.#stored < this.#size;
  }

  /** And still held. */
  get isWhole(): boolean {
    return this.#parts.length > 0 && this.#have === this.#size;
  }

  /** It was looked at, and there is more to come, maybe for hours. */
  forget(): void {
    this.#parts = [];
  }

  get bytes(): Uint8Array {
    return Buffer.concat(this.#parts);
  }

  /** Resolves with whether it is whole. */
  async add(staging: Staging, batch: readonly Uint8Array[]): Promise<boolean> {
    if (this.#have === 0 && this.#stored > 0) {
      const reader = await staging.open(this.#id);
      this.#parts.push(await reader.read(0, this.#stored).finally(() => reader.close()));
      this.#have = this.#stored;
    }
    for (const chunk of batch) {
      if (this.#have === this.#size) break;
      const part = chunk.subarray(0, this.#size - this.#have);
      // A copy: a slice would hold the whole network buffer.
      this.#parts.push(Uint8Array.from(part));
      this.#have += part.byteLength;
    }
    return this.#have === this.#size;
  }
}
