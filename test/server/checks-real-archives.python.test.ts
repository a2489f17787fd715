// Archives that real programs write, in every form that they offer, are accepted: GNU tar, git, and the two modules of Python.
import { spawnSync } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Detector } from '../../server/inspection/detector.ts';
import { createInspector } from '../support/inspect-both.ts';
import { SYSTEM_PYTHON } from '../support/needs.ts';
import { temporaryDirectory } from '../support/temp-dir.ts';

const detector = new Detector({ timeLimitMs: 30_000 });
const { inspect } = createInspector(detector);
afterAll(() => detector.close());

const DEEP = `deep/${'a folder with a long name/'.repeat(8)}`;
const { path: directory } = temporaryDirectory();
const source = join(directory, 'source');
const made = join(directory, 'made');

beforeAll(async () => {
  await mkdir(join(source, DEEP), { recursive: true });
  await mkdir(made);
  await writeFile(join(source, 'a.txt'), 'hello');
  await writeFile(join(source, DEEP, 'ü-名前.txt'), 'hello');
  await symlink('../../../../a', join(source, DEEP, 'link'));
  await symlink('x'.repeat(180), join(source, 'long-link'));
  run('ln', 'a.txt', 'hard.txt');
  run('ln', 'long-link', 'hard-link');
  const pieces = Array.from({ length: 40 }, (_, index) => `f.seek(${index} * 100); f.write(b"data")`);
  python(`f = open("sparse", "wb")\n${pieces.join('\n')}\nf.truncate(5000000)`);
});

function run(program: string, ...options: string[]): void {
  const { status, stderr } = spawnSync(program, options, { cwd: source, encoding: 'utf8' });
  expect(status, `${program} ${options.join(' ')}: ${stderr}`).toBe(0);
}

function python(program: string): void {
  run(SYSTEM_PYTHON, '-c', program);
}

async function expectAccepted(archive: string): Promise<void> {
  expect((await inspect(basename(archive), await readFile(archive))).rejection, archive).toBeUndefined();
}

test.each([
  // In its first two forms, a name may have no more than 100 or 255 bytes.
  ['v7', '--format=v7', '--exclude=deep', '--exclude=*-link'],
  ['ustar', '--format=ustar', '--exclude=*-link'],
  ['gnu', '--format=gnu'],
  ['oldgnu', '--format=oldgnu'],
  ['posix', '--format=posix'],
  ['large-records', '-b', '128'],
  ['sparse-gnu', '--format=gnu', '--sparse'],
  ...['0.0', '0.1', '1.0'].map((version) => [`sparse-${version}`, '--format=posix', '--sparse', `--sparse-version=${version}`]),
  ['incremental-gnu', '--format=gnu', '--listed-incremental=../snapshot-gnu'],
  ['incremental-posix', '--format=posix', '--listed-incremental=../snapshot-posix'],
  ['global', '--format=posix', '--pax-option=globexthdr.name=a,mtime=1'],
  ['labelled', '--label=a label'],
])('an archive by GNU tar: %s', async (name, ...options) => {
  const archive = join(made, `${name}.tar`);
  run('tar', ...options, '-cf', archive, '.');
  await expectAccepted(archive);
  run('tar', '-rf', archive, 'a.txt');
  await expectAccepted(archive);
});

test.each(['tar', 'zip'])('an archive by git: %s', async (format) => {
  run('git', 'init', '-q');
  run('git', 'add', 'a.txt', 'deep', 'long-link');
  run('git', '-c', 'user.name=a', '-c', 'user.email=a@example.com', 'commit', '-q', '--allow-empty', '-m', 'a');
  const archive = join(made, `git.${format}`);
  run('git', 'archive', `--format=${format}`, '-o', archive, 'HEAD');
  await expectAccepted(archive);
});

test.each(['USTAR', 'GNU', 'PAX'])('an archive by Python: tar in the form %s', async (format) => {
  const archive = join(made, `python-${format}.tar`);
  const leaveOut = format === 'USTAR' ? 'lambda m: None if m.name.endswith("-link") else m' : 'None';
  python(`import tarfile; t = tarfile.open("${archive}", "w", format=tarfile.${format}_FORMAT); t.add(".", filter=${leaveOut}); t.close()`);
  await expectAccepted(archive);
});

test.each([
  ['plain', 'z.write("a.txt")'],
  ['empty', ''],
  ['with a comment', 'z.write("a.txt"); z.comment = b"PK\\5\\6" * 10'],
  ['with 64-bit numbers', 'f = z.open("a.txt", "w", force_zip64=True); f.write(b"a"); f.close()'],
  ['with more entries than 16 bits count', 'for i in range(70000): z.writestr(str(i), b"")'],
  ['with another inside', 'b = io.BytesIO(); y = zipfile.ZipFile(b, "w"); y.write("a.txt"); y.close(); z.writestr("b.zip", b.getvalue())'],
  ['behind other bytes', 'z.write("a.txt")', 'PK\\3\\4 and more'],
])('an archive by Python: ZIP %s', async (name, lines, prefix = '') => {
  const archive = join(made, `${name}.zip`);
  const start = `import io, zipfile; o = open("${archive}", "w+b"); o.write(b"${prefix}"); z = zipfile.ZipFile(o, "a")`;
  python(`${start}\n${lines}\nz.close()`);
  await expectAccepted(archive);
});
