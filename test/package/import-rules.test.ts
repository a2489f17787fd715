// Shows that each layout rule of biome.json reports a violation: a rule that matches nothing looks like one that nobody breaks.
import { execFile } from 'node:child_process';
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { REPOSITORY } from '../support/repository.ts';
import { temporaryDirectory } from '../support/temp-dir.ts';

const run = promisify(execFile);
const BIOME = join(REPOSITORY, 'node_modules/.bin/biome');

interface Violation {
  what: string;
  file: string;
  source: string;
  says: string;
  /** Another file that the sample needs. */
  beside?: { file: string; source: string };
}

const ARGUMENTS = 'Arguments, environment, signals';
const VIOLATIONS: Violation[] = [
  {
    what: 'the server importing the client',
    file: 'server/http/bad.ts',
    source: "import { upload } from '../../client/handle/upload.ts';\nupload();\n",
    says: 'The server imports shared/ and never the client.',
  },
  {
    what: 'the client importing the server',
    file: 'client/cli/bad.ts',
    source: "import { createLandfall } from '../../server/index.ts';\ncreateLandfall();\n",
    says: 'The client imports shared/ and never the server.',
  },
  {
    what: 'the client importing only a type of the server',
    file: 'client/bad.ts',
    source: "import type { Config } from '../server/config.ts';\nexport type Mine = Config;\n",
    says: 'The client imports shared/ and never the server.',
  },
  {
    what: 'shared importing the server',
    file: 'shared/bad.ts',
    source: "import { faultOf } from '../server/staging/faults.ts';\nfaultOf();\n",
    says: 'shared/ imports nothing from outside itself.',
  },
  {
    what: 'shared importing a package',
    file: 'shared/bad-2.ts',
    source: "import { z } from 'zod';\nz.string();\n",
    says: 'shared/ imports nothing from outside itself.',
  },
  {
    what: 'shared importing node',
    file: 'shared/bad-3.ts',
    source: "import { join } from 'node:path';\njoin();\n",
    says: 'Node.js builtin',
  },
  {
    what: 'shared using a Buffer',
    file: 'shared/bad-4.ts',
    source: "export const bytes = Buffer.from('');\n",
    says: 'global variable Buffer',
  },
  {
    what: 'the browser part of the client importing node',
    file: 'client/transfer/retry.ts',
    source: "import { setTimeout } from 'node:timers';\nsetTimeout(Number, 1);\n",
    says: 'Node.js builtin',
  },
  {
    what: 'two files of the client importing types of each other',
    file: 'client/handle/cycle.ts',
    source: "import type { Other } from './other.ts';\nexport type Bad = Other[];\n",
    beside: { file: 'client/handle/other.ts', source: "import type { Bad } from './cycle.ts';\nexport type Other = Bad | 1;\n" },
    says: 'part of a cycle',
  },
  {
    what: 'a part of the client that runs anywhere using a page',
    file: 'client/resume/bad.ts',
    source: "export const kept = localStorage.getItem('kept');\n",
    says: 'global variable localStorage',
  },
  {
    what: 'a part of the client that runs anywhere using process',
    file: 'client/handle/bad-2.ts',
    source: 'export const pid = process.pid;\n',
    says: 'global variable process',
  },
  {
    what: 'the Node part of the client using a page',
    file: 'client/node/bad.ts',
    source: 'export const title = document.title;\n',
    says: 'global variable document',
  },
  {
    what: 'the element of the client using process',
    file: 'client/element/bad.ts',
    source: 'export const pid = process.pid;\n',
    says: 'global variable process',
  },
  {
    what: 'the client using a feature that a browser may deny outside the one file for that',
    file: 'client/element/denied.ts',
    source: "export const last = localStorage.getItem('last');\n",
    says: 'global variable localStorage',
  },
  { what: 'the server reading the environment', file: 'server/app.ts', source: 'export const home = process.env.HOME;\n', says: ARGUMENTS },
  {
    what: 'the server reading arguments',
    file: 'server/app-2.ts',
    source: 'export const list = process.argv.slice(2);\n',
    says: ARGUMENTS,
  },
  { what: 'the server taking a signal', file: 'server/app-3.ts', source: "process.on('SIGTERM', () => {});\n", says: ARGUMENTS },
  { what: 'the server ending the process', file: 'server/app-4.ts', source: 'process.exit(1);\n', says: ARGUMENTS },
  {
    what: 'the server destructuring process',
    file: 'server/app-5.ts',
    source: 'const { env } = process;\nexport const home = env.HOME;\n',
    says: ARGUMENTS,
  },
  {
    what: 'the server importing process',
    file: 'server/app-6.ts',
    source: "import { env } from 'node:process';\nexport const home = env.HOME;\n",
    says: 'Use the global, and only in main.ts.',
  },
  {
    what: 'a part of the command line reading the environment',
    file: 'client/cli/progress.ts',
    source: 'export const plain = process.env.NO_COLOR;\n',
    says: ARGUMENTS,
  },
];

const ALLOWED: Omit<Violation, 'says'>[] = [
  {
    what: 'the main of the server reading environment, arguments and signals',
    file: 'server/main.ts',
    source: "export const all = [process.env.HOME, process.argv];\nprocess.on('SIGTERM', () => process.exit(0));\n",
  },
  { what: 'the entry of the server ending the process', file: 'server/entry.ts', source: 'process.exitCode = 2;\n' },
  {
    what: 'the main of the command line reading environment, arguments and signals',
    file: 'client/cli/main.ts',
    source: "export const all = [process.env.HOME, process.argv];\nprocess.on('SIGINT', () => process.exit(130));\n",
  },
  {
    what: 'the Node entry of the client importing node and shared',
    file: 'client/node/source.ts',
    source:
      "import { stat } from 'node:fs/promises';\nimport { UploadError } from '../../shared/errors.ts';\nexport const all = [stat, UploadError];\n",
  },
  {
    what: 'shared importing its neighbour',
    file: 'shared/fine.ts',
    source: "import { ERRORS } from './errors.ts';\nexport const codes = Object.keys(ERRORS);\n",
  },
  { what: 'the element of the client using a page', file: 'client/element/fine.ts', source: 'export const title = document.title;\n' },
  { what: 'the server asking for its process id', file: 'server/ledger/fine.ts', source: 'export const pid = process.pid;\n' },
];

interface Diagnostic {
  message: string;
  severity: string;
  location: { path: string };
}

/** The samples are written into one directory, a file each, and linted in one run. */
describe('the import rules', () => {
  const root = temporaryDirectory();
  let diagnostics: Diagnostic[] = [];

  beforeAll(async () => {
    await cp(join(REPOSITORY, 'biome.json'), join(root.path, 'biome.json'));
    await cp(join(REPOSITORY, '.gitignore'), join(root.path, '.gitignore'));
    await cp(join(REPOSITORY, '.ci'), join(root.path, '.ci'), { recursive: true });
    await symlink(join(REPOSITORY, 'node_modules'), join(root.path, 'node_modules'));
    const besides = VIOLATIONS.flatMap(({ beside }) => (beside ? [beside] : []));
    for (const { file, source } of [...VIOLATIONS, ...ALLOWED, ...besides]) {
      await mkdir(dirname(join(root.path, file)), { recursive: true });
      await writeFile(join(root.path, file), source, { flag: 'wx' });
    }
    const lint = run(BIOME, ['lint', '--reporter=json', '--max-diagnostics=none'], { cwd: root.path });
    const { stdout } = await lint.catch((error: { stdout: string }) => error);
    ({ diagnostics } = JSON.parse(stdout) as { diagnostics: Diagnostic[] });
  });

  const errorsIn = (file: string) =>
    diagnostics.filter(({ location, severity }) => location.path === file && severity === 'error').map(({ message }) => message);

  it.for(VIOLATIONS)('refuse $what', ({ file, says }) => {
    expect(errorsIn(file)).toContainEqual(expect.stringContaining(says));
  });

  it.for(ALLOWED)('let pass $what', ({ file }) => {
    expect(errorsIn(file)).toEqual([]);
  });
});
