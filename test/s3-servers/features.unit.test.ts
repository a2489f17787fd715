import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { REPOSITORY } from '../support/repository.ts';
import { FEATURES, isOf, OF_NO_SERVER, type Outcome, tell } from './features.ts';

// What is for the long run is not tried on other servers.
const FILES = readdirSync(join(REPOSITORY, 'test/s3')).filter((file) => file !== OF_NO_SERVER && !file.endsWith('.long.test.ts'));

it.for(FILES)('what %s says of a server stands in one line of the table', (file) => {
  expect(FEATURES.filter((feature) => isOf(feature, file))).toHaveLength(1);
});

it('a cell says how many of the tests that were run have passed, and tells a part that was left out from one that was not asked for', () => {
  const feature = { name: 'uploads', files: ['upload'] };
  const outcome = (state: Outcome['state'], file = 'upload.test.ts'): Outcome => ({ file, test: 'one', state });
  expect(tell(feature, [outcome('passed'), outcome('left out'), outcome('failed', 'pages.test.ts')])).toBe('yes');
  expect(tell(feature, [outcome('passed'), outcome('failed'), outcome('failed')])).toBe('1 of 3');
  expect(tell(feature, [outcome('failed')])).toBe('0 of 1');
  expect(tell(feature, [outcome('left out')])).toBe('left out');
  expect(tell(feature, [outcome('left out'), outcome('passed'), outcome('left out')])).toBe('left out');
  expect(tell(feature, [outcome('passed', 'pages.test.ts')])).toBe('–');
});
