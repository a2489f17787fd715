// Scenarios one-patch and chunks: the cost of a byte.
import { formatBytes } from '../../../shared/units.ts';
import { FILM } from '../content.ts';
import type { Limit, Report, Table } from '../report.ts';
import { FORMIDABLE, LANDFALL, landfall, MULTER, NGINX, type Rival, STOCK, STOCK_CHECKSUM, TUSD, UPLOADX } from '../rivals.ts';
import { runRounds, type Sample } from '../rounds.ts';
import { format, median, medianRatio, withSpread } from '../samples.ts';
import { type Device, onEachDevice, type Scenario, type Settings } from '../scenario.ts';

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
const WARM_UP_BYTES = 64 * MIB;

const CHUNK_DURABILITY = landfall('Landfall, durability `chunk`', { LANDFALL_DURABILITY: 'chunk' });
const FINISH_DURABILITY = landfall('Landfall, durability `finish`', { LANDFALL_DURABILITY: 'finish' });

export const onePatch: Scenario = {
  name: 'one-patch',
  about: 'one large file in one request: processor seconds per GiB',
  devices: ['tmpfs'],
  bytes: ({ size }) => size,
  run: (settings) =>
    eachDevice(settings, {
      title: `${formatBytes(settings.size)} in one request`,
      chunk: settings.size,
      rivals: [LANDFALL, STOCK_CHECKSUM, STOCK, MULTER, FORMIDABLE, UPLOADX, TUSD, NGINX],
      limits: (ratio, speed) => [
        { what: 'CPU, of @tus/server with CRC-32', measured: ratio(STOCK_CHECKSUM), most: 0.6, digits: 2, unit: '×' },
        { what: 'CPU, of @tus/server', measured: ratio(STOCK), most: 0.5, digits: 2, unit: '×' },
        { what: 'CPU, of tusd', measured: ratio(TUSD), most: 1.15, digits: 2, unit: '×' },
        { what: 'CPU, of nginx', measured: ratio(NGINX), most: 1, digits: 2, unit: '×' },
        { what: 'MiB/s, of tusd', measured: speed(TUSD), least: 0.95, digits: 2, unit: '×' },
      ],
    }),
};

export const chunks: Scenario = {
  name: 'chunks',
  about: 'one large file in chunks: processor seconds per GiB',
  devices: ['tmpfs'],
  bytes: ({ size }) => size,
  run: (settings) =>
    eachDevice(settings, {
      title: `${formatBytes(settings.size)} in chunks of ${formatBytes(settings.chunk)}`,
      chunk: settings.chunk,
      rivals: [LANDFALL, STOCK_CHECKSUM, STOCK, UPLOADX, TUSD],
      limits: (ratio, speed) => [
        { what: 'CPU, of @tus/server', measured: ratio(STOCK), most: 0.6, digits: 2, unit: '×' },
        { what: 'CPU, of @tus/server with CRC-32', measured: ratio(STOCK_CHECKSUM), most: 0.6, digits: 2, unit: '×' },
        { what: 'CPU, of tusd', measured: ratio(TUSD), most: 1.2, digits: 2, unit: '×' },
        { what: 'MiB/s, of tusd', measured: speed(TUSD), least: 0.95, digits: 2, unit: '×' },
      ],
    }),
};

export const durability: Scenario = {
  name: 'durability',
  about: 'the cost of making every acknowledged offset durable',
  devices: ['disk'],
  bytes: ({ size }) => size,
  async run(settings) {
    const kind = {
      how: ' `finish` syncs a file before its acceptance, `chunk` also before every acknowledged offset; the stock server never does.',
      ours: '`finish`',
      rivals: [FINISH_DURABILITY, CHUNK_DURABILITY, STOCK],
      limits: () => [],
    };
    const size = formatBytes(settings.size);
    const all = { ...settings, rivals: [] };
    const inOne = { ...kind, title: `Durability: ${size} in one request`, chunk: settings.size };
    const inChunks = { ...kind, title: `Durability: ${size} in chunks of ${formatBytes(settings.chunk)}`, chunk: settings.chunk };
    return [...(await eachDevice(all, inOne)), ...(await eachDevice(all, inChunks))];
  },
};

interface Kind {
  title: string;
  how?: string;
  /** A short name for the first rival. */
  ours?: string;
  chunk: number;
  /** The first is compared with each of the others. */
  rivals: readonly Rival[];
  limits(ratioTo: (rival: Rival) => number, speedOf: (rival: Rival) => number): Limit[];
}

function eachDevice(settings: Settings, kind: Kind): Promise<Report[]> {
  return onEachDevice((_, device) => run(settings, kind, device))(settings);
}

async function run(settings: Settings, kind: Kind, device: Device): Promise<Report> {
  const { size, rounds } = settings;
  const rivals = kind.rivals.filter((rival, index) => index === 0 || isWanted(settings, rival));
  const { samples, notes } = await runRounds({
    settings,
    device,
    rivals,
    bytes: size,
    connections: 1,
    warmUp: ({ rival, connections: [connection] }) => send(rival, connection, Math.min(size, WARM_UP_BYTES), kind.chunk),
    measured: ({ rival, connections: [connection] }) => send(rival, connection, size, kind.chunk),
  });
  const compared = (measured: (of: readonly Sample[]) => number[]) => (rival: Rival) =>
    medianRatio(measured(samples.get(kind.rivals[0] ?? rival) ?? []), measured(samples.get(rival) ?? []));
  const ratioTo = compared(costs);
  return {
    title: `${kind.title}, ${device.name}`,
    how: `${rounds} rounds; processor seconds of the server per GiB received.${kind.how ?? ''}`,
    tables: [table(samples, ratioTo)],
    limits: kind.limits(ratioTo, compared(speeds)).filter((limit) => Number.isFinite(limit.measured)),
    notes,
  };

  function costs(of: readonly Sample[]): number[] {
    return of.map((sample) => (sample.processorSeconds * GIB) / size);
  }

  function speeds(of: readonly Sample[]): number[] {
    return of.map((sample) => size / MIB / sample.seconds);
  }

  function table(found: ReadonlyMap<Rival, Sample[]>, ratio: (rival: Rival) => number): Table {
    return {
      columns: ['', 'CPU-s/GiB', `${kind.ours ?? 'Landfall'} is`, 'MiB/s', 'peak RSS, MiB'],
      rows: [...found].map(([rival, of], index) => [
        rival.name,
        withSpread(costs(of), 2),
        index === 0 ? '' : `${format(ratio(rival), 2)}×`,
        withSpread(speeds(of), 0),
        format(median(of.map((sample) => sample.peakBytes / MIB)), 0),
      ]),
    };
  }
}

async function send(rival: Rival, connection: Parameters<Rival['send']>[0] | undefined, bytes: number, chunk: number): Promise<void> {
  if (connection === undefined) throw new Error('Sending needs a connection.');
  await rival.send(connection, { content: FILM, bytes, chunkBytes: Math.min(chunk, bytes) });
}

export function isWanted(settings: Settings, rival: Rival): boolean {
  return settings.rivals.length === 0 || settings.rivals.some((part) => rival.name.toLowerCase().includes(part.toLowerCase()));
}
