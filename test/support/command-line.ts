// Runs the command `landfall` in a process of its own, as a shell does; ended with the test.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { REPOSITORY } from './repository.ts';

export interface Command {
  child: ChildProcess;
  /** The output until now. */
  stdout(): string;
  stderr(): string;
  ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

/** Starts it with a home in `directory`, and only PATH from this environment. @param input for its standard input, which then ends */
export function startCommand(
  { directory, env = {}, input }: { directory: string; env?: Record<string, string>; input?: string },
  ...parameters: string[]
): Command {
  const child = spawn(process.execPath, [join(REPOSITORY, 'client/cli/main.ts'), ...parameters], {
    env: { PATH: process.env.PATH, HOME: directory, XDG_STATE_HOME: join(directory, 'state'), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  child.stdin.end(input);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return { child, stdout: () => stdout, stderr: () => stderr, ended };
}
