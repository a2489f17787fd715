// Writes lent buffers to a file without copying them: each batch in one writev.
import type { Proof, StagingWriter, WriterOptions } from '../staging.ts';
import type { WritableFile } from './appended-file.ts';

/** Most buffers of one writev (IOV_MAX). */
const MAX_BUFFERS = 1024;

export class DiskWriter implements StagingWriter {
  readonly capacity: number = Number.POSITIVE_INFINITY;
  readonly #file: WritableFile;
  readonly #options: Pick<WriterOptions, 'completeBytes' | 'onStored'>;
  #position: number;
  /** Bytes before this position are durable. */
  #durable: number;

  /** @param file the writer closes it */
  constructor(file: WritableFile, offset: number, options: Pick<WriterOptions, 'completeBytes' | 'onStored'>) {
    this.#file = file;
    this.#position = offset;
    this.#durable = offset;
    this.#options = options;
  }

  async write(buffers: readonly Buffer[]): Promise<void> {
    for (let rest = buffers; rest.length > 0; ) {
      const bytes = await this.#file.writev(rest.length > MAX_BUFFERS ? rest.slice(0, MAX_BUFFERS) : rest, this.#position);
      this.#position += bytes;
      // On a full disk a write is first short, and the next call throws ENOSPC.
      rest = after(rest, bytes);
    }
    this.#options.onStored?.(this.#position);
  }

  async sync(): Promise<void> {
    const position = this.#position;
    await this.#file.datasync();
    this.#durable = position;
  }

  async end(mayComplete: boolean): Promise<Proof> {
    if (!mayComplete || this.#position !== this.#options.completeBytes) return 'unknown';
    try {
      await this.#file.sync();
    } catch {
      return 'sync-failed';
    }
    this.#durable = this.#position;
    return 'durable';
  }

  async close(): Promise<void> {
    if (this.#durable === this.#position) this.#file.closeSync();
    else await this.#file.close();
  }
}

/** The buffers without their first `bytes`. */
function after(buffers: readonly Buffer[], bytes: number): Buffer[] {
  const left: Buffer[] = [];
  let skip = bytes;
  for (const buffer of buffers) {
    if (skip >= buffer.byteLength) skip -= buffer.byteLength;
    else {
      left.push(skip === 0 ? buffer : buffer.subarray(skip));
      skip = 0;
    }
  }
  return left;
}
