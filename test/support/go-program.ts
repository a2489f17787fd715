// Programs of other projects, built with Go from their modules once for all runs on a machine. For long mode and the benchmark: it takes minutes.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { programPath } from './needs.ts';

const FOLDER = join(tmpdir(), 'landfall-go-programs');

/** The rival of the benchmark, and the server that `adopt` takes uploads over from. */
export const TUSD_MODULE = 'github.com/tus/tusd/v2/cmd/tusd@v2.9.1';

/** Whether it can be built, or exists. */
export const hasGo: boolean = programPath('go') !== undefined;

/** The path of the program that `module@version` builds. @throws with Go's output */
export function goProgram(module: string): string {
  const [path = '', version = ''] = module.split('@');
  const folder = join(FOLDER, `${basename(path)}-${version}`);
  const program = join(folder, basename(path));
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true });
    execFileSync('go', ['install', module], { env: { ...process.env, GOBIN: folder, GOFLAGS: '-mod=mod' }, stdio: 'inherit' });
  }
  return program;
}
