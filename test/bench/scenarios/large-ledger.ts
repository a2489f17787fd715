// Scenario large-ledger: the cost of a request, and of sweeping, must grow with the work and not with the history.
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '../connection.ts';
import { countReceiving, someAccepted, writeExpired, writeHistory } from '../ledger-rows.ts';
import { startProbed } from '../probed-server.ts';
import type { Report, Table } from '../report.ts';
import { probedLandfall } from '../rivals.ts';
import { format, median, medianRatio, withSpread } from '../samples.ts';
import type { Device, Scenario, Settings } from '../scenario.ts';
import { createByTus, headByTus } from '../senders.ts';
import { newFolder, removeFolder } from '../work-folders.ts';

const REQUESTS = 1000;
const SMALL_ROWS = 1000;
const EXPIRED_ROWS = 10_000;
/** Disk space of a row: with its entries in the indexes, and once more in the log while it is written. */
const ROW_BYTES = 2048;
/** Short enough that the first pass comes soon, long enough that the measured sweeping is a single pass. */
const SWEEP_INTERVAL_MS = 3000;

export const largeLedger: Scenario = {
  name: 'large-ledger',
  about: 'creation, HEAD and sweeping in a ledger with --rows rows and in a small one',
  devices: ['disk'],
  bytes: ({ rows }) => rows * ROW_BYTES + EXPIRED_ROWS * 4096,
  async run(settings) {
    const reports: Report[] = [];
    for (const device of settings.devices) {
      const large = newFolder(device);
      settings.log(`writing ${settings.rows} rows`);
      await writeHistory(large, settings.rows);
      const small = newFolder(device);
      await writeHistory(small, SMALL_ROWS);
      reports.push(await measureRequests(settings, device, small, large), await measureSweep(settings, device, large));
      removeFolder(large);
      removeFolder(small);
    }
    return reports;
  },
};

interface Times {
  creation: number[];
  head: number[];
  oldHead: number[];
}

async function measureRequests({ rounds, rows, log }: Settings, device: Device, small: string, large: string): Promise<Report> {
  const ledgers = await Promise.all(
    [small, large].map(async (directory) => {
      const observed = await startProbed(probedLandfall(), directory);
      const connection = await Connection.open(observed.server.port);
      const times: Times = { creation: [], head: [], oldHead: [] };
      return { ...observed, connection, directory, times };
    }),
  );
  try {
    for (let round = -1; round < rounds; round++) {
      for (const { connection, directory, times } of round % 2 === 0 ? ledgers : ledgers.toReversed()) {
        const found = await request(connection, someAccepted(directory, REQUESTS));
        // The first round is the warm-up.
        if (round >= 0) for (const key of ['creation', 'head', 'oldHead'] as const) times[key].push(found[key]);
      }
      log(`round ${round + 1}`);
    }
  } finally {
    for (const { connection, stop } of ledgers) {
      connection.close();
      await stop();
    }
  }
  const [of, among] = ledgers.map(({ times }) => times);
  if (of === undefined || among === undefined) throw new Error('Two ledgers must be measured.');
  const row = (what: string, key: keyof Times): string[] => [
    what,
    withSpread(of[key], 3),
    withSpread(among[key], 3),
    `${format(medianRatio(among[key], of[key]), 2)}×`,
  ];
  const limit = (what: string, key: keyof Times) => ({ what, measured: medianRatio(among[key], of[key]), most: 1.2, digits: 2, unit: '×' });
  return {
    title: `A ledger with ${rows} rows, ${device.name}`,
    how: `${rounds} rounds of ${REQUESTS} requests each, one after another on one connection; milliseconds a request.`,
    tables: [
      {
        columns: ['ms', `${SMALL_ROWS} rows`, `${rows} rows`, ''],
        rows: [
          row('Creation', 'creation'),
          row('HEAD of an upload just created', 'head'),
          row('HEAD of any upload ever accepted', 'oldHead'),
        ],
      },
    ],
    limits: [limit('Creation, of a small ledger', 'creation'), limit('HEAD, of a small ledger', 'head')],
    notes: [],
  };
}

/** The median milliseconds of each kind of request. */
async function request(connection: Connection, accepted: readonly string[]): Promise<Record<keyof Times, number>> {
  const created: string[] = [];
  const creation: number[] = [];
  for (let each = 0; each < REQUESTS; each++)
    creation.push(await timed(async () => created.push(await createByTus(connection, 1_000_000))));
  const head: number[] = [];
  for (const path of created) head.push(await timed(() => headByTus(connection, path)));
  const oldHead: number[] = [];
  for (const id of accepted) oldHead.push(await timed(() => headByTus(connection, `/files/${id}`)));
  return { creation: median(creation), head: median(head), oldHead: median(oldHead) };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

async function measureSweep({ rounds, rows, log }: Settings, device: Device, large: string): Promise<Report> {
  const sweeping = probedLandfall({ LANDFALL_SWEEP_INTERVAL: `${SWEEP_INTERVAL_MS}ms` });
  const found: { seconds: number; delayMaxMs: number; controlMaxMs: number; delayP99Ms: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    const kept = countReceiving(large);
    await writeExpired(large, EXPIRED_ROWS);
    const beside = newFolder(device);
    const control = await startProbed(probedLandfall(), beside);
    const loaded = await startProbed(sweeping, large);
    try {
      await sleep(SWEEP_INTERVAL_MS / 2);
      await Promise.all([loaded.probe(), control.probe()]);
      const startedAt = performance.now() + SWEEP_INTERVAL_MS / 2;
      while (countReceiving(large) > kept) await sleep(250);
      const [probe, idle] = await Promise.all([loaded.probe(), control.probe()]);
      found.push({
        seconds: (performance.now() - startedAt) / 1000,
        delayMaxMs: probe.delayMaxMs,
        delayP99Ms: probe.delayP99Ms,
        controlMaxMs: idle.delayMaxMs,
      });
    } finally {
      await loaded.stop();
      await control.stop();
      removeFolder(beside);
    }
    log(`round ${round + 1}: ${JSON.stringify(found.at(-1))}`);
  }
  const table: Table = {
    columns: ['', 'seconds', 'longest event-loop delay, ms', 'p99, ms', "idle control's longest, ms"],
    rows: [
      [
        `Sweeping ${EXPIRED_ROWS} of ${rows}`,
        withSpread(
          found.map((each) => each.seconds),
          1,
        ),
        withSpread(
          found.map((each) => each.delayMaxMs),
          1,
        ),
        withSpread(
          found.map((each) => each.delayP99Ms),
          1,
        ),
        withSpread(
          found.map((each) => each.controlMaxMs),
          1,
        ),
      ],
    ],
  };
  return {
    title: `Sweeping, ${device.name}`,
    how: `${rounds} rounds: ${EXPIRED_ROWS} unfinished uploads with staged bytes have expired among ${rows} rows.`,
    tables: [table],
    limits: [
      {
        what: "Longest event-loop delay over the idle control's",
        measured: median(found.map((each) => each.delayMaxMs - each.controlMaxMs)),
        most: 50,
        digits: 1,
        unit: ' ms',
      },
    ],
    notes: [],
  };
}
