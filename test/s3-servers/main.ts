// `npm run test:s3-servers`: runs test/s3 against other S3 servers, each that is installed or can be built here, and prints the
// features of each as a table. Not part of `npm test`: it takes an hour, and needs other people's programs.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { freePort } from '../support/free-port.ts';
import { REPOSITORY } from '../support/repository.ts';
import { cellOf, FEATURES, IMITATING_FILE, type Outcome } from './features.ts';
import { type Credentials, OTHER_SERVERS, type OtherServer } from './servers.ts';

const USAGE = `npm run test:s3-servers -- [SERVER…] [options]

Servers: ${OTHER_SERVERS.map(({ name }) => name).join(', ')}

  --only NAMES   parts of the names of test files in test/s3, comma-separated
  --write FILE   puts the table into a Markdown file, between <!-- s3-servers --> and <!-- /s3-servers -->
`;
const START_LIMIT_MS = 120_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { help: { type: 'boolean', short: 'h' }, only: { type: 'string', default: '' }, write: { type: 'string' } },
});
const chosen = positionals.length === 0 ? OTHER_SERVERS : OTHER_SERVERS.filter(({ name }) => isNamed(name));
if (values.help || chosen.length === 0) {
  process.stdout.write(USAGE);
  process.exit(values.help ? 0 : 2);
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1));

const results = new Map<OtherServer, Outcome[]>();
for (const server of chosen) {
  const program = server.find();
  if (program === undefined) console.error(`Left out: ${server.name}. It takes ${server.takes}.`);
  else results.set(server, await test(server, program));
}
const table = render(results);
for (const [{ name }, outcomes] of results) {
  for (const { file, test } of outcomes.filter(({ state }) => state === 'failed')) console.log(`${name}, ${file}: ${test}`);
}
console.log(`\n${table}`);
if (values.write !== undefined) writeInto(values.write, table);
// Failed tests only appear in the table; the command itself fails only when no test ran.
process.exit([...results.values()].some((outcomes) => outcomes.length > 0) ? 0 : 1);

function isNamed(name: string): boolean {
  return positionals.some((wanted) => wanted.toLowerCase() === name.toLowerCase());
}

async function test(server: OtherServer, program: string): Promise<Outcome[]> {
  const directory = mkdtempSync(join(tmpdir(), 'landfall-s3-servers-'));
  const credentials = { accessKeyId: randomBytes(10).toString('hex').toUpperCase(), secretAccessKey: randomBytes(20).toString('hex') };
  const port = await freePort();
  const { command, environment } = server.start(program, directory, port, credentials);
  // The log explains a server that does not start.
  const log: Buffer[] = [];
  const child = spawn(command[0], command.slice(1), {
    cwd: directory,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const ended = once(child, 'exit');
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece: Buffer) => log.length < 100 && log.push(piece));
  try {
    const endpoint = `http://127.0.0.1:${port}`;
    const deadline = performance.now() + START_LIMIT_MS;
    while (!(await answers(endpoint))) {
      if (child.exitCode !== null || performance.now() > deadline) throw new Error(`${server.name} did not start.\n${Buffer.concat(log)}`);
      await sleep(100);
    }
    console.error(`\n${server.name} (${program})`);
    return await runTests(endpoint, credentials, join(directory, 'outcomes.json'));
  } finally {
    child.kill('SIGKILL');
    await ended;
    running.delete(child);
    rmSync(directory, { recursive: true, force: true });
  }
}

async function answers(endpoint: string): Promise<boolean> {
  return fetch(endpoint, { signal: AbortSignal.timeout(5000) }).then(
    async (response) => {
      await response.arrayBuffer();
      return response.status < 500;
    },
    () => false,
  );
}

async function runTests(endpoint: string, { accessKeyId, secretAccessKey }: Credentials, path: string): Promise<Outcome[]> {
  // A failed test runs once more: a failure because of a slow machine says nothing about the server.
  const tries = ['--retry=1', '--exclude', `**/${IMITATING_FILE}`, '--exclude', '**/s3/{adopt,store}*'];
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${path}`];
  const filters = values.only.split(',').filter((part) => part !== '');
  const vitest = join(REPOSITORY, 'node_modules/vitest/vitest.mjs');
  const env = {
    ...process.env,
    LANDFALL_TEST_S3_ENDPOINT: endpoint,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_REGION: 'us-east-1',
  };
  const child = spawn(process.execPath, [vitest, 'run', '--project', 's3', ...tries, ...reporters, ...filters], {
    cwd: REPOSITORY,
    env,
    stdio: ['ignore', 2, 2],
  });
  running.add(child);
  await once(child, 'exit');
  running.delete(child);
  const { testResults } = JSON.parse(readFileSync(path, 'utf8')) as {
    testResults: { name: string; status: string; assertionResults: { fullName: string; status: string }[] }[];
  };
  return testResults.flatMap(({ name, status, assertionResults }): Outcome[] => {
    const file = basename(name);
    // The file failed before its tests ran.
    const isLost = status === 'failed' && !assertionResults.some((one) => one.status === 'failed');
    const outcomes = assertionResults.map((one) => ({ file, test: one.fullName, state: stateOf(one.status) }));
    return isLost ? [...outcomes, { file, test: 'the file itself', state: 'failed' }] : outcomes;
  });
}

function stateOf(status: string): Outcome['state'] {
  return status === 'passed' || status === 'failed' ? status : 'left out';
}

function render(all: ReadonlyMap<OtherServer, readonly Outcome[]>): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const columns = [...all.keys()].map(({ name }) => name);
  const rows = FEATURES.map((feature) => line([feature.name, ...[...all.values()].map((outcomes) => cellOf(feature, outcomes))]));
  return [line(['', ...columns]), line(['---', ...columns.map(() => '---')]), ...rows].join('\n');
}

function writeInto(path: string, text: string): void {
  const whole = readFileSync(path, 'utf8');
  const pattern = /(<!-- s3-servers -->\n)[\s\S]*?(\n<!-- \/s3-servers -->)/;
  if (!pattern.test(whole)) throw new Error(`${path} has no <!-- s3-servers -->.`);
  writeFileSync(
    path,
    whole.replace(pattern, (_all, begin: string, end: string) => `${begin}\n${text}\n${end}`),
  );
}
