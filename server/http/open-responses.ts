// The responses that have not ended yet. A shutdown waits for them, because a download that is cut off starts anew in most programs.
import type { ServerResponse } from 'node:http';

export class OpenResponses {
  readonly #open = new Set<ServerResponse>();

  add(response: ServerResponse): void {
    if (response.closed) return;
    this.#open.add(response);
    response.once('close', () => this.#open.delete(response));
  }

  /** Waits for the responses that are open now, and cuts off those that are still open at the deadline. */
  async end(deadline: Promise<unknown>): Promise<void> {
    const awaited = [...this.#open];
    const ends = awaited.map((response) => new Promise<void>((resolve) => response.once('close', resolve)));
    await Promise.race([Promise.all(ends), deadline]);
    for (const response of awaited) response.destroy();
  }
}
