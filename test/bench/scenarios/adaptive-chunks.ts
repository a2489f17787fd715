// Scenario adaptive-chunks: whether the client's choice of chunk sizes is as fast as the best fixed size.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { formatBytes } from '../../../shared/units.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { Line } from '../../support/line.ts';
import { REPOSITORY } from '../../support/repository.ts';
import { LandfallWithFilm } from '../landfall-with-film.ts';
import type { Report } from '../report.ts';
import { format, median, medianRatio, withSpread } from '../samples.ts';
import { type Device, onEachDevice, type Scenario, type Settings } from '../scenario.ts';

const MIB = 1024 ** 2;
const FILE_BYTES = 256 * MIB;
const LINE = { bytesPerSecond: 16 * MIB, delayMs: 25 };
/** One request in 50 breaks, counted over all rounds, because most runs of ten requests would have no broken one. */
const ONE_IN = 50;
const FIRST_AFTER = 20;
const FIXED = [1 * MIB, 8 * MIB, 32 * MIB];

interface Choice {
  name: string;
  chunk: string;
}

const ADAPTIVE: Choice = { name: '**adaptive**', chunk: 'adaptive' };
const CHOICES = [ADAPTIVE, ...FIXED.map((bytes) => ({ name: `fixed, ${formatBytes(bytes)}`, chunk: String(bytes) }))];

interface Run {
  seconds: number;
  requests: number;
  broken: number;
  passed: number;
}

export const adaptiveChunks: Scenario = {
  name: 'adaptive-chunks',
  about: 'the client’s chunks on a line where 2 % of the requests break',
  devices: ['tmpfs'],
  bytes: () => 3 * FILE_BYTES,
  run: onEachDevice(run),
};

async function run(settings: Settings, device: Device): Promise<Report> {
  await using landfall = await LandfallWithFilm.open(device, FILE_BYTES);
  const found = new Map<Choice, Run[]>(CHOICES.map((choice) => [choice, []]));
  for (let round = 0; round < settings.rounds; round++) {
    for (let turn = 0; turn < CHOICES.length; turn++) {
      const choice = CHOICES[(round + turn) % CHOICES.length] ?? ADAPTIVE;
      const before = (found.get(choice) ?? []).reduce((sum, { requests }) => sum + requests, 0);
      const result = await send(choice, landfall, before);
      const stored = landfall.storedBytes();
      if (stored < FILE_BYTES) throw new Error(`${choice.name}: ${stored} bytes arrived. ${landfall.lastWords()}`);
      found.get(choice)?.push(result);
      landfall.clear();
      settings.log(`round ${round + 1}, ${choice.name}: ${result.seconds.toFixed(1)} s, ${result.broken} of ${result.requests} broken`);
    }
  }
  return report(settings, device, found);
}

async function send({ chunk }: Choice, { film, port }: LandfallWithFilm, requestsBefore: number): Promise<Run> {
  let requests = 0;
  let broken = 0;
  await using proxy = await startFaultProxy({
    upstream: `http://127.0.0.1:${port}`,
    onRequest: ({ headers }) => {
      if ((requestsBefore + requests++) % ONE_IN !== FIRST_AFTER) return undefined;
      broken += 1;
      const afterBytes = Math.floor(Math.random() * Number(headers['content-length'] ?? 0));
      return afterBytes === 0 ? { kind: 'drop-response' } : { kind: 'cut', afterBytes, how: 'rst' };
    },
  });
  await using line = await Line.open({ upstream: Number(new URL(proxy.url).port), ...LINE });
  const begun = performance.now();
  const script = join(REPOSITORY, 'test/bench/clients/browser-like.ts');
  const child = spawn(process.execPath, [script, film, `${line.url}/files`, chunk], { stdio: ['ignore', 'ignore', 'inherit'] });
  await once(child, 'exit');
  return { seconds: (performance.now() - begun) / 1000, requests, broken, passed: proxy.bytes };
}

function report(settings: Settings, device: Device, found: ReadonlyMap<Choice, Run[]>): Report {
  const speeds = (choice: Choice) => (found.get(choice) ?? []).map(({ seconds }) => FILE_BYTES / MIB / seconds);
  const fixed = CHOICES.filter((choice) => choice !== ADAPTIVE);
  const best = fixed.reduce((one, other) => (median(speeds(other)) > median(speeds(one)) ? other : one));
  return {
    title: `Adaptive chunks: ${formatBytes(FILE_BYTES)}, 2 % of the requests broken, ${device.name}`,
    how:
      `${settings.rounds} rounds over a TCP relay of ${formatBytes(LINE.bytesPerSecond)}/s with ${LINE.delayMs} ms each way, and a proxy behind it that breaks every ${ONE_IN}th request: ` +
      'the body at a random place, or the answer if there is no body. The sender has the chunks of a browser (8 MiB at first, 1 to 32) and the transport of Node.',
    tables: [
      {
        columns: ['', 'MiB/s', 'adaptive is', 'requests', 'broken, all rounds', 'bytes passed, of the file'],
        rows: [...found].map(([choice, runs]) => [
          choice.name,
          withSpread(speeds(choice), 1),
          choice === ADAPTIVE ? '' : `${format(medianRatio(speeds(ADAPTIVE), speeds(choice)), 2)}×`,
          format(median(runs.map(({ requests }) => requests)), 0),
          String(runs.reduce((sum, { broken }) => sum + broken, 0)),
          `${format(median(runs.map(({ passed }) => passed / FILE_BYTES)), 3)}×`,
        ]),
      },
    ],
    limits: [
      { what: `speed, of the best: ${best.name}`, measured: medianRatio(speeds(ADAPTIVE), speeds(best)), least: 0.9, digits: 2, unit: '×' },
    ],
    notes: [],
  };
}
