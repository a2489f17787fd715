import { fileURLToPath } from 'node:url';
import { defineConfig, type ViteUserConfig } from 'vitest/config';

// The suites start servers and command lines hundreds of times: half of each start is compiling what was compiled before.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('node_modules/.cache/compile', import.meta.url));

/** The long versions: gigabytes, minutes, a hundred kills. */
const isLong = process.env.LANDFALL_TEST_LONG === '1';
const minutes = (count: number) => count * 60_000;

/** For the long run alone: what takes its time to say, and what only a release asks. */
const LONG = isLong ? [] : ['test/**/*.long.test.ts', 'test/**/*.long.*.test.ts'];

/** A limit for what hangs, not for what is slow: a machine with much other work takes minutes for what a quiet one does in seconds. */
const TEST_TIMEOUT = isLong ? minutes(60) : minutes(6);

const UNIT = ['test/shared/**/*.test.ts', 'test/**/*.unit.test.ts'];

/** The suites that must hold on both ways of a body: framing, abuse, verdicts, limits. Most of them run twice only in the long run. */
const LIFTED = [
  ...['abuse', 'transcript', ...(isLong ? ['addresses', 'checksum', 'verdict', 'verdict-replay'] : [])].map(
    (name) => `test/protocol/${name}.test.ts`,
  ),
  ...['request-guard', ...(isLong ? ['held'] : [])].map((name) => `test/server/${name}.test.ts`),
];

interface Kind {
  name: string;
  /** Kinds of one group run side by side; a later group begins when the one before has ended. */
  group: number;
  /** Only for a kind without a folder of its own. */
  include?: string[];
  env?: Record<string, string>;
  /** Run once before the first test of the kind. */
  setup?: string;
  /** More than the machine's cores where tests mostly wait; 1 where they need the machine to themselves. */
  workers: number;
}

const KINDS: Kind[] = [
  { name: 'server', group: 1, workers: 4 },
  { name: 'client', group: 1, workers: 4 },
  { name: 'contract', group: 1, workers: 4 },
  { name: 'protocol', group: 1, workers: 4 },
  // The same suites again, with every body lifted, however short it is.
  { name: 'lifted', group: 1, workers: 4, include: LIFTED, env: { LANDFALL_TEST_BODIES: 'lifted' } },
  { name: 'package', group: 1, workers: 4 },
  { name: 's3', group: 1, workers: 4, setup: 'test/support/s3-setup.ts' },
  { name: 'faults', group: 2, workers: 3 },
  { name: 'browser', group: 2, workers: 3 },
];

/** What is waited for comes in its own time on a machine that does other things too; nothing is measured by it. */
const POLL = { expect: { poll: { timeout: 60_000 } } };

const config: ViteUserConfig = defineConfig({
  test: {
    projects: [
      {
        test: { ...POLL, name: 'unit', include: UNIT, testTimeout: TEST_TIMEOUT, maxWorkers: 4, sequence: { groupOrder: 1 } },
      },
      ...KINDS.map(({ name, group, workers, setup, include, env }) => ({
        test: {
          ...POLL,
          name,
          include: include ?? [`test/${name}/**/*.test.ts`],
          ...(env === undefined ? {} : { env }),
          exclude: [...UNIT, ...LONG],
          testTimeout: TEST_TIMEOUT,
          hookTimeout: TEST_TIMEOUT,
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

export default config;
