import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { REPOSITORY } from '../support/repository.ts';
import { cellOf, covers, FEATURES, IMITATING_FILE, type Outcome } from './features.ts';

// The tests of the long run do not run on other servers.
const FILES = readdirSync(join(REPOSITORY, 'test/s3')).filter((file) => file !== IMITATING_FILE && !file.endsWith('.long.test.ts'));

it.for(FILES)('the tests of %s count in one row of the table', (file) => {
  expect(FEATURES.filter((feature) => covers(feature, file))).toHaveLength(1);
});

it('a cell shows how many of the tests passed, and distinguishes skipped tests from a feature that was not run', () => {
  const feature = { name: 'uploads', files: ['upload'] };
  const outcome = (state: Outcome['state'], file = 'upload.test.ts'): Outcome => ({ file, test: 'one', state });
  expect(cellOf(feature, [outcome('passed'), outcome('left out'), outcome('failed', 'pages.test.ts')])).toBe('yes');
  expect(cellOf(feature, [outcome('passed'), outcome('failed'), outcome('failed')])).toBe('1 of 3');
  expect(cellOf(feature, [outcome('failed')])).toBe('0 of 1');
  expect(cellOf(feature, [outcome('left out')])).toBe('left out');
  expect(cellOf(feature, [outcome('left out'), outcome('passed'), outcome('left out')])).toBe('left out');
  expect(cellOf(feature, [outcome('passed', 'pages.test.ts')])).toBe('–');
});
