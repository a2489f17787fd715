// Runs command blocks of the documentation unchanged.
import { spawn } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { withoutSettings } from './environment.ts';
import { postgresPrograms } from './needs.ts';
import { REPOSITORY } from './repository.ts';
import { testDirectory } from './temp-dir.ts';

export interface Ran {
  code: number | null;
  /** Both outputs. */
  said: string;
}

export interface Surroundings {
  /** The documented paths, and their values here. */
  places: Readonly<Record<string, string>>;
  env?: Readonly<Record<string, string>>;
}

/** The block of docs/operations.md whose first line is this comment. It ends at the first command that fails. */
export async function runDocumented(comment: string, { places, env = {} }: Surroundings): Promise<Ran> {
  let script = blockOf('docs/operations.md', comment);
  for (const [documented, here] of Object.entries(places)) script = script.replaceAll(documented, here);
  return runShell(script, env);
}

/** `landfall-server` is the command of this working tree, and PostgreSQL's programs are in the path. */
export async function runShell(script: string, env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  const bin = testDirectory();
  const program = join(bin, 'landfall-server');
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${join(REPOSITORY, 'server/main.ts')}' "$@"\n`);
  chmodSync(program, 0o755);
  const path = [bin, postgresPrograms() ?? [], process.env.PATH ?? ''].flat().join(':');
  const child = spawn('/bin/sh', ['-e'], { cwd: bin, env: { ...withoutSettings(), ...env, PATH: path }, stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.end(script);
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const said = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await ended, said: said.join('') };
}

function blockOf(page: string, comment: string): string {
  const blocks = readFileSync(join(REPOSITORY, page), 'utf8').matchAll(/^```sh\n([\s\S]*?)^```$/gm);
  const found = Array.from(blocks, ([, block = '']) => block).filter((block) => block.startsWith(`# ${comment}`));
  const [only] = found;
  if (only === undefined || found.length > 1) throw new Error(`${page} has ${found.length} blocks "# ${comment}".`);
  return only;
}
