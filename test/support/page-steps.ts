// Runs a page of the documentation as a reader would: an HTML comment before a code block says what the block is for.
//
//   <!-- file: NAME -->    the reader saves it as NAME
//   <!-- run -->           the reader runs it; `<!-- run: exit 1 -->` if its exit code is not 0
//   <!-- start: TEXT -->   the reader leaves it running; it is ready once it has printed TEXT
//   <!-- stop -->          the reader stops the program that was started last
//   <!-- shows -->         the output since the last block that ran; `…` stands for anything within a line
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { REPOSITORY } from './repository.ts';

export interface Reader {
  /** The reader's empty folder. */
  directory: string;
  env: Readonly<Record<string, string | undefined>>;
  /** Replacements in every block: the page's text → its value here. */
  here: Readonly<Record<string, string>>;
  /** Replacements in commands only: a package → the tarball that a registry would give. */
  tarballs: Readonly<Record<string, string>>;
}

interface Step {
  kind: string;
  detail: string;
  code: string;
}

const STEP = /^<!-- (file|run|start|stop|shows)(?:: (.+?))? -->\n(?:```\w+\n([\s\S]*?)^```$)?/gm;

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/** Disposing of it ends the programs that the page started. */
export class ReadPage implements AsyncDisposable {
  readonly #running: ChildProcess[] = [];
  readonly #reader: Reader;
  #printed = '';

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  /** @returns how many blocks it ran or saved */
  async follow(page: string): Promise<number> {
    const text = readFileSync(join(REPOSITORY, page), 'utf8');
    const steps = Array.from(text.matchAll(STEP), ([, kind = '', detail = '', code = '']) => ({ kind, detail, code: this.#here(code) }));
    for (const step of steps) await this.#take(step);
    return steps.length;
  }

  async #take({ kind, detail, code }: Step): Promise<void> {
    if (kind === 'file') writeFileSync(join(this.#reader.directory, detail), code);
    else if (kind === 'run') await this.#run(code, Number(/^exit (\d+)$/.exec(detail)?.[1] ?? 0));
    else if (kind === 'start') await this.#start(code, detail);
    else if (kind === 'stop') await stop(this.#running.pop());
    else await this.#seen(code);
  }

  async #run(script: string, code: number): Promise<void> {
    this.#printed = '';
    const child = this.#spawn(script);
    const [ended] = (await once(child, 'close')) as [number | null];
    expect(ended, `${script}${this.#printed}`).toBe(code);
  }

  async #start(script: string, text: string): Promise<void> {
    this.#printed = '';
    const child = this.#spawn(script);
    this.#running.push(child);
    child.once('exit', () => {
      this.#printed += '\n(it ended)\n';
    });
    await expect.poll(() => this.#printed).toMatch(new RegExp(`${escaped(text)}|\\(it ended\\)`));
    expect(this.#printed).not.toContain('(it ended)');
  }

  async #seen(text: string): Promise<void> {
    for (const line of text.trim().split('\n')) {
      const pattern = new RegExp(`^${line.split('…').map(escaped).join('.*')}$`, 'm');
      // A program in the background may print it a moment later.
      await expect.poll(() => this.#printed).toMatch(pattern);
    }
  }

  /** In a process group of its own, so that its child processes end with it. */
  #spawn(script: string): ChildProcess {
    const { directory: cwd, env } = this.#reader;
    const child = spawn('/bin/sh', ['-e'], { cwd, env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#printed += chunk.toString();
      });
    }
    child.stdin?.end(this.#installed(script));
    return child;
  }

  #here(code: string): string {
    return Object.entries(this.#reader.here).reduce((text, [documented, here]) => text.replaceAll(documented, here), code);
  }

  #installed(script: string): string {
    const packed = (word: string) => this.#reader.tarballs[word] ?? word;
    return script.replaceAll(/^npm install .*$/gm, (line) => line.split(' ').map(packed).join(' '));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#running.splice(0).reverse()) await stop(child);
  }
}

async function stop(child: ChildProcess | undefined): Promise<void> {
  if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  process.kill(-child.pid, 'SIGTERM');
  await closed;
}
