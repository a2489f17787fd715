// How long a server leaves a load balancer without a response, observed by a separate process (asking-health.ts).
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { REPOSITORY } from '../support/repository.ts';

export class HealthWatch {
  readonly #child: ChildProcess;

  constructor(port: number) {
    this.#child = fork(join(REPOSITORY, 'test/bench/asking-health.ts'), [String(port)]);
  }

  /** The longest wait for a response since the last call, in milliseconds. */
  async longestMs(): Promise<number> {
    this.#child.send('look');
    const [longestMs] = await once(this.#child, 'message');
    return Number(longestMs);
  }

  stop(): void {
    this.#child.kill();
  }
}
