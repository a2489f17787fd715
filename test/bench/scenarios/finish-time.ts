// Scenario finish-time: once the bytes are durable, acceptance must not take longer for a larger file.

import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatBytes } from '../../../shared/units.ts';
import { freePort } from '../../support/free-port.ts';
import { Connection } from '../connection.ts';
import type { Report } from '../report.ts';
import { clearStores, LANDFALL } from '../rivals.ts';
import { median, medianRatio, withSpread } from '../samples.ts';
import { type Device, onEachDevice, type Scenario, type Settings } from '../scenario.ts';
import { appendByTus, createByTus } from '../senders.ts';
import { ServerProcess } from '../server-process.ts';
import { newFolder, removeFolder } from '../work-folders.ts';

const SMALL_BYTES = 4 * 1024 * 1024;
/** Several in each round, because small files are sent quickly and their times are short. */
const SMALL_FILES = 5;

export const finishTime: Scenario = {
  name: 'finish-time',
  about: 'from the last byte to the verdict, for 4 MiB and for twice --size',
  devices: ['disk'],
  bytes: ({ size }) => size * 2 + SMALL_FILES * SMALL_BYTES,
  run: onEachDevice(run),
};

async function run(settings: Settings, device: Device): Promise<Report> {
  const directory = newFolder(device);
  const port = await freePort();
  const server = await ServerProcess.start(LANDFALL.command(directory, port), directory, port);
  const connection = await Connection.open(port);
  const largeBytes = settings.size * 2;
  const small: number[] = [];
  const large: number[] = [];
  try {
    await finish(connection, directory, SMALL_BYTES);
    for (let round = 0; round < settings.rounds; round++) {
      const times: number[] = [];
      for (let each = 0; each < SMALL_FILES; each++) times.push(await finish(connection, directory, SMALL_BYTES));
      small.push(median(times));
      large.push(await finish(connection, directory, largeBytes));
      clearStores(LANDFALL, directory);
      settings.log(`round ${round + 1} on ${device.name}: ${small.at(-1)?.toFixed(1)} ms and ${large.at(-1)?.toFixed(1)} ms`);
    }
  } finally {
    connection.close();
    await server.stop();
    removeFolder(directory);
  }
  return {
    title: `Finish time, ${device.name}`,
    how: `${settings.rounds} rounds. The benchmark sends all bytes but the last and syncs them to the device. It then measures the request with the last byte, until its 204: inspection, publishing, ledger.`,
    tables: [
      {
        columns: ['Length', 'ms'],
        rows: [
          [formatBytes(SMALL_BYTES), withSpread(small, 1)],
          [formatBytes(largeBytes), withSpread(large, 1)],
        ],
      },
    ],
    limits: [
      {
        what: `${formatBytes(largeBytes)}, of ${formatBytes(SMALL_BYTES)}`,
        measured: medianRatio(large, small),
        most: 3,
        digits: 2,
        unit: '×',
      },
    ],
    notes: [],
  };
}

/** Milliseconds from the last byte to the answer that acknowledges it. */
async function finish(connection: Connection, directory: string, bytes: number): Promise<number> {
  const path = await createByTus(connection, bytes);
  await appendByTus(connection, path, 0, bytes - 1);
  const id = path.slice(path.lastIndexOf('/') + 1);
  const staged = await open(join(directory, 'staging', id.slice(0, 2), id));
  await staged.sync().finally(() => staged.close());
  await sleep(100);
  const startedAt = performance.now();
  await appendByTus(connection, path, bytes - 1, bytes);
  return performance.now() - startedAt;
}
