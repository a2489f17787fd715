// Creates the file of an upload that comes whole only with its one write: a slow client may take long to send the body, and the sweeper
// takes an old file without a row for a leftover.
import type { OpenFile } from '../../disk/open-file.ts';
import type { Proof, StagingWriter, WriterOptions } from '../staging.ts';
import { DiskWriter } from './disk-writer.ts';

export class WholeWriter implements StagingWriter {
  readonly capacity: number = Number.POSITIVE_INFINITY;
  readonly #open: () => Promise<OpenFile>;
  readonly #options: Pick<WriterOptions, 'completeBytes' | 'onStored'>;
  readonly #isSynchronous: boolean;
  #writer: DiskWriter | undefined;

  /** @param isSynchronous true when the file is opened so that each write is durable when it returns */
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
