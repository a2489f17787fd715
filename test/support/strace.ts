// Makes system calls of a running process fail, or kills the process at one of them.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { programPath } from './needs.ts';
import { testDirectory } from './temp-dir.ts';

export interface Tampering {
  /** A set of calls in strace's notation: `fsync,fdatasync`. */
  calls: string;
  /** The effect: `signal=KILL`, `error=EIO`, `error=EIO:when=1`. strace counts `when` separately for each thread. */
  effect: string;
}

/** The main thread; or a thread by its name: the only one of the thread pool, with `UV_THREADPOOL_SIZE=1`, or the disk thread. */
export type ThreadName = 'main' | 'libuv-worker' | 'landfall-disk';

/**
 * strace, attached to a process and all its present and future threads, or to one thread. To count a server's calls one by one, run it with
 * `UV_THREADPOOL_SIZE=1`, so that each of its file operations runs in one of two threads.
 */
export class Strace {
  readonly #child: ChildProcess;
  readonly #log: string;

  private constructor(child: ChildProcess, log: string) {
    this.#child = child;
    this.#log = log;
  }

  /**
   * Attaches strace. Resolves once it is attached.
   *
   * @param paths only calls on these files count, whether they exist already or not; none: calls on any file
   */
  static async attach(pid: number, tamperings: readonly Tampering[], thread?: ThreadName, paths: readonly string[] = []): Promise<Strace> {
    const binary = programPath('strace');
    if (binary === undefined) throw new Error('There is no strace: install the package strace.');
    const log = join(testDirectory(), 'strace.log');
    const calls = tamperings.map((tampering) => tampering.calls).join(',');
    const injections = tamperings.map(({ calls: set, effect }) => `--inject=${set}:${effect}`);
    const whom = thread === undefined ? ['-f', '-p', String(pid)] : ['-p', await threadOf(pid, thread)];
    const where = paths.flatMap((path) => ['-P', path]);
    const child = spawn(binary, ['-y', '-o', log, `--trace=${calls}`, ...where, ...injections, ...whom], {
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

  /** Detaches from the process. */
  async detach(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
  }

  /** The traced calls, one a line. */
  async calls(): Promise<string[]> {
    return (await readFile(this.#log, 'utf8')).split('\n').filter((line) => line !== '');
  }
}

/** @throws Error when the thread does not appear */
async function threadOf(pid: number, name: ThreadName): Promise<string> {
  if (name === 'main') return String(pid);
  const tasks = `/proc/${pid}/task`;
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await sleep(20)) {
    for (const id of await readdir(tasks)) {
      if ((await readFile(`${tasks}/${id}/comm`, 'utf8').catch(() => '')).trim() === name) return id;
    }
  }
  throw new Error(`The process has no thread ${name}.`);
}
