// Scenario many-uploads: ten thousand slow uploads at once on one process, on a busy disk, too; then all senders leave at once.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { REPOSITORY } from '../../support/repository.ts';
import { Connection } from '../connection.ts';
import { FILM } from '../content.ts';
import { HealthWatch } from '../health-watch.ts';
import { lookInTurn, probedRivals } from '../probed-rivals.ts';
import { type Probed, type ProbedServer, startProbed, UNTIL_IDLE_MS } from '../probed-server.ts';
import type { Limit, Report } from '../report.ts';
import { format, median, withSpread } from '../samples.ts';
import { type Device, onEachDevice, type Scenario, type Settings } from '../scenario.ts';
import { sendByTus } from '../senders.ts';
import { SlowSenders } from '../slow-senders.ts';
import { newFolder, removeFolder } from '../work-folders.ts';

/** So many times `--senders`. */
const TIMES = 10;
const BYTES_PER_SECOND = 3 * 1024;
/** Length of each upload. It lasts longer than the measurement. */
const UPLOAD_BYTES = 1024 ** 2;
/** Sent before anything is measured, so that the idle server has already worked. */
const SMALL_UPLOADS = 1000;
const SMALL_BYTES = 10 * 1024;
const LOOKS = 10;
/** The server must have given its memory back this long after all senders left. */
const AFTERWARDS_MS = 30_000;
const MIB = 1024 ** 2;

interface Leaving {
  /** The minimum after all senders left. */
  leftRssBytes: number;
  leavingDelayMs: number;
  leavingHealthMs: number;
}

interface Found extends Leaving {
  idleRssBytes: number;
  /** The maximum while the uploads run. */
  rssBytes: number;
  delayP99Ms: number;
  controlP99Ms: number;
  processorShare: number;
  /** Descriptors beyond those of the idle server, divided by the number of uploads. */
  descriptors: number;
  /** The longest wait for /health/live while the uploads run. */
  healthMs: number;
}

export const manyUploads: Scenario = {
  name: 'many-uploads',
  about: 'ten times --senders slow uploads at once, on a busy disk, too; then all senders leave at once',
  devices: ['tmpfs', 'disk'],
  bytes: ({ senders }) => TIMES * senders * UPLOAD_BYTES,
  run: onEachDevice(run),
};

async function run(settings: Settings, device: Device): Promise<Report> {
  const uploads = TIMES * settings.senders;
  const rivals = probedRivals<Found>();
  const notes = await lookInTurn(settings, rivals, (probed) => look(uploads, device, probed));
  const busy = device.name === 'disk' ? ' Another process writes to the same disk and syncs, without a pause.' : '';
  return {
    title: `${uploads} slow uploads at once, ${device.name}`,
    how: `${settings.rounds} rounds, each with new server processes. ${uploads} uploads send ${BYTES_PER_SECOND / 1024} KiB a second each; then all connections break at once. The control is an idle server of the same kind.${busy} A separate process asks for /health/live.`,
    tables: [
      {
        columns: [
          '',
          'RSS over idle, MiB',
          `${AFTERWARDS_MS / 1000} s after all left, MiB`,
          'loop delay p99 over control, ms',
          'longest, as all leave, ms',
          'longest without a response, ms',
          'as all leave, ms',
          'descriptors an upload',
          'CPU, cores',
        ],
        rows: rivals.filter(({ found }) => found.length > 0).map(({ name, found }) => rowOf(name, found)),
      },
    ],
    limits: limitsOf(rivals[0]?.found ?? []),
    notes,
  };
}

const growth = (found: readonly Found[]) => found.map((each) => (each.rssBytes - each.idleRssBytes) / MIB);
const kept = (found: readonly Found[]) => found.map((each) => (each.leftRssBytes - each.idleRssBytes) / MIB);
const delay = (found: readonly Found[]) => found.map((each) => each.delayP99Ms - each.controlP99Ms);
const numbers = (found: readonly Found[], key: keyof Found) => found.map((each) => each[key]);

function rowOf(name: string, found: readonly Found[]): string[] {
  return [
    name,
    withSpread(growth(found), 0),
    withSpread(kept(found), 0),
    withSpread(delay(found), 1),
    withSpread(numbers(found, 'leavingDelayMs'), 0),
    withSpread(numbers(found, 'healthMs'), 0),
    withSpread(numbers(found, 'leavingHealthMs'), 0),
    format(median(numbers(found, 'descriptors')), 2),
    withSpread(numbers(found, 'processorShare'), 2),
  ];
}

function limitsOf(ours: readonly Found[]): Limit[] {
  const leaving = ours.map((each) => Math.max(each.leavingDelayMs, each.leavingHealthMs));
  return [
    { what: 'RSS over idle', measured: median(growth(ours)), most: 250, digits: 0, unit: ' MiB' },
    { what: 'RSS over idle after all left', measured: median(kept(ours)), most: 50, digits: 0, unit: ' MiB' },
    { what: 'Event-loop delay p99 over the idle control', measured: median(delay(ours)), most: 20, digits: 1, unit: ' ms' },
    { what: 'Longest delay, or time without a response, as all leave', measured: Math.max(...leaving), most: 250, digits: 0, unit: ' ms' },
    { what: 'Descriptors an upload', measured: median(numbers(ours, 'descriptors')), most: 1.02, digits: 2, unit: '' },
  ];
}

async function look(uploads: number, device: Device, probed: Probed): Promise<Found> {
  const folder = newFolder(device);
  const loaded = await startProbed(probed, join(folder, 'loaded'));
  const control = await startProbed(probed, join(folder, 'control'));
  const health = new HealthWatch(loaded.server.port);
  const busy = device.name === 'disk' ? keepBusy(join(folder, 'busy')) : undefined;
  let senders: SlowSenders | undefined;
  try {
    await warmUp(loaded);
    await sleep(UNTIL_IDLE_MS);
    const { rssBytes: idleRssBytes } = await loaded.probe();
    const idleDescriptors = loaded.server.descriptors();
    senders = await SlowSenders.start(loaded.server.port, { uploads, bytesPerSecond: BYTES_PER_SECOND, length: UPLOAD_BYTES });
    await Promise.all([loaded.probe(), control.probe(), health.longestMs()]);
    const cpuBefore = loaded.server.processorSeconds();
    const looks: { delayP99Ms: number; controlP99Ms: number; rssBytes: number; descriptors: number }[] = [];
    for (let each = 0; each < LOOKS; each++) {
      await sleep(1000);
      const descriptors = loaded.server.descriptors() - idleDescriptors;
      const [{ delayP99Ms, rssBytes }, beside] = await Promise.all([loaded.probe(), control.probe()]);
      looks.push({ delayP99Ms, rssBytes, controlP99Ms: beside.delayP99Ms, descriptors });
    }
    const processorShare = (loaded.server.processorSeconds() - cpuBefore) / LOOKS;
    const healthMs = await health.longestMs();
    senders.leave();
    return {
      idleRssBytes,
      rssBytes: Math.max(...looks.map((each) => each.rssBytes)),
      delayP99Ms: median(looks.map((each) => each.delayP99Ms)),
      controlP99Ms: median(looks.map((each) => each.controlP99Ms)),
      processorShare,
      descriptors: Math.max(...looks.map((each) => each.descriptors)) / uploads,
      healthMs,
      ...(await observeLeaving(loaded, health)),
    };
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${message} ${loaded.server.lastWords()}`.trim(), { cause });
  } finally {
    senders?.leave();
    busy?.kill('SIGKILL');
    health.stop();
    await loaded.stop();
    await control.stop();
    removeFolder(folder);
  }
}

/** After these uploads, V8 has compiled the code and the buffers have grown. */
async function warmUp({ server }: ProbedServer): Promise<void> {
  const connection = await Connection.open(server.port);
  for (let each = 0; each < SMALL_UPLOADS; each++)
    await sendByTus(connection, { content: FILM, bytes: SMALL_BYTES, chunkBytes: SMALL_BYTES });
  connection.close();
}

async function observeLeaving(loaded: ProbedServer, health: HealthWatch): Promise<Leaving> {
  let leftRssBytes = Number.POSITIVE_INFINITY;
  let leavingDelayMs = 0;
  for (let passedMs = 0; passedMs < AFTERWARDS_MS; passedMs += 1000) {
    await sleep(1000);
    const { rssBytes, delayMaxMs } = await loaded.probe();
    leftRssBytes = Math.min(leftRssBytes, rssBytes);
    leavingDelayMs = Math.max(leavingDelayMs, delayMaxMs);
  }
  return { leftRssBytes, leavingDelayMs, leavingHealthMs: await health.longestMs() };
}

function keepBusy(path: string): ChildProcess {
  return spawn(process.execPath, [join(REPOSITORY, 'test/bench/busy-disk.ts'), path], { stdio: ['ignore', 'ignore', 'inherit'] });
}
