import { readFileSync } from 'node:fs';
import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import * as library from '../../server/index.ts';
import { ERRORS } from '../../shared/errors.ts';
import { REPOSITORY } from '../support/repository.ts';

it('docs/errors.md lists exactly the errors of the table, with the same values', async () => {
  const page = await readFile(join(REPOSITORY, 'docs/errors.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `(ERR_[A-Z_]+)` \| (\d+) \| (yes|no) \| (.+?) \| /gm)];
  const documented = Object.fromEntries(
    rows.map(([, code = '', status, retryable, title]) => [code, { status: Number(status), title, retryable: retryable === 'yes' }]),
  );
  expect(documented).toEqual(ERRORS);
  expect(rows).toHaveLength(Object.keys(ERRORS).length);
});

/** Maps every class below `server/` that stops a server from starting to its code, read from the sources. */
async function startErrors(): Promise<Record<string, string | undefined>> {
  const found: Record<string, string | undefined> = {};
  for await (const file of glob('server/**/*.ts', { cwd: REPOSITORY, exclude: ['server/dist/**', 'server/node_modules/**'] })) {
    const source = readFileSync(join(REPOSITORY, file), 'utf8');
    for (const [, name = '', body = ''] of source.matchAll(/^(?:export )?class (\w+) extends StartError \{\n([\s\S]*?)^\}/gm)) {
      found[name] = /readonly code = '(ERR_\w+)'/.exec(body)?.[1];
    }
  }
  return found;
}

it('docs/errors.md lists each start error, and the library exports those that it throws', async () => {
  const page = await readFile(join(REPOSITORY, 'docs/errors.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `(ERR_[A-Z_]+)` \| (`\w+`|command only) \| /gm)];
  const ofClass = await startErrors();
  expect(Object.keys(ofClass).length).toBeGreaterThanOrEqual(11);
  expect(rows.map(([, code]) => code).sort()).toEqual(Object.values(ofClass).sort());
  for (const [, code, name] of rows) {
    if (name === 'command only') continue;
    const exported = (library as Record<string, unknown>)[name?.replaceAll('`', '') ?? ''];
    expect(exported, name).toBeTypeOf('function');
    expect(ofClass[(exported as { name: string }).name], name).toBe(code);
  }
});
