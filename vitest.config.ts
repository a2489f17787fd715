import { defineConfig } from 'vitest/config';

/** The long versions: gigabytes, minutes, a hundred kills. */
const isLong = process.env.LANDFALL_TEST_LONG === '1';
const minutes = (count: number) => count * 60_000;

const UNIT = ['test/shared/**/*.test.ts', 'test/**/*.unit.test.ts'];

interface Kind {
  name: string;
  testTimeout: number;
  /** Where the kind needs the machine to itself: one file at a time, after all others. */
  alone?: number;
}

const KINDS: Kind[] = [
  { name: 'server', testTimeout: 30_000 },
  { name: 'client', testTimeout: 60_000 },
  { name: 'contract', testTimeout: 30_000 },
  { name: 'protocol', testTimeout: 60_000 },
  { name: 'package', testTimeout: minutes(3), alone: 2 },
  { name: 'browser', testTimeout: minutes(2), alone: 3 },
  { name: 'faults', testTimeout: isLong ? minutes(60) : minutes(6), alone: 4 },
];

export default defineConfig({
  test: {
    projects: [
      {
        test: { name: 'unit', include: UNIT, testTimeout: 20_000, maxWorkers: 2, sequence: { groupOrder: 1 } },
      },
      ...KINDS.map(({ name, testTimeout, alone }) => ({
        test: {
          name,
          include: [`test/${name}/**/*.test.ts`],
          exclude: UNIT,
          testTimeout: isLong ? Math.max(testTimeout, minutes(20)) : testTimeout,
          hookTimeout: minutes(2),
          maxWorkers: alone === undefined ? 2 : 1,
          sequence: { groupOrder: alone ?? 1 },
        },
      })),
    ],
    // Servers, proxies and browsers that a test forgot must not keep the run alive for long.
    teardownTimeout: 20_000,
  },
});
