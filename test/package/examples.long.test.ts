// The examples of the documents compile against the packages.
import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { REPOSITORY } from '../support/repository.ts';

/** A folder inside the repository, so that the examples find the packages they import. */
const FOLDER = join(REPOSITORY, 'node_modules/.landfall-examples');
afterAll(() => rmSync(FOLDER, { recursive: true, force: true }));

/** Declarations of the reader's own code, which the examples use. */
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

/** The examples of the doc comments, in the order of their files. */
function examplesInSources(): { name: string; code: string }[] {
  const files = globSync('{client,server,shared}/**/*.{ts,tsx}', { cwd: REPOSITORY, exclude: ['**/dist/**', '**/node_modules/**'] });
  return files.sort().flatMap((file) => {
    const text = readFileSync(join(REPOSITORY, file), 'utf8');
    return [...text.matchAll(/^ *\* ```(tsx?)\n((?: *\*.*\n)*?) *\* ```$/gm)].map(([, kind = 'ts', lines = ''], index) => {
      const code = lines.replaceAll(/^ *\* ?/gm, '');
      return {
        name: `${file.replaceAll(/\W/g, '-')}-${index + 1}.${kind}`,
        // Only Node can send a path; the browser's types accept only files.
        code: /^client\/node/.test(file) ? code.replaceAll("'landfall'", "'landfall/node'") : code,
      };
    });
  });
}

it('every example of the READMEs, of docs/client.md and of the doc comments compiles', () => {
  mkdirSync(FOLDER, { recursive: true });
  const documents = ['README.md', 'client/README.md', 'server/README.md', 'docs/client.md', 'docs/hooks.md'].flatMap(examplesIn);
  expect(documents.length).toBeGreaterThanOrEqual(7);
  const comments = examplesInSources();
  expect(comments.length).toBeGreaterThanOrEqual(40);
  const examples = [...documents, ...comments];
  // An example continues the one before it, so it has the imports of that one.
  const known = "import { createQueue, createUploader, forget, interrupted } from 'landfall';\n";
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
        // An application's own compiler settings need not include this one.
        isolatedDeclarations: false,
        declaration: false,
        noUnusedLocals: false,
        types: ['node'],
        typeRoots: [join(REPOSITORY, 'node_modules/@types')],
        paths: {
          landfall: at('client/index.ts'),
          'landfall/node': at('client/node.ts'),
          'landfall/react': at('client/react/use-landfall.ts'),
          'landfall/element': at('client/element/define.ts'),
          'landfall-server': at('server/index.ts'),
          'landfall-server/grants': at('server/grants.ts'),
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
