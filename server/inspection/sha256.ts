import { ThreadOnDemand, workerScript } from '../runtime/worker.ts';

/** A chunk of a stream; without a chunk, the end of the stream. */
export interface HashRequest {
  id: number;
  chunk?: Uint8Array;
  isAbandoned?: boolean;
}

/** 64 hex digits at the end of a stream; otherwise undefined. */
export type HashAnswer = string | undefined;

/**
 * SHA-256 off the main thread: 1 GiB takes about a second of processor time, in which no other request would be served. The worker
 * starts at the first digest and does not keep an idle process alive.
 */
export class Sha256 {
  readonly #threads = new ThreadOnDemand<HashRequest, HashAnswer>(workerScript('sha256-worker', import.meta.url), {
    name: 'landfall-sha256',
  });
  #nextId = 1;

  /**
   * Resolves to 64 hex digits. Sends one chunk of a stream at a time, so that one chunk is in memory.
   * @throws the stream's error; an Error when the worker ended, because a new worker does not have the earlier chunks
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

  /** Rejects running digests. */
  close(): Promise<void> {
    return this.#threads.close();
  }
}
