import { ThreadOnDemand, workerScript } from '../runtime/worker.ts';

/** A chunk of a stream; without one, its end. */
export interface HashRequest {
  id: number;
  chunk?: Uint8Array;
  isAbandoned?: boolean;
}

/** At the end of a stream 64 hex digits; else nothing. */
export type HashAnswer = string | undefined;

/**
 * SHA-256 off the main thread: 1 GiB takes a core about a second, during which nobody else would be served. The worker
 * starts at the first need and does not keep the process alive while idle.
 */
export class Sha256 {
  readonly #threads = new ThreadOnDemand<HashRequest, HashAnswer>(workerScript('sha256-worker', import.meta.url), {
    name: 'landfall-sha256',
  });
  #nextId = 1;

  /**
   * 64 hex digits. One chunk of a stream is on its way at a time, so that memory stays that of one chunk.
   * @throws what the stream throws; an Error when the worker ended: another knows nothing of the chunks that this one was given
   */
  async digest(content: AsyncIterable<Uint8Array>): Promise<string> {
    const thread = this.#threads.current;
    const id = this.#nextId++;
    let isWhole = false;
    try {
      for await (const chunk of content) await thread.ask({ id, chunk });
      isWhole = true;
    } finally {
      if (!isWhole) await thread.ask({ id, isAbandoned: true }).catch(() => undefined);
    }
    const digest = await thread.ask({ id });
    if (digest === undefined) throw new Error('The hashing worker gave no digest.');
    return digest;
  }

  /** Running digests are rejected. */
  close(): Promise<void> {
    return this.#threads.close();
  }
}
