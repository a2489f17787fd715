import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from './repository.ts';

/** Kept between runs. */
const MADE = join(REPOSITORY, 'node_modules', '.cache');

/** The folder for `PYTHONPATH` with one package of an exact version, installed when first needed. @throws with pip's output */
export function pythonPackages(requirement: string): string {
  const folder = join(MADE, `landfall-python-${requirement.replace(/[^\w.]+/g, '-')}`);
  if (existsSync(folder)) return folder;
  // Moved into place only when it is complete.
  const making = mkdtempSync(`${folder}-`);
  const { status, stderr } = spawnSync('python3', ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', making, requirement], {
    encoding: 'utf8',
  });
  if (status !== 0) {
    rmSync(making, { recursive: true, force: true });
    throw new Error(`pip could not install ${requirement}.\n${stderr}`);
  }
  renameSync(making, folder);
  return folder;
}
