// Another tus server as a process that is killed during uploads.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { freePort } from './free-port.ts';
import { REPOSITORY } from './repository.ts';

export interface OtherServer {
  port: number;
  /** The address at which uploads are created. */
  files: string;
  kill(): Promise<void>;
}

/** @param env `STOCK_…`, see stock-tus-program.ts */
export async function startStockTus(env: Record<string, string>): Promise<OtherServer> {
  const port = await freePort();
  return startOther(port, process.execPath, [join(REPOSITORY, 'test/support/stock-tus-program.ts')], { ...env, STOCK_PORT: String(port) });
}

/** Resolves when it answers. */
export async function startOther(
  port: number,
  program: string,
  flags: readonly string[],
  env: Record<string, string>,
): Promise<OtherServer> {
  const child = spawn(program, flags, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'inherit'] });
  onTestFinished(() => ended(child));
  const files = `http://127.0.0.1:${port}/files`;
  while (!(await fetch(files, { method: 'OPTIONS' }).then(Boolean, () => false))) {
    if (child.exitCode !== null) throw new Error(`${program} ended by itself.`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { port, files, kill: () => ended(child) };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}
