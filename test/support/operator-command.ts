// Runs the server's commands as an operator types them.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { withoutSettings } from './environment.ts';
import { REPOSITORY } from './repository.ts';

export interface Ran {
  code: number | null;
  out: string;
  err: string;
}

/** @param under a program that runs the command, with its arguments */
export async function operatorCommand(args: readonly string[], env: Record<string, string>, under: readonly string[] = []): Promise<Ran> {
  const command = [...under, process.execPath, join(REPOSITORY, 'server/main.ts'), ...args];
  const child = spawn(command[0] ?? '', command.slice(1), { env: { ...withoutSettings(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await ended, out, err };
}
