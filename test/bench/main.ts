// `npm run bench`: runs scenarios side by side with the rivals and prints their tables as Markdown.
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { parseBytes } from '../../shared/units.ts';
import { isHeld, type Report, renderReport } from './report.ts';
import type { Device, Settings } from './scenario.ts';
import { SCENARIOS } from './scenarios.ts';
import { removeLeftovers, requireRoom } from './work-folders.ts';

const USAGE = `npm run bench -- [SCENARIO…] [options]

${SCENARIOS.map(({ name, about }) => `  ${name.padEnd(14)}${about}`).join('\n')}

  --rounds N        5
  --size SIZE       the large file: 2GiB
  --chunk SIZE      its chunks: 8MiB
  --count N         small files a round: 3000
  --connections N   that bring them: 16
  --senders N       slow uploads at once: 1000
  --rows N          of the large ledger: 1000000
  --on DEVICE       tmpfs, disk or both, where a scenario knows both: tmpfs for large files, both for small ones
  --tmpfs PATH      /dev/shm
  --disk PATH       /var/tmp
  --rivals NAMES    only these beside Landfall, by parts of their names, comma-separated
  --write FILE      puts the tables into a Markdown file, between <!-- bench:SCENARIO --> and <!-- /bench -->
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: 'boolean', short: 'h' },
    rounds: { type: 'string', default: '5' },
    size: { type: 'string', default: '2GiB' },
    chunk: { type: 'string', default: '8MiB' },
    count: { type: 'string', default: '3000' },
    connections: { type: 'string', default: '16' },
    senders: { type: 'string', default: '1000' },
    rows: { type: 'string', default: '1000000' },
    on: { type: 'string' },
    tmpfs: { type: 'string', default: '/dev/shm' },
    disk: { type: 'string', default: '/var/tmp' },
    rivals: { type: 'string', default: '' },
    write: { type: 'string' },
  },
});

if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const chosen = positionals.length === 0 ? SCENARIOS : positionals.map(scenarioNamed);
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)
  process.on(signal, () => process.exit(code));

const TMPFS: Device = { name: 'tmpfs', path: values.tmpfs };
const DISK: Device = { name: 'disk', path: values.disk };

let missed = 0;
process.stdout.write(`${machine()}\n`);
for (const scenario of chosen) {
  const settings: Settings = {
    rounds: wholeNumber('rounds'),
    size: parseBytes(values.size),
    chunk: parseBytes(values.chunk),
    count: wholeNumber('count'),
    connections: wholeNumber('connections'),
    senders: wholeNumber('senders'),
    rows: wholeNumber('rows'),
    devices: devicesFor(scenario.devices),
    rivals: values.rivals.split(',').filter((name) => name !== ''),
    log: (line) => process.stderr.write(`${line}\n`),
  };
  for (const device of settings.devices) {
    removeLeftovers(device);
    requireRoom(device, scenario.bytes(settings));
  }
  const reports = await scenario.run(settings);
  const text = reports.map(renderReport).join('\n\n');
  process.stdout.write(`\n${text}\n`);
  if (values.write !== undefined) writeInto(values.write, scenario.name, text);
  missed += reports.flatMap((report: Report) => report.limits).filter((limit) => !isHeld(limit)).length;
}
if (missed > 0) process.stderr.write(`${missed} ${missed === 1 ? 'limit' : 'limits'} missed\n`);
process.exit(missed === 0 ? 0 : 1);

function scenarioNamed(name: string) {
  const scenario = SCENARIOS.find((each) => each.name === name);
  if (scenario === undefined) fail(`There is no scenario called ${name}.`);
  return scenario;
}

function wholeNumber(option: 'rounds' | 'count' | 'connections' | 'senders' | 'rows'): number {
  const value = Number(values[option]);
  if (!Number.isSafeInteger(value) || value < 1) fail(`--${option} takes a whole number from 1 on.`);
  return value;
}

/** The devices named on the command line, or else those that the scenario is about. */
function devicesFor(usual: readonly Device['name'][]): Device[] {
  const names = values.on === undefined ? usual : values.on === 'both' ? ['tmpfs', 'disk'] : [values.on];
  return names.map((name) => {
    if (name === 'tmpfs') return TMPFS;
    if (name === 'disk') return DISK;
    return fail('--on takes tmpfs, disk or both.');
  });
}

function fail(sentence: string): never {
  process.stderr.write(`${sentence}\n\n${USAGE}`);
  process.exit(2);
}

/** Describes the machine, for the heading of the tables. */
function machine(): string {
  const processors = cpus();
  const date = new Date().toISOString().slice(0, 10);
  return `${date}, Node ${process.versions.node}, ${processors.length} × ${processors[0]?.model.trim() ?? 'unknown'}; load average before: ${loadavg()[0]?.toFixed(1)}`;
}

function writeInto(path: string, name: string, text: string): void {
  const start = `<!-- bench:${name} -->`;
  const [before, rest] = splitOnce(readFileSync(path, 'utf8'), start);
  const [, after] = splitOnce(rest, '<!-- /bench -->');
  writeFileSync(path, `${before}${start}\n\n${machine()}\n\n${text}\n\n<!-- /bench -->${after}`);
}

function splitOnce(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  if (at === -1) fail(`The file has no ${mark}.`);
  return [text.slice(0, at), text.slice(at + mark.length)];
}
