import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { REPOSITORY } from '../support/repository.ts';

interface Locked {
  optionalDependencies?: Record<string, string>;
  resolved?: string;
  /** Set for a link to a package of this repository, which `resolved` names by its folder. */
  link?: boolean;
}

const { packages } = JSON.parse(readFileSync(join(REPOSITORY, 'package-lock.json'), 'utf8')) as { packages: Record<string, Locked> };

// npm omits optional packages that its registry lacks, and `npm ci` then refuses the lock file everywhere.
it('the lock file contains every optional dependency of its packages', () => {
  const missing = Object.values(packages)
    .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
    .filter((name) => !Object.keys(packages).some((path) => path.endsWith(`node_modules/${name}`)));
  expect(missing).toEqual([]);
});

it('the lock file names no registry', () => {
  expect(Object.values(packages).filter(({ resolved, link }) => resolved !== undefined && link !== true)).toEqual([]);
});
