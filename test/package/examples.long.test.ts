// What the documents show compiles against what the package is.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { REPOSITORY } from '../support/repository.ts';

/** Inside the repository, where the packages that the examples import are found. */
const FOLDER = join(REPOSITORY, 'node_modules/.landfall-examples');
afterAll(() => rmSync(FOLDER, { recursive: true, force: true }));

/** What an example takes for granted: it is the reader's own. */
const READERS_OWN = `
export {};
declare global {
  const file: File;
  const files: File[];
  function token(options: { renew: boolean }): Promise<string>;
  function sessionOf(request: import('node:http').IncomingMessage): { userId: string } | undefined;
}
`;

function examplesIn(document: string): { name: string; code: string }[] {
  const text = readFileSync(join(REPOSITORY, document), 'utf8');
  return [...text.matchAll(/^```(tsx?)\n([\s\S]*?)^```$/gm)].map(([, kind = 'ts', code = ''], index) => ({
    name: `${document.replaceAll(/\W/g, '-')}-${index + 1}.${kind}`,
    code,
  }));
}

it('every example of the READMEs and of the client’s page', () => {
  mkdirSync(FOLDER, { recursive: true });
  const examples = ['README.md', 'client/README.md', 'server/README.md', 'docs/client.md', 'docs/hooks.md'].flatMap(examplesIn);
  expect(examples.length).toBeGreaterThanOrEqual(7);
  // An example goes on where the one before it stopped, so what was imported there is imported here.
  const known = "import { createQueue, forget, interrupted } from 'landfall';\n";
  for (const { name, code } of examples) {
    writeFileSync(join(FOLDER, name), code.includes('import ') ? code : `${known}${code}export {};\n`);
  }
  writeFileSync(join(FOLDER, 'readers-own.d.ts'), READERS_OWN);
  const at = (path: string) => [join(REPOSITORY, path)];
  writeFileSync(
    join(FOLDER, 'tsconfig.json'),
    JSON.stringify({
      extends: join(REPOSITORY, 'tsconfig.json'),
      compilerOptions: {
        // An application's own settings need not ask for it.
        isolatedDeclarations: false,
        declaration: false,
        noUnusedLocals: false,
        types: ['node'],
        typeRoots: [join(REPOSITORY, 'node_modules/@types')],
        paths: {
          landfall: at('client/index.ts'),
          'landfall/react': at('client/react/use-landfall.ts'),
          'landfall/element': at('client/element/define.ts'),
          'landfall-server': at('server/index.ts'),
        },
      },
      include: ['*', join(REPOSITORY, 'client/transfer/*.d.ts')],
    }),
  );
  let complaints = '';
  try {
    execFileSync(process.execPath, [join(REPOSITORY, 'node_modules/typescript/bin/tsc'), '-p', FOLDER], { encoding: 'utf8' });
  } catch (error) {
    complaints = String((error as { stdout?: string }).stdout ?? error);
  }
  expect(complaints).toBe('');
});
