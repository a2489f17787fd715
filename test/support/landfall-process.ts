// The server as an operator runs it: a process of its own that can be killed and restarted with the same data.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { withoutSettings } from './environment.ts';
import { REPOSITORY } from './repository.ts';

export interface LandfallProcessOptions {
  dataDir: string;
  /** `LANDFALL_*` settings; none come from the environment of the tests. */
  env?: Record<string, string>;
  /** A program that runs the server, with its arguments: `['strace', '-f']`. */
  under?: readonly string[];
  /** A free port, if it is left out. */
  port?: number;
  /** A program that runs instead of the server's own, relative to the repository. */
  program?: string;
}

export interface LogLine {
  msg?: string;
  url?: string;
  [key: string]: unknown;
}

/** For a start of a second or two, on a busy machine. */
const LIMIT_MS = 120_000;

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) killGroup(child, 'SIGKILL');
});

/** Resolves when the server listens. @throws with its output when it ends before that */
export async function startLandfall(options: LandfallProcessOptions): Promise<LandfallProcess> {
  const server = new LandfallProcess(options);
  await server.start();
  return server;
}

export class LandfallProcess {
  readonly log: LogLine[] = [];
  /** Applies from the next start on, like `env`. */
  dataDir: string;
  env: Record<string, string>;
  readonly #under: readonly string[];
  readonly #program: string;
  #child: ChildProcess | undefined;
  #port: number;
  #noise = '';

  constructor({ dataDir, env = {}, under = [], port = 0, program = 'server/main.ts' }: LandfallProcessOptions) {
    this.#port = port;
    this.#program = program;
    this.dataDir = dataDir;
    this.env = env;
    this.#under = under;
  }

  /** Without a slash at the end. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The address at which uploads are created. */
  get files(): string {
    return `${this.url}/files`;
  }

  /** The process id of the server, or of the program that runs it. */
  get pid(): number {
    const { pid } = this.#child ?? {};
    if (pid === undefined) throw new Error('The server is not running.');
    return pid;
  }

  /** Starts the server on the port of the last start, or on a free one the first time. */
  async start(): Promise<void> {
    const command = [...this.#under, process.execPath, join(REPOSITORY, this.#program)];
    const child = spawn(command[0] ?? '', command.slice(1), {
      env: {
        ...withoutSettings(),
        LANDFALL_DATA_DIR: this.dataDir,
        ...this.env,
        LANDFALL_PORT: String(this.#port),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A process group of its own, so that a signal reaches the server and the program that runs it together.
      detached: true,
    });
    this.#child = child;
    running.add(child);
    child.once('exit', () => running.delete(child));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const lines = createInterface(child.stdout);
    lines.on('line', (text) => {
      const line = parseLine(text);
      this.log.push(line);
      if (line.msg === 'listening' && line.url) {
        this.#port = Number(new URL(line.url).port);
        resolve();
      }
    });
    this.#noise = '';
    child.stderr.on('data', (chunk) => {
      this.#noise += chunk;
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => reject(new Error(`The server ended (${code ?? signal}) before it listened.\n${this.#noise}`)));
    const timer = setTimeout(() => reject(new Error(`The server did not listen in ${LIMIT_MS} ms.\n${this.#noise}`)), LIMIT_MS);
    await promise.finally(() => clearTimeout(timer));
  }

  /** Ends it immediately, as a crash does, and waits until it is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Asks it to end, as an operator does, and waits. Resolves to the exit code; exceeding the grace time is a failure. */
  async stop(): Promise<number | null> {
    return this.#end('SIGTERM');
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#child) killGroup(this.#child, signal);
  }

  /** Resolves when it has ended by itself, or through the program that runs it. */
  async ended(): Promise<number | null> {
    const child = this.#child;
    if (child === undefined) return null;
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    return child.exitCode;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child === undefined) return null;
    if (this.isRunning) {
      const ended = once(child, 'exit');
      killGroup(child, signal);
      const timer = setTimeout(() => killGroup(child, 'SIGKILL'), LIMIT_MS);
      await ended;
      clearTimeout(timer);
    }
    return child.exitCode;
  }
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It is gone already.
  }
}

function parseLine(text: string): LogLine {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return { msg: text };
  }
}
