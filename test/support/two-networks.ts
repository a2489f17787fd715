// Two network namespaces with a wire between them: a server in one, a sender in the other, separate from this machine's networks. The
// wire has a speed (tc tbf) and can be unplugged, and the sender's address can change; a relay adds the delay.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { type LandfallProcess, startLandfall } from './landfall-process.ts';
import { REPOSITORY } from './repository.ts';
import { testDirectory } from './temp-dir.ts';

const run = promisify(execFile);
/** The server's address, as the sender sees it. From a range that no network uses (RFC 2544, for benchmarks). */
const SERVER = '198.18.0.1';

export interface TwoNetworksOptions {
  bitsPerSecond: string;
  delayMs: number;
}

export class TwoNetworks {
  readonly server: LandfallProcess;
  /** The server's address, as the sender sees it. */
  readonly url: string;
  /** How many bytes had passed towards the server, and when. */
  readonly passed: { at: number; bytes: number }[] = [];
  readonly #sender: string;
  #address = 2;

  private constructor(server: LandfallProcess, url: string, sender: string) {
    this.server = server;
    this.url = url;
    this.#sender = sender;
  }

  /** Until the running test ends. Needs root. */
  static async create({ bitsPerSecond, delayMs }: TwoNetworksOptions): Promise<TwoNetworks> {
    const id = randomBytes(3).toString('hex');
    const [there, here] = [`landfall-${id}-a`, `landfall-${id}-b`];
    for (const name of [there, here]) {
      await ip('netns', 'add', name);
      // Removing the namespaces removes the wire.
      onTestFinished(() => ip('netns', 'delete', name));
      await ip('-n', name, 'link', 'set', 'lo', 'up');
    }
    await ip('-n', there, 'link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', here);
    await ip('-n', there, 'address', 'add', `${SERVER}/24`, 'dev', 'wire');
    await ip('-n', here, 'address', 'add', '198.18.0.2/24', 'dev', 'wire');
    for (const name of [there, here]) await ip('-n', name, 'link', 'set', 'wire', 'up');
    const limit = ['rate', bitsPerSecond, 'burst', '64kb', 'latency', '300ms'];
    await run('ip', ['netns', 'exec', here, 'tc', 'qdisc', 'add', 'dev', 'wire', 'root', 'tbf', ...limit]);

    const under = ['ip', 'netns', 'exec', there];
    const server = await startLandfall({ dataDir: join(testDirectory(), 'data'), under });
    onTestFinished(() => server.kill());
    const { port: upstream } = new URL(server.url);
    const script = join(REPOSITORY, 'test/support/line-process.ts');
    const relay = spawn('ip', ['netns', 'exec', there, process.execPath, script, SERVER, upstream, String(delayMs)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void relay.kill('SIGKILL'));
    const lines = createInterface(relay.stdout);
    const [first] = await once(lines, 'line');
    const { port } = JSON.parse(first) as { port: number };
    const networks = new TwoNetworks(server, `http://${SERVER}:${port}`, here);
    lines.on('line', (text) => {
      const { at, passed } = JSON.parse(text) as { at: number; passed: number };
      networks.passed.push({ at, bytes: passed });
    });
    return networks;
  }

  get passedBytes(): number {
    return this.passed.at(-1)?.bytes ?? 0;
  }

  /** Milliseconds from `since` until this many more bytes had passed; undefined until then. */
  goneOnAfter(time: number, bytes: number): number | undefined {
    const before = this.passed.findLast(({ at }) => at <= time)?.bytes ?? 0;
    const then = this.passed.find((each) => each.at > time && each.bytes >= before + bytes);
    return then && then.at - time;
  }

  /** A process on the sender's side. */
  spawn(command: string, ...parameters: string[]): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', this.#sender, command, ...parameters], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    return child;
  }

  /** A program that runs another program on the sender's side, for callers that need a path. */
  wrapped(program: string): string {
    const path = join(testDirectory(), 'wrapped');
    writeFileSync(path, `#!/bin/sh\nexec ip netns exec ${this.#sender} '${program}' "$@"\n`);
    chmodSync(path, 0o755);
    return path;
  }

  async pull(): Promise<void> {
    await ip('-n', this.#sender, 'link', 'set', 'wire', 'down');
  }

  async plug(): Promise<void> {
    await ip('-n', this.#sender, 'link', 'set', 'wire', 'up');
  }

  /** As when a phone leaves one network and joins another: open connections have no way back. */
  async changeAddress(): Promise<void> {
    const old = this.#address++;
    await ip('-n', this.#sender, 'address', 'delete', `198.18.0.${old}/24`, 'dev', 'wire');
    await ip('-n', this.#sender, 'address', 'add', `198.18.0.${this.#address}/24`, 'dev', 'wire');
  }
}

async function ip(...parameters: string[]): Promise<void> {
  await run('ip', parameters);
}
