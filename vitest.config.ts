import { fileURLToPath } from 'node:url';
import { defineConfig, type ViteUserConfig } from 'vitest/config';

// The suites start servers and command lines hundreds of times: half of each start is compiling what was compiled before.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('node_modules/.cache/compile', import.meta.url));

/** The long versions: gigabytes, minutes, a hundred kills. */
const isLong = process.env.LANDFALL_TEST_LONG === '1';
const minutes = (count: number) => count * 60_000;

/** Other S3 servers are tried with all of the suites for S3. */
const isOtherS3 = process.env.LANDFALL_TEST_S3_ENDPOINT !== undefined;

/** For the long run alone: what takes its time to say, and what only a release asks. */
const LONG = isLong || isOtherS3 ? [] : ['test/**/*.long.test.ts', 'test/**/*.long.*.test.ts'];

/** A limit for what hangs, not for what is slow: a machine with much other work takes minutes for what a quiet one does in seconds. */
const TEST_TIMEOUT = isLong ? minutes(60) : minutes(6);

const UNIT = ['test/shared/**/*.test.ts', 'test/**/*.unit.test.ts'];

/** The suites that must hold on both ways of a body: framing, abuse, verdicts, limits. Most of them run twice only in the long run. */
const LIFTED = [
  ...['transcript', ...(isLong ? ['abuse', 'addresses', 'checksum', 'verdict', 'verdict-replay'] : [])].map(
    (name) => `test/protocol/${name}.test.ts`,
  ),
  ...['request-guard', ...(isLong ? ['held'] : [])].map((name) => `test/server/${name}.test.ts`),
];

/** More than the cores of a small machine, since tests often wait. */
const WORKERS = 3;

interface Kind {
  name: string;
  /** Kinds of one group run side by side; a later group begins when the one before has ended. */
  group: number;
  /** Only for a kind without a folder of its own. */
  include?: string[];
  env?: Record<string, string>;
  /** Run once before the first test of the kind. */
  setup?: string;
}

const KINDS: Kind[] = [
  { name: 'server', group: 1 },
  { name: 'client', group: 1 },
  { name: 'contract', group: 1 },
  { name: 'protocol', group: 1 },
  // The same suites again, with every body lifted, however short it is.
  { name: 'lifted', group: 1, include: LIFTED, env: { LANDFALL_TEST_BODIES: 'lifted' } },
  { name: 'package', group: 1 },
  { name: 's3', group: 1, setup: 'test/support/s3-setup.ts' },
  { name: 'faults', group: 2 },
  { name: 'browser', group: 2 },
];

/** What is waited for comes in its own time on a machine that does other things too; nothing is measured by it. */
const POLL = { expect: { poll: { timeout: 60_000 } } };

const config: ViteUserConfig = defineConfig({
  test: {
    projects: [
      {
        test: { ...POLL, name: 'unit', include: UNIT, testTimeout: TEST_TIMEOUT, maxWorkers: WORKERS, sequence: { groupOrder: 1 } },
      },
      ...KINDS.map(({ name, group, setup, include, env }) => ({
        test: {
          ...POLL,
          name,
          include: include ?? [`test/${name}/**/*.test.ts`],
          ...(env === undefined ? {} : { env }),
          exclude: [...UNIT, ...LONG],
          testTimeout: TEST_TIMEOUT,
          hookTimeout: TEST_TIMEOUT,
          maxWorkers: WORKERS,
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
