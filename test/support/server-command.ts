// Operators' commands, each in a process of its own.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { withoutSettings } from './environment.ts';
import { REPOSITORY } from './repository.ts';
import { testDirectory } from './temp-dir.ts';

export interface Ran {
  code: number | null;
  out: string;
  err: string;
}

export async function runServerCommand(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  const child = spawn(process.execPath, [join(REPOSITORY, 'server/main.ts'), ...args], {
    cwd: testDirectory(),
    env: { ...withoutSettings(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await ended, out, err };
}
