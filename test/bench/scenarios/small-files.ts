// Scenario small-files: the cost of an upload apart from its bytes.
import { formatBytes } from '../../../shared/units.ts';
import { FILM, PICTURE } from '../content.ts';
import type { Report } from '../report.ts';
import { FORMIDABLE, FORMS, GRANTED, LANDFALL, landfall, MULTER, NGINX, type Rival, STOCK, TUSD, UPLOADX } from '../rivals.ts';
import { runRounds, type Sample, type Work } from '../rounds.ts';
import { format, median, medianRatio, withSpread } from '../samples.ts';
import { type Device, onEachDevice, type Scenario, type Settings } from '../scenario.ts';
import { isWanted } from './large-file.ts';

const FILE_BYTES = 10 * 1024;
/** Rounds before the first one. V8 optimizes most of the functions that an upload needs after 13,000 to 17,000 uploads. */
const WARM_UP_ROUNDS = 6;
/** The limits, as a ratio to multer's uploads a second. multer only writes a form's file: no check, no sync, no record. */
const OF_MULTER: Readonly<Record<Device['name'], number>> = { tmpfs: 0.7, disk: 1 };
/** Films need a parser for their format, which runs in another thread. */
const FILMS = landfall('Landfall, `.mp4` instead of `.jpg`');
const RIVALS = [LANDFALL, FORMS, GRANTED, FILMS, STOCK, MULTER, FORMIDABLE, UPLOADX, TUSD, NGINX];

export const smallFiles: Scenario = {
  name: 'small-files',
  about: '10 KiB files through the whole finish: uploads a second',
  devices: ['tmpfs', 'disk'],
  // Each file takes up to a block more than its size, and a row.
  bytes: ({ count }) => count * FILE_BYTES * 2 * WARM_UP_ROUNDS,
  run: onEachDevice(run),
};

async function run(settings: Settings, device: Device): Promise<Report> {
  const { count, connections, rounds } = settings;
  const { samples, notes } = await runRounds({
    settings,
    device,
    rivals: RIVALS.filter((rival) => isOwn(rival) || isWanted(settings, rival)),
    bytes: count * FILE_BYTES,
    connections,
    warmUp: (work) => sendMany(work, WARM_UP_ROUNDS * count),
    beforeTurn: (work, isFirst) => sendMany(work, isFirst ? WARM_UP_ROUNDS * count : count),
    measured: (work) => sendMany(work, count),
  });
  const speeds = (rival: Rival) => (samples.get(rival) ?? []).map((sample) => count / sample.seconds);
  const ratioTo = (rival: Rival) => medianRatio(speeds(LANDFALL), speeds(rival));
  const cost = (of: readonly Sample[]) => of.map((sample) => (sample.processorSeconds / count) * 1000);
  return {
    title: `${formatBytes(FILE_BYTES)} files, ${device.name}`,
    how: `${rounds} rounds of ${count} pictures over ${connections} connections. Landfall checks, publishes and syncs each file before it answers; the others only write it.`,
    tables: [
      {
        columns: ['', 'uploads/s', 'Landfall is', 'CPU-ms an upload', 'peak RSS, MiB'],
        rows: [...samples].map(([rival, of]) => [
          rival.name,
          withSpread(speeds(rival), 0),
          rival === LANDFALL ? '' : `${format(ratioTo(rival), 2)}×`,
          withSpread(cost(of), 2),
          format(median(of.map((sample) => sample.peakBytes / 1024 ** 2)), 0),
        ]),
      },
    ],
    limits: [
      {
        what: 'uploads/s by a grant, of the open server',
        measured: medianRatio(speeds(GRANTED), speeds(LANDFALL)),
        least: 0.9,
        digits: 2,
        unit: '×',
      },
      ...(samples.has(MULTER)
        ? [FORMS, LANDFALL].map((rival) => ({
            what: `uploads/s of multer, ${rival === FORMS ? 'a form' : 'tus'}`,
            measured: medianRatio(speeds(rival), speeds(MULTER)),
            least: OF_MULTER[device.name],
            digits: 2,
            unit: '×',
          }))
        : []),
      ...(device.name === 'tmpfs' && samples.has(STOCK)
        ? [{ what: 'uploads/s, of @tus/server', measured: ratioTo(STOCK), least: 1, digits: 2, unit: '×' }]
        : []),
    ],
    notes,
  };
}

function isOwn(rival: Rival): boolean {
  return rival === LANDFALL || rival === FORMS || rival === GRANTED || rival === FILMS;
}

async function sendMany({ rival, connections }: Work, count: number): Promise<void> {
  const content = rival === FILMS ? FILM : PICTURE;
  let left = count;
  await Promise.all(
    connections.map(async (connection) => {
      while (left > 0) {
        left -= 1;
        await rival.sendSmall(connection, { content, bytes: FILE_BYTES, chunkBytes: FILE_BYTES });
      }
    }),
  );
}
