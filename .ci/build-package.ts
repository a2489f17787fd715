// Compiles the package in the current folder into its `dist`: the package's own code and a copy of `shared/`, with source maps to
// the copied sources in `dist/src`. `--bare-code` leaves the comments out of the compiled code.
import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';

const folder = process.cwd();
const dist = join(folder, 'dist');

/** Not compiled here: vite builds the page. */
const NO_SOURCES = new Set(['dist', 'node_modules', 'page']);

function isSource(path: string): boolean {
  return statSync(path).isDirectory() ? !NO_SOURCES.has(basename(path)) : /\.tsx?$/.test(path);
}

rmSync(dist, { recursive: true, force: true });
for (const room of [folder, join(folder, '../shared')]) {
  for (const name of readdirSync(room).filter((entry) => isSource(join(room, entry)))) {
    cpSync(join(room, name), join(dist, 'src', basename(room), name), { recursive: true, filter: isSource });
  }
}
const compile = (...flags: string[]) => execFileSync('tsc', ['-p', 'tsconfig.build.json', ...flags], { stdio: 'inherit' });
if (process.argv.includes('--bare-code')) {
  // Comments are in the types and in the sources.
  compile('--emitDeclarationOnly');
  compile('--declaration', 'false', '--declarationMap', 'false', '--isolatedDeclarations', 'false', '--removeComments');
} else compile();
