// Scenario goodput: the cost of a line that breaks often, against a line that never breaks.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatBytes } from '../../../shared/units.ts';
import { type Cut, Line } from '../../support/line.ts';
import { programPath } from '../../support/needs.ts';
import { REPOSITORY } from '../../support/repository.ts';
import { LandfallWithFilm } from '../landfall-with-film.ts';
import type { Report } from '../report.ts';
import { format, median, withSpread } from '../samples.ts';
import { type Device, onEachDevice, type Scenario, type Settings } from '../scenario.ts';

const MIB = 1024 ** 2;
const FILE_BYTES = 256 * MIB;
const LINE_BYTES_PER_SECOND = 32 * MIB;
/** Bytes before a cut: a random number between these two. */
const CUT_AFTER = [8 * MIB, 16 * MIB] as const;
/** Shorter than the default of 30 s, so that a run of ten silences takes a minute and not five. */
const STALL_LIMIT_MS = 5000;
/** A sender that has sent nothing for this long counts as stopped. */
const GIVEN_UP_AFTER_MS = 45_000;

interface Weather {
  name: string;
  cuts: readonly Cut[];
}

const WHOLE: Weather = { name: 'never', cuts: [] };
const LOUD: Weather = { name: 'RST, FIN in turn', cuts: ['rst', 'fin'] };
const ALL: Weather = { name: 'RST, FIN, stall, half-open in turn', cuts: ['rst', 'fin', 'stall', 'half-open'] };
const LINES = [WHOLE, LOUD, ALL];

interface Sender {
  name: string;
  start(path: string, url: string): ChildProcess;
}

const OURS: Sender = {
  name: '**Landfall**',
  start: (path, url) => spawnNode('landfall', path, `${url}/files`, String(STALL_LIMIT_MS)),
};
const STOCK: Sender = { name: 'tus-js-client, its defaults', start: (path, url) => spawnNode('stock', path, `${url}/files`) };
const CURL: Sender = {
  name: 'curl, a form',
  start: (path, url) => spawn('curl', ['-sSf', '-o', '/dev/null', '-F', `file=@${path}`, `${url}/upload`], { stdio: 'ignore' }),
};

function spawnNode(client: string, ...parameters: string[]): ChildProcess {
  const script = join(REPOSITORY, `test/bench/clients/${client}.ts`);
  return spawn(process.execPath, [script, ...parameters], { stdio: ['ignore', 'ignore', 'inherit'] });
}

interface Run {
  hasArrived: boolean;
  seconds: number;
  passed: number;
  cuts: number;
  /** Cuts that the sender is not told of. */
  silences: number;
}

export const goodput: Scenario = {
  name: 'goodput',
  about: 'a line that is cut every 8 to 16 MiB: bytes sent twice, and time',
  devices: ['tmpfs'],
  bytes: () => 3 * FILE_BYTES,
  run: onEachDevice(run),
};

async function run(settings: Settings, device: Device): Promise<Report> {
  const senders = programPath('curl') === undefined ? [OURS, STOCK] : [OURS, STOCK, CURL];
  await using landfall = await LandfallWithFilm.open(device, FILE_BYTES);
  const found = new Map<Sender, Map<Weather, Run[]>>(senders.map((sender) => [sender, new Map(LINES.map((line) => [line, []]))]));
  for (let round = 0; round < settings.rounds; round++) {
    for (const line of LINES) {
      for (const sender of senders) {
        const result = await send(sender, line, landfall);
        result.hasArrived &&= landfall.storedBytes() >= FILE_BYTES;
        found.get(sender)?.get(line)?.push(result);
        landfall.clear();
        const end = result.hasArrived ? `${result.seconds.toFixed(1)} s` : 'did not finish';
        settings.log(`round ${round + 1}, ${sender.name}, cut: ${line.name}: ${end}, ${result.cuts} cuts`);
      }
    }
  }
  return report(settings, device, found, senders.includes(CURL) ? [] : ['curl was left out: it is not installed.']);
}

async function send(sender: Sender, { cuts }: Weather, { film, port }: LandfallWithFilm): Promise<Run> {
  let count = 0;
  const nextCut = () => {
    const how = cuts[count++ % cuts.length];
    const [least, most] = CUT_AFTER;
    return how && { how, afterBytes: Math.floor(least + Math.random() * (most - least)) };
  };
  await using line = await Line.open({ upstream: port, bytesPerSecond: LINE_BYTES_PER_SECOND, nextCut });
  const begun = performance.now();
  const child = sender.start(film, line.url);
  const ended = once(child, 'exit');
  const isStopped = () => line.idleMs > GIVEN_UP_AFTER_MS && performance.now() - begun > GIVEN_UP_AFTER_MS;
  while (child.exitCode === null && child.signalCode === null && !isStopped()) await Promise.race([ended, sleep(200)]);
  const seconds = (performance.now() - begun) / 1000;
  child.kill('SIGKILL');
  await ended;
  const { rst, fin, stall } = line.cuts;
  const silences = stall + line.cuts['half-open'];
  return { hasArrived: child.exitCode === 0, seconds, passed: line.passed, cuts: rst + fin + silences, silences };
}

function report(settings: Settings, device: Device, found: ReadonlyMap<Sender, ReadonlyMap<Weather, Run[]>>, notes: string[]): Report {
  const runs = (sender: Sender, line: Weather) => found.get(sender)?.get(line) ?? [];
  const uncut = (sender: Sender) => median(runs(sender, WHOLE).map(({ seconds }) => seconds));
  const rows = [...found.keys()].flatMap((sender) =>
    LINES.map((line) => {
      const all = runs(sender, line);
      const arrived = all.filter(({ hasArrived }) => hasArrived);
      const cells = [sender.name, line.name, `${arrived.length} of ${all.length}`];
      const cuts = format(median(all.map((one) => one.cuts)), 0);
      if (arrived.length === 0) return [...cells, 'did not finish', '', cuts, ''];
      const seconds = arrived.map((one) => one.seconds);
      return [
        ...cells,
        withSpread(seconds, 1),
        line === WHOLE ? '' : `${format(median(seconds) / uncut(sender), 2)}×`,
        cuts,
        `${format(median(arrived.map(({ passed }) => passed / FILE_BYTES)), 3)}×`,
      ];
    }),
  );
  const worst = (line: Weather, value: (one: Run) => number) =>
    Math.max(...runs(OURS, line).map((one) => (one.hasArrived ? value(one) : Number.POSITIVE_INFINITY)));
  const moving = ({ seconds, silences }: Run) => (seconds - (silences * STALL_LIMIT_MS) / 1000) / uncut(OURS);
  const limit = { digits: 2, unit: '×' };
  return {
    title: `Goodput: ${formatBytes(FILE_BYTES)} over a line that is cut, ${device.name}`,
    how:
      `${settings.rounds} rounds over a TCP relay of ${formatBytes(LINE_BYTES_PER_SECOND)}/s that cuts after ${formatBytes(CUT_AFTER[0])} to ${formatBytes(CUT_AFTER[1])}, at random. ` +
      'Stall: neither side is told, and the server’s side stays open. Half-open: the server’s side is gone, and the sender’s side stays open. ' +
      `Here Landfall’s client treats a line without a moving byte as dead after ${STALL_LIMIT_MS / 1000} s (default: 30 s). A sender that sends nothing for ${GIVEN_UP_AFTER_MS / 1000} s did not finish.`,
    tables: [{ columns: ['', 'cut', 'arrived', 'seconds', 'of uncut', 'cuts', 'bytes passed, of the file'], rows }],
    limits: [
      {
        ...limit,
        what: 'bytes passed, RST and FIN, worst round',
        measured: worst(LOUD, ({ passed }) => passed / FILE_BYTES),
        most: 1.05,
        digits: 3,
      },
      {
        ...limit,
        what: 'bytes passed, all four, worst round',
        measured: worst(ALL, ({ passed }) => passed / FILE_BYTES),
        most: 1.05,
        digits: 3,
      },
      {
        ...limit,
        what: 'time, RST and FIN, of uncut, worst round',
        measured: worst(LOUD, ({ seconds }) => seconds / uncut(OURS)),
        most: 1.5,
      },
      {
        ...limit,
        what: `time, all four, of uncut, without ${STALL_LIMIT_MS / 1000} s for each silence, worst round`,
        measured: worst(ALL, moving),
        most: 1.5,
      },
    ],
    notes,
  };
}
