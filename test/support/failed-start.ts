// Starts a server as an operator does. The server ends by itself, because it cannot serve.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { withoutSettings } from './environment.ts';
import { REPOSITORY } from './repository.ts';
import { testDirectory } from './temp-dir.ts';

/** Resolves to the server's standard error and exit code. */
export async function failedStart(settings: Record<string, string>): Promise<{ code: number | null; said: string }> {
  const env = { ...withoutSettings(), LANDFALL_DATA_DIR: testDirectory(), LANDFALL_PORT: '0', ...settings };
  const child = spawn(process.execPath, [join(REPOSITORY, 'server/main.ts')], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { said: await text(child.stderr), code: await ended };
}
