import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { BROWSERS } from '../../vite.config.ts';
import { REPOSITORY } from '../support/repository.ts';

it('the build of the page targets the browsers that docs/client.md names', () => {
  const page = readFileSync(join(REPOSITORY, 'docs/client.md'), 'utf8');
  const [, chrome, firefox, safari] = /^Browsers: Chrome and Edge (\d+), Firefox (\d+), Safari ([\d.]+), or newer\./m.exec(page) ?? [];
  expect(BROWSERS).toEqual([`chrome${chrome}`, `edge${chrome}`, `firefox${firefox}`, `safari${safari}`]);
});

it('the client runs in the Node that docs/client.md names', () => {
  const page = readFileSync(join(REPOSITORY, 'docs/client.md'), 'utf8');
  const { engines } = JSON.parse(readFileSync(join(REPOSITORY, 'client/package.json'), 'utf8')) as { engines: { node: string } };
  expect(page).toContain(`Node ${engines.node.replace('>=', '')} or newer.`);
});
