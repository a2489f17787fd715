// Many slow senders, in separate processes (slow-sending.ts).
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { REPOSITORY } from '../support/repository.ts';

/** The number of uploads of one process: more connections could reach its limit of descriptors. */
const UPLOADS_OF_ONE = 2500;

export interface SlowUploads {
  uploads: number;
  bytesPerSecond: number;
  /** Length of each upload, in bytes: more than it sends while it is observed. */
  length: number;
}

export class SlowSenders {
  readonly #children: readonly ChildProcess[];

  private constructor(children: readonly ChildProcess[]) {
    this.#children = children;
  }

  /**
   * Resolves once every upload has been receiving for some seconds.
   * @throws Error when the server answers or closes one of the uploads before
   */
  static async start(port: number, { uploads, bytesPerSecond, length }: SlowUploads): Promise<SlowSenders> {
    const children: ChildProcess[] = [];
    for (let left = uploads; left > 0; left -= UPLOADS_OF_ONE) {
      const parameters = [port, Math.min(left, UPLOADS_OF_ONE), bytesPerSecond, length].map(String);
      const script = join(REPOSITORY, 'test/bench/slow-sending.ts');
      children.push(spawn(process.execPath, [script, ...parameters], { stdio: ['ignore', 'pipe', 'inherit'] }));
    }
    const senders = new SlowSenders(children);
    try {
      await Promise.all(children.map(ready));
    } catch (error) {
      senders.leave();
      throw error;
    }
    return senders;
  }

  /** Breaks all connections at once. */
  leave(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }
}

/** @throws Error when the senders end instead */
async function ready(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit').then(() => Promise.reject(new Error('The slow senders ended.')));
  ended.catch(() => undefined);
  if (child.stdout) await Promise.race([once(child.stdout, 'data'), ended]);
}
