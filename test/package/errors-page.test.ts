import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ERRORS } from '../../shared/errors.ts';
import { REPOSITORY } from '../support/repository.ts';

it('docs/errors.md lists each error of the table, as the table has it, and no other', async () => {
  const page = await readFile(join(REPOSITORY, 'docs/errors.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `(ERR_[A-Z_]+)` \| (\d+) \| (yes|no) \| (.+?) \| /gm)];
  const documented = Object.fromEntries(
    rows.map(([, code = '', status, retryable, title]) => [code, { status: Number(status), title, retryable: retryable === 'yes' }]),
  );
  expect(documented).toEqual(ERRORS);
  expect(rows).toHaveLength(Object.keys(ERRORS).length);
});
