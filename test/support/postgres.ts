// The tests' own PostgreSQL: a cluster in a temporary directory, on a free port of the loopback address.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { chown, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll } from 'vitest';
import { freePort } from './free-port.ts';
import { postgresPrograms } from './needs.ts';

export interface PostgresOptions {
  /** Off by default: a crash of the machine may lose the data, which is removed after the test in any case. */
  fsync?: boolean;
  /** Environment of the server's own process. */
  env?: Readonly<Record<string, string>>;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** One cluster for all tests of the calling file or `describe` block. */
export function postgresForTests(options: PostgresOptions = {}): Postgres {
  const postgres = new Postgres(options);
  beforeAll(() => postgres.create());
  afterAll(() => postgres.destroy());
  return postgres;
}

export class Postgres {
  readonly #options: PostgresOptions;
  #directory = '';
  #port = 0;
  #databases = 0;
  #child: ChildProcess | undefined;

  constructor(options: PostgresOptions = {}) {
    this.#options = options;
  }

  async create(): Promise<void> {
    this.#directory = mkdtempSync(join(tmpdir(), 'landfall-test-postgres-'));
    const { uid, gid } = unprivileged();
    if (process.getuid?.() === 0) await chown(this.#directory, uid, gid);
    this.#port = await freePort();
    const { command, parameters } = this.#as('initdb', '-D', this.#data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync');
    const made = spawnSync(command, parameters, { encoding: 'utf8', cwd: this.#directory });
    if (made.status !== 0) throw new Error(`initdb failed.\n${made.stderr}`);
    await this.start();
  }

  async start(): Promise<void> {
    const { fsync = false } = this.#options;
    const settings = {
      listen_addresses: '127.0.0.1',
      port: this.#port,
      unix_socket_directories: this.#directory,
      max_connections: 100,
      fsync: fsync ? 'on' : 'off',
      full_page_writes: fsync ? 'on' : 'off',
      autovacuum: 'off',
    };
    const given = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const { command, parameters } = this.#as('postgres', '-D', this.#data, ...given);
    const child = spawn(command, parameters, { stdio: ['ignore', 'ignore', 'pipe'], cwd: this.#directory });
    this.#child = child;
    running.add(child);
    child.once('exit', () => running.delete(child));
    let noise = '';
    child.stderr?.on('data', (chunk) => {
      noise = `${noise}${chunk}`.slice(-4000);
    });
    for (let attempt = 0; ; attempt++) {
      try {
        await this.query('select 1');
        return;
      } catch (error) {
        if (child.exitCode !== null || attempt > 2400) throw new Error(`PostgreSQL does not answer.\n${noise}`, { cause: error });
        await sleep(50);
      }
    }
  }

  /** Ends it as a crash does, connections included; the next start recovers. */
  async crash(): Promise<void> {
    await this.#end('SIGQUIT');
  }

  /** Ends it as an operator does: running transactions are rolled back. */
  async restart(): Promise<void> {
    await this.#end('SIGINT');
    await this.start();
  }

  /** A new, empty database. Resolves to its address. */
  async database(): Promise<string> {
    this.#databases += 1;
    const name = `test_${this.#databases}`;
    await this.query(`create database ${name}`);
    return this.address(name);
  }

  address(database: string): string {
    return `postgres://postgres@127.0.0.1:${this.#port}/${database}`;
  }

  /** One statement on a connection of its own. */
  async query(text: string, database: string = this.address('postgres')): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: database });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  }

  async destroy(): Promise<void> {
    await this.#end('SIGQUIT');
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 3 });
  }

  get #data(): string {
    return join(this.#directory, 'data');
  }

  /** PostgreSQL refuses to run as root. */
  #as(program: string, ...parameters: string[]): { command: string; parameters: string[] } {
    const folder = postgresPrograms();
    if (folder === undefined) throw new Error('There is no PostgreSQL: install the package postgresql.');
    // Set only after the change of user: a preloaded library could otherwise create files that the new user cannot use.
    const pairs = program === 'postgres' ? Object.entries(this.#options.env ?? {}).map(([name, value]) => `${name}=${value}`) : [];
    const command = ['env', ...pairs, join(folder, program), ...parameters];
    if (process.getuid?.() !== 0) return { command: 'env', parameters: command.slice(1) };
    const { uid, gid } = unprivileged();
    return { command: 'setpriv', parameters: [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', ...command] };
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }
}

/** The user that the package created for it. */
function unprivileged(): { uid: number; gid: number } {
  const id = (option: string) => Number(spawnSync('id', [option, 'postgres'], { encoding: 'utf8' }).stdout);
  return { uid: id('-u'), gid: id('-g') };
}
