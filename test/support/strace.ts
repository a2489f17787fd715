// Makes system calls of a running process fail, or kills it at one of them.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { programPath } from './needs.ts';
import { testDirectory } from './temp-dir.ts';

export interface Tampering {
  /** As strace names sets of them: `fsync,fdatasync`. */
  calls: string;
  /** What happens: `signal=KILL`, `error=EIO`, `error=EIO:when=1`. strace counts `when` for each thread by itself. */
  effect: string;
}

/**
 * Attached to a process and all its threads, present and to come. A server that is to be counted call by call runs with
 * `UV_THREADPOOL_SIZE=1`, so that its file operations are all of one thread.
 */
export class Strace {
  readonly #child: ChildProcess;
  readonly #log: string;

  private constructor(child: ChildProcess, log: string) {
    this.#child = child;
    this.#log = log;
  }

  /** Resolves once it is attached. */
  static async attach(pid: number, tamperings: readonly Tampering[]): Promise<Strace> {
    const binary = programPath('strace');
    if (binary === undefined) throw new Error('There is no strace: install the package strace.');
    const log = join(testDirectory(), 'strace.log');
    const calls = tamperings.map((tampering) => tampering.calls).join(',');
    const injections = tamperings.map(({ calls: set, effect }) => `--inject=${set}:${effect}`);
    const child = spawn(binary, ['-f', '-y', '-o', log, `--trace=${calls}`, ...injections, '-p', String(pid)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    child.stderr?.on('data', (chunk) => {
      said += chunk;
      if (said.includes('attached')) resolve();
    });
    child.once('exit', () => reject(new Error(`strace ended before it was attached: ${said}`)));
    await promise;
    return new Strace(child, log);
  }

  /** Lets the process go on alone. */
  async detach(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
  }

  /** The calls that were traced, one a line. */
  async calls(): Promise<string[]> {
    return (await readFile(this.#log, 'utf8')).split('\n').filter((line) => line !== '');
  }
}
