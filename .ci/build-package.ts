// Compiles the package in whose folder it runs into its `dist`: its own code beside a copy of `shared/`, with maps that lead to
// the sources in `dist/src`.
import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';

const folder = process.cwd();
const dist = join(folder, 'dist');

/** The page is vite's to build. */
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
execFileSync('tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' });
