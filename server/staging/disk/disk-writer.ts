// Writes lent buffers to a file without copying them: each batch in one writev.
import type { Proof, StagingWriter, WriterOptions } from '../staging.ts';
import type { WritableFile } from './appended-file.ts';

/** Most buffers of one writev (IOV_MAX). */
const MAX_BUFFERS = 1024;

export class DiskWriter implements StagingWriter {
  readonly capacity: number = Number.POSITIVE_INFINITY;
  readonly #file: WritableFile;
  readonly #options: Pick<WriterOptions, 'completeBytes' | 'onStored'>;
  /** True when the file is opened with O_SYNC, so that each write is durable. */
  readonly #isSynchronous: boolean;
  #position: number;
  #isSynced = false;

  /** @param file the writer closes it */
  constructor(file: WritableFile, offset: number, options: Pick<WriterOptions, 'completeBytes' | 'onStored'>, isSynchronous = false) {
    this.#file = file;
    this.#position = offset;
    this.#options = options;
    this.#isSynchronous = isSynchronous;
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

  sync(): Promise<void> {
    return this.#file.datasync();
  }

  async end(mayComplete: boolean): Promise<Proof> {
    if (!mayComplete || this.#position !== this.#options.completeBytes) return 'unknown';
    this.#isSynced =
      this.#isSynchronous ||
      (await this.#file.sync().then(
        () => true,
        () => false,
      ));
    return this.#isSynced ? 'durable' : 'sync-failed';
  }

  async close(): Promise<void> {
    if (this.#isSynced) this.#file.closeSync();
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
