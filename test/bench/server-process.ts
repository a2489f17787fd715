import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cancelCleanup, registerCleanup } from './last-will.ts';
import { forgetPeak, peakBytes, processorSeconds } from './processor-time.ts';

export interface Command {
  program: string;
  parameters: readonly string[];
  environment?: Readonly<Record<string, string>>;
}

const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 20_000;

const running = new Set<number>();
process.on('exit', () => {
  for (const group of running) signalGroup(group, 'SIGKILL');
});

/** A rival's server in its own process group, so that its cost is measured apart from everything else on the machine. */
export class ServerProcess {
  readonly port: number;
  readonly group: number;
  readonly #child: ChildProcess;

  readonly #log: string;

  private constructor(child: ChildProcess, group: number, port: number, log: string) {
    this.#child = child;
    this.#log = log;
    this.group = group;
    this.port = port;
  }

  /**
   * Resolves once the server accepts connections. Its output goes to `log` in the directory.
   * @throws Error with the end of the log when the server does not start
   */
  static async start(command: Command, directory: string, port: number): Promise<ServerProcess> {
    const path = join(directory, 'log');
    const log = openSync(path, 'a');
    const child = spawn(command.program, command.parameters, {
      cwd: directory,
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...inherited(), ...command.environment },
    });
    closeSync(log);
    const failed = once(child, 'exit');
    const { pid } = child;
    if (pid === undefined) {
      const [error] = await once(child, 'error');
      throw error;
    }
    running.add(pid);
    registerCleanup({ group: pid });
    const server = new ServerProcess(child, pid, port, path);
    const deadline = performance.now() + START_LIMIT_MS;
    while (!(await accepts(port))) {
      const ended = await Promise.race([failed.then(() => true), sleep(20, false)]);
      if (ended || performance.now() > deadline) {
        await server.stop();
        throw new Error(`${command.program} did not start: ${server.lastWords()}`);
      }
    }
    return server;
  }

  /** Processor time of the server since its start. */
  processorSeconds(): number {
    return processorSeconds(this.group);
  }

  /** The number of descriptors that the server has open. proc_pid_fd(5) */
  descriptors(): number {
    return readdirSync(`/proc/${this.group}/fd`).length;
  }

  forgetPeak(): void {
    forgetPeak(this.group);
  }

  peakBytes(): number {
    return peakBytes(this.group);
  }

  /** The end of the server's log. */
  lastWords(): string {
    return readFileSync(this.#log, 'utf8').trim().slice(-800);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit').then(() => true);
      signalGroup(this.group, 'SIGTERM');
      if (!(await Promise.race([ended, sleep(STOP_LIMIT_MS, false, { ref: false })]))) {
        signalGroup(this.group, 'SIGKILL');
        await ended;
      }
    }
    running.delete(this.group);
    cancelCleanup({ group: this.group });
  }
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // The process group has already ended.
  }
}

/** The environment without the settings of the person who runs the benchmark, which must not reach the rivals. */
function inherited(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('LANDFALL_') && name !== 'NODE_OPTIONS'));
}
