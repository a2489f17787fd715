// Runs the programs of docs/access.md in other languages unchanged.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { REPOSITORY } from './repository.ts';
import { testDirectory } from './temp-dir.ts';

const run = promisify(execFile);

/** The only block in this language. */
export function documentedProgram(language: string): string {
  const page = readFileSync(join(REPOSITORY, 'docs/access.md'), 'utf8');
  const blocks = [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))];
  const [block] = blocks;
  if (block?.[1] === undefined || blocks.length > 1) throw new Error(`docs/access.md has ${blocks.length} blocks of ${language}.`);
  return block[1];
}

/** Runs a program with arguments and resolves to its output. */
export async function runProgram(command: readonly string[], file: string, text: string, parameters: readonly string[]): Promise<string> {
  const path = join(testDirectory(), file);
  await writeFile(path, text);
  const { stdout } = await run(command[0] ?? '', [...command.slice(1), path, ...parameters]);
  return stdout.trim();
}
