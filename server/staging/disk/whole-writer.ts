// Writes an upload that comes whole. Its file is created with its one write: a slow client may take long to send the body, and the
// sweeper takes an old file without a row for a leftover.
import type { DiskThread } from '../../disk/disk-thread.ts';
import type { Proof, StagingWriter, WriterOptions } from '../staging.ts';

export class WholeWriter implements StagingWriter {
  readonly capacity: number = Number.POSITIVE_INFINITY;
  readonly #thread: DiskThread;
  readonly #path: string;
  readonly #options: Pick<WriterOptions, 'completeBytes' | 'onStored'>;
  #position = 0;

  constructor(thread: DiskThread, path: string, options: Pick<WriterOptions, 'completeBytes' | 'onStored'>) {
    this.#thread = thread;
    this.#path = path;
    this.#options = options;
  }

  async write(buffers: readonly Buffer[]): Promise<void> {
    if (buffers.length === 0) return;
    const at = this.#position;
    for (const { byteLength } of buffers) this.#position += byteLength;
    await this.#thread.do({ store: this.#path, buffers, at });
    this.#options.onStored?.(this.#position);
  }

  /** Each write is durable. */
  async sync(): Promise<void> {}

  async end(mayComplete: boolean): Promise<Proof> {
    return mayComplete && this.#position === this.#options.completeBytes ? 'durable' : 'unknown';
  }

  async close(): Promise<void> {}
}
