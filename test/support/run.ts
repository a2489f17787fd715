// `npm test` and `npm run test:long`: installs what the suites need where it may, prints which suites it leaves out, builds the page,
// runs vitest, and ends with one line of totals.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { startVitest } from 'vitest/node';
import { NEEDS, type Need } from './needs.ts';

const args = process.argv.slice(2);
const filters = args.filter((arg) => !arg.startsWith('--'));
if (args.includes('--long')) process.env.LANDFALL_TEST_LONG = '1';
const isCi = process.env.CI === 'true';

const missing = NEEDS.filter((need) => !need.isMet());
install(missing);
const leftOut = missing.filter((need) => !need.isMet());
for (const need of leftOut) {
  console.error(`Left out: ${need.what} (${need.files.join(', ')}). It takes ${need.takes}.`);
}
if (leftOut.length > 0 && isCi) {
  console.error('CI=true: a suite that is left out is a failure.');
  process.exit(1);
}

// `--no-page` serves the page of an earlier run: quicker while the page does not change.
if (!args.includes('--no-page')) run('npm', ['run', '-s', 'build:page']);

const vitest = await startVitest('test', filters, {
  run: true,
  watch: false,
  passWithNoTests: false,
  project: args.filter((arg) => arg.startsWith('--project=')).map((arg) => arg.slice('--project='.length)),
  exclude: leftOut.flatMap((need) => need.files),
});
const tests = vitest.state.getTestModules().flatMap((module) => [...module.children.allTests()]);
const count = (state: string) => tests.filter((test) => test.result().state === state).length;
const skipped = count('skipped') > 0 ? `, ${count('skipped')} skipped` : '';
// Errors outside tests, and files that cannot be loaded, are failures that are in no test's count.
const outside =
  vitest.state.getUnhandledErrors().length + vitest.state.getTestModules().filter((module) => module.errors().length > 0).length;
const failed = count('failed') + outside;
const isWhole = failed === 0 && count('passed') > 0 && count('pending') === 0;
await vitest.close();
if (process.env.LANDFALL_TEST_LONG !== '1')
  console.log('Left out: the long suites (test/**/*.long.test.ts and *.long.*.test.ts), which `npm run test:long` runs.');
for (const need of leftOut) console.log(`Left out: ${need.what}. It takes ${need.takes}.`);
console.log(`${count('passed')} passed, ${failed} failed${skipped}`);
process.exit(isWhole && (process.exitCode ?? 0) === 0 ? 0 : 1);

/** Installs Debian's packages, if this process is root on a system with apt. */
function install(needs: readonly Need[]): void {
  const packages = [...new Set(needs.flatMap((need) => need.packages))];
  if (packages.length === 0 || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return;
  console.error(`Installing for the tests: ${packages.join(' ')}`);
  // RUNLEVEL prevents that nginx is started as a service: the tests start their own.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const apt = (...rest: string[]) => spawnSync('apt-get', ['-q', ...rest], { stdio: ['ignore', 2, 2], env }).status === 0;
  if (!apt('update')) console.error('apt-get update failed; trying with the existing lists.');
  if (apt('install', '-y', '--no-install-recommends', ...packages)) return;
  // One unavailable package must not prevent the others.
  for (const name of packages) apt('install', '-y', '--no-install-recommends', name);
}

function run(command: string, parameters: string[]): void {
  try {
    execFileSync(command, parameters, { stdio: 'inherit' });
  } catch {
    console.error(`${command} ${parameters.join(' ')} failed.`);
    process.exit(1);
  }
}
