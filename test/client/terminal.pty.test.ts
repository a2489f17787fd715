// The `landfall` command on a terminal, as a person sees it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { programPath } from '../support/needs.ts';
import { REPOSITORY } from '../support/repository.ts';
import { type Sending, startSending } from './sending.ts';

const MIB = 1024 * 1024;
const PATIENCE = { timeout: 60_000 };
const CTRL_C = '\x03';

interface Terminal {
  child: ChildProcess;
  /** Everything the command wrote to the terminal, with control characters. */
  written(): string;
  /** The lines that the terminal shows now. */
  screen(): string[];
  type(keys: string): void;
  ended: Promise<number | null>;
}

/** Runs the command in a pseudo-terminal (script(1)); standard output goes to a file, as with `landfall … > urls.txt`. */
function open({ directory }: Sending, parameters: readonly string[], env: Record<string, string> = {}, columns = 100): Terminal {
  const quoted = [process.execPath, join(REPOSITORY, 'client/cli/main.ts'), ...parameters].map((word) => `'${word}'`).join(' ');
  const command = `stty cols ${columns} rows 24; exec ${quoted} > '${join(directory, 'stdout')}'`;
  const child = spawn(programPath('script') ?? 'script', ['-qfec', command, '/dev/null'], {
    env: { PATH: process.env.PATH, HOME: directory, XDG_STATE_HOME: join(directory, 'state'), TERM: 'xterm', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  return {
    child,
    written: () => text,
    screen: () => screenOf(text),
    type: (keys) => void child.stdin.write(keys),
    ended: once(child, 'close').then(([code]) => code as number | null),
  };
}

/** Emulates the parts of a terminal that progress needs: lines, cursor up, clear to the end. */
function screenOf(text: string): string[] {
  const lines = [''];
  let row = 0;
  let column = 0;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals are controlled by these characters
  for (const [token, count, command] of text.matchAll(/\x1b\[(\d*)([A-Za-z])|\r|\n|[^\x1b\r\n]+/g)) {
    if (command === 'A') row = Math.max(row - Number(count || 1), 0);
    else if (command === 'J') {
      lines.length = row + 1;
      lines[row] = (lines[row] ?? '').slice(0, column);
    } else if (token === '\r') column = 0;
    else if (token === '\n') lines[++row] ??= '';
    else if (command === undefined) {
      lines[row] = (lines[row] ?? '').slice(0, column).padEnd(column) + token + (lines[row] ?? '').slice(column + token.length);
      column += token.length;
    }
  }
  return lines;
}

const stdoutOf = ({ directory }: Sending) => readFile(join(directory, 'stdout'), 'utf8');

describe('on a terminal the landfall command', () => {
  test('redraws a line for each file and one for all in place, and clears them at the end', async () => {
    const sending = await startSending();
    const one = await sending.video(6 * MIB, 'one.mp4');
    const two = await sending.video(4 * MIB, 'two.mp4');
    sending.proxy.bytesPerSecond = 2 * MIB;
    const terminal = open(sending, [one.path, two.path, '--to', sending.proxy.url]);
    await expect
      .poll(() => terminal.screen().join('\n'), PATIENCE)
      .toMatch(/^one\.mp4 +█+░* +\d+ % {2}.*\/s.*\ntwo\.mp4 +█+░* +\d+ % {2}.*\n0 of 2 files, .* of 10 MiB, \d+ %, .*\/s/);
    sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    expect(await terminal.ended).toBe(0);
    expect(terminal.screen().join('\n')).toMatch(/^2 of 2 files accepted, 10 MiB in .*\n$/);
    // Only the total is coloured.
    expect(terminal.written()).toContain('\x1b[2m');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals are controlled by these characters
    expect(terminal.written().replaceAll(/\x1b\[(?:\d*A|J|2m|22m)/g, '')).not.toContain('\x1b');
    expect((await stdoutOf(sending)).trimEnd().split('\n')).toHaveLength(2);
  });

  test.each([36, 60])('writes no line wider than a terminal of %d columns', async (columns) => {
    const sending = await startSending();
    const film = await sending.video(3 * MIB, 'a-film-with-a-name-that-goes-on-and-on-to-the-very-end-of-it.mp4');
    sending.proxy.bytesPerSecond = 2 * MIB;
    const terminal = open(sending, [film.path, '--to', sending.proxy.url], {}, columns);
    await expect.poll(() => terminal.screen()[0] ?? '', PATIENCE).toMatch(/\d+ %/);
    const drawn = terminal.screen();
    sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    expect(await terminal.ended).toBe(0);
    for (const line of drawn) expect(line.length).toBeLessThan(Math.max(columns, 41));
  });

  test('prints no colours with NO_COLOR, no progress with --no-progress, and nothing with --quiet', async () => {
    const sending = await startSending();
    const { path } = await sending.video(MIB);
    sending.proxy.bytesPerSecond = 2 * MIB;
    const plain = open(sending, [path, '--to', sending.proxy.url], { NO_COLOR: '1' });
    expect(await plain.ended).toBe(0);
    expect(plain.written()).toContain('█');
    expect(plain.written()).not.toContain('\x1b[2m');
    const still = open(sending, [path, '--to', sending.proxy.url, '--no-progress']);
    expect(await still.ended).toBe(0);
    expect(still.written()).toMatch(/^1 of 1 file accepted, 1 MiB in .*\r\n$/);
    const quiet = open(sending, [path, '--to', sending.proxy.url, '--quiet']);
    expect(await quiet.ended).toBe(0);
    expect(quiet.written()).toBe('');
  });

  test('writes no control characters when TERM is dumb, as in an editor', async () => {
    const sending = await startSending();
    const { path } = await sending.video(MIB);
    const terminal = open(sending, [path, '--to', sending.proxy.url], { TERM: 'dumb' });
    expect(await terminal.ended).toBe(0);
    expect(terminal.written()).not.toContain('\x1b');
  });

  test('prints why an upload waits, and keeps that line', async () => {
    const sending = await startSending();
    const { path } = await sending.video(8 * MIB);
    sending.proxy.bytesPerSecond = 4 * MIB;
    const terminal = open(sending, [path, '--to', sending.proxy.url]);
    await expect.poll(() => sending.proxy.bytes, PATIENCE).toBeGreaterThan(2 * MIB);
    await sending.proxy.goDown();
    await expect.poll(() => terminal.screen().join('\n'), PATIENCE).toMatch(/film\.mp4: the (?:server cannot be reached|connection broke)/);
    sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    await sending.proxy.listen();
    expect(await terminal.ended).toBe(0);
    expect(terminal.screen().join('\n')).toMatch(/film\.mp4: the [\s\S]*\n1 of 1 file accepted/);
  });

  test('prints a refused file with its reason, beside the progress of the others', async () => {
    const sending = await startSending();
    const film = await sending.video(3 * MIB);
    const bad = join(sending.directory, 'photo.jpg');
    await writeFile(bad, 'MZ this is a program');
    sending.proxy.bytesPerSecond = 2 * MIB;
    const terminal = open(sending, [bad, film.path, '--to', sending.proxy.url]);
    await expect.poll(() => terminal.screen()[0] ?? '', PATIENCE).toMatch(/photo\.jpg: The content of the file does not match its name\./);
    sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    expect(await terminal.ended).toBe(1);
    expect(terminal.screen().join('\n')).toMatch(/photo\.jpg: [\s\S]*1 of 2 files accepted, 3 MiB in /);
  });
});

describe('Ctrl-C', () => {
  test('stops the upload, keeps its record and prints how to resume; the same command resumes', async () => {
    const sending = await startSending();
    const { path, sha256 } = await sending.video(12 * MIB);
    sending.proxy.bytesPerSecond = 4 * MIB;
    const terminal = open(sending, [path, '--to', sending.proxy.url]);
    await expect.poll(() => sending.proxy.bytes, PATIENCE).toBeGreaterThan(3 * MIB);
    terminal.type(CTRL_C);
    expect(await terminal.ended).toBe(130);
    expect(
      terminal
        .screen()
        .filter((line) => line !== '')
        .at(-1),
    ).toBe('Stopped. Run the same command again to resume.');
    expect(terminal.screen().join('\n')).not.toContain('█');
    expect(await stdoutOf(sending)).toBe('');
    expect(await readdir(join(sending.directory, 'state/landfall/uploads'))).toHaveLength(1);

    sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    const again = open(sending, [path, '--to', sending.proxy.url]);
    expect(await again.ended).toBe(0);
    expect(again.screen().join('\n')).toMatch(/^.*film\.mp4: resuming at \d+ %\n1 of 1 file accepted/);
    expect(await sending.stored()).toEqual([sha256]);
  });

  test('pressed twice ends the command at once', async () => {
    const sending = await startSending();
    const { path } = await sending.video(12 * MIB);
    sending.proxy.bytesPerSecond = 4 * MIB;
    const terminal = open(sending, [path, '--to', sending.proxy.url]);
    await expect.poll(() => sending.proxy.bytes, PATIENCE).toBeGreaterThan(MIB);
    terminal.type(CTRL_C);
    terminal.type(CTRL_C);
    expect(await terminal.ended).toBe(130);
    expect(terminal.written()).not.toContain('    at ');
  });
});
