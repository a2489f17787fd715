// The package as npm would publish it, put together outside of the working tree: other tests run from the tree meanwhile.
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { REPOSITORY } from '../support/repository.ts';

const run = promisify(execFile);

export interface Packed {
  tarball: string;
  /** The unpacked package, beside nothing but what it depends on. */
  installed: string;
  /** A project that has it installed. */
  project: string;
}

export async function pack(directory: string): Promise<Packed> {
  const source = join(directory, 'source');
  mkdirSync(source);
  for (const name of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'docs']) {
    if (existsSync(join(REPOSITORY, name))) cpSync(join(REPOSITORY, name), join(source, name), { recursive: true });
  }
  await run(join(REPOSITORY, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json', '--outDir', join(source, 'dist')], {
    cwd: REPOSITORY,
  });
  cpSync(join(REPOSITORY, 'dist/page'), join(source, 'dist/page'), { recursive: true });
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', directory], { cwd: source });
  const tarball = join(directory, stdout.trim().split('\n').at(-1) ?? '');
  const project = join(directory, 'project');
  const installed = join(project, 'node_modules/landfall');
  mkdirSync(installed, { recursive: true });
  await run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1']);
  const { dependencies } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as { dependencies: Record<string, string> };
  // Not the development dependencies: who installs the package does not have them.
  for (const name of Object.keys(dependencies)) {
    const link = join(project, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(REPOSITORY, 'node_modules', name), link);
  }
  return { tarball, installed, project };
}

/** Every file of the package, relative to it. */
export function packedFiles({ installed }: Packed): string[] {
  return readdirSync(installed, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(installed.length + 1))
    .sort();
}
