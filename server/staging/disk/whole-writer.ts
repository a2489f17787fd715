// What comes in one write gets its file with that write. Until then there is nothing of it: a sender may take its time, and bytes
// without a row are taken for left over when they have lain for long.
import type { OpenFile } from '../../disk/open-file.ts';
import type { Proof, StagingWriter, WriterOptions } from '../staging.ts';
import { DiskWriter } from './disk-writer.ts';

export class WholeWriter implements StagingWriter {
  readonly room: number = Number.POSITIVE_INFINITY;
  readonly #open: () => Promise<OpenFile>;
  readonly #options: Pick<WriterOptions, 'completeBytes' | 'onStored'>;
  readonly #isSynchronous: boolean;
  #writer: DiskWriter | undefined;

  /** @param isSynchronous each write to the file makes durable what it wrote */
  constructor(open: () => Promise<OpenFile>, options: Pick<WriterOptions, 'completeBytes' | 'onStored'>, isSynchronous: boolean) {
    this.#open = open;
    this.#options = options;
    this.#isSynchronous = isSynchronous;
  }

  async write(buffers: readonly Buffer[]): Promise<void> {
    if (buffers.length === 0) return;
    this.#writer ??= new DiskWriter(await this.#open(), 0, this.#options, this.#isSynchronous);
    await this.#writer.write(buffers);
  }

  async sync(): Promise<void> {
    await this.#writer?.sync();
  }

  async end(mayComplete: boolean): Promise<Proof> {
    return this.#writer?.end(mayComplete) ?? 'unknown';
  }

  async close(): Promise<void> {
    await this.#writer?.close();
  }
}
