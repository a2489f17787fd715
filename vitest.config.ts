import { defineConfig } from 'vitest/config';

/** The long versions: gigabytes, minutes, a hundred kills. */
const isLong = process.env.LANDFALL_TEST_LONG === '1';
const minutes = (count: number) => count * 60_000;

const UNIT = ['test/shared/**/*.test.ts', 'test/**/*.unit.test.ts'];

interface Kind {
  name: string;
  testTimeout: number;
  /** Kinds of one group run side by side; a later group begins when the one before has ended. */
  group: number;
  /** Run once before the first test of the kind. */
  setup?: string;
  /** More than the machine's cores where tests mostly wait; 1 where they need the machine to themselves. */
  workers: number;
}

const KINDS: Kind[] = [
  { name: 'server', testTimeout: 30_000, group: 1, workers: 3 },
  { name: 'client', testTimeout: 60_000, group: 1, workers: 3 },
  { name: 'contract', testTimeout: 30_000, group: 1, workers: 3 },
  { name: 'protocol', testTimeout: 60_000, group: 1, workers: 3 },
  { name: 'package', testTimeout: minutes(3), group: 1, workers: 3 },
  { name: 's3', testTimeout: 60_000, group: 1, workers: 3, setup: 'test/support/s3-setup.ts' },
  { name: 'faults', testTimeout: isLong ? minutes(60) : minutes(6), group: 2, workers: 2 },
  { name: 'browser', testTimeout: minutes(3), group: 3, workers: 2 },
];

/** What is waited for comes in its own time on a machine that does other things too; nothing is measured by it. */
const POLL = { expect: { poll: { timeout: 20_000 } } };

export default defineConfig({
  test: {
    projects: [
      {
        test: { ...POLL, name: 'unit', include: UNIT, testTimeout: 20_000, maxWorkers: 3, sequence: { groupOrder: 1 } },
      },
      ...KINDS.map(({ name, testTimeout, group, workers, setup }) => ({
        test: {
          ...POLL,
          name,
          include: [`test/${name}/**/*.test.ts`],
          exclude: UNIT,
          testTimeout: isLong ? Math.max(testTimeout, minutes(20)) : testTimeout,
          hookTimeout: minutes(2),
          maxWorkers: workers,
          ...(setup === undefined ? {} : { globalSetup: setup }),
          sequence: { groupOrder: group },
        },
      })),
    ],
    // Servers, proxies and browsers that a test forgot must not keep the run alive for long.
    teardownTimeout: 20_000,
  },
});
