// Builds and packs the packages as npm would publish them, outside the working tree, because other tests run from the tree meanwhile.
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { REPOSITORY } from '../support/repository.ts';

const run = promisify(execFile);
const TAKEN_TO_BUILD = ['.ci/build-package.ts', 'client', 'server', 'shared', 'package.json', 'tsconfig.json', 'vite.config.ts'];

export type PackageName = 'landfall' | 'landfall-server';

export interface Manifest {
  version: string;
  dependencies: Record<string, string>;
  exports: Record<string, unknown>;
  bin: Record<string, string>;
}

export interface Packed {
  tarball: string;
  /** The unpacked package, installed together with its dependencies only. */
  installed: string;
  /** A project that has only this package installed. */
  project: string;
  manifest: Manifest;
}

/** Copies the files that the build needs into a new directory. @returns that directory */
export function copySources(directory: string, ...others: string[]): string {
  const source = join(directory, 'source');
  const filter = (path: string) => !['dist', 'node_modules'].includes(basename(path));
  for (const name of [...TAKEN_TO_BUILD, ...others]) cpSync(join(REPOSITORY, name), join(source, name), { recursive: true, filter });
  symlinkSync(join(REPOSITORY, 'node_modules'), join(source, 'node_modules'));
  return source;
}

/** Builds both packages. @returns the paths of their tarballs */
export async function packAll(directory: string): Promise<Record<PackageName, string>> {
  const source = copySources(directory);
  await run('npm', ['pack', '--workspaces', '--silent', '--pack-destination', directory], { cwd: source });
  const tarballs = readdirSync(directory).filter((name) => name.endsWith('.tgz'));
  const tarballOf = (name: PackageName) =>
    join(directory, tarballs.find((file) => file.startsWith(name) && /^-\d/.test(file.slice(name.length))) ?? '');
  return { landfall: tarballOf('landfall'), 'landfall-server': tarballOf('landfall-server') };
}

/** Unpacks a package into a new project, without asking a registry for anything. */
export async function unpack(tarball: string, name: PackageName, directory: string): Promise<Packed> {
  const project = join(directory, `project-of-${name}`);
  const installed = join(project, 'node_modules', name);
  mkdirSync(installed, { recursive: true });
  await run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1']);
  const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Manifest;
  // Neither peer nor development dependencies: installing the package does not install them.
  for (const dependency of Object.keys(manifest.dependencies)) link(project, dependency);
  return { tarball, installed, project, manifest };
}

/** Links one of this repository's installed packages into the project. */
export function link(project: string, name: string): void {
  const path = join(project, 'node_modules', name);
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(join(REPOSITORY, 'node_modules', name), path);
}

/** The environment for programs of the packages: a new home, this Node, and no setting of the tests. */
export function environmentOf(directory: string): Record<string, string> {
  const path = [dirname(process.execPath), process.env.PATH ?? ''].join(delimiter);
  return { PATH: path, HOME: directory, XDG_STATE_HOME: join(directory, 'state') };
}

/** Every file of the package, relative to it. */
export function packedFiles({ installed }: Packed): string[] {
  return readdirSync(installed, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(installed.length + 1))
    .sort();
}
