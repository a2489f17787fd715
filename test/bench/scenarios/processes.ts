// Scenario processes: the cost of letting any process serve any request: a lock that passes from one process to another, and the
// ledger in PostgreSQL.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatBytes } from '../../../shared/units.ts';
import { freePort } from '../../support/free-port.ts';
import { postgresPrograms } from '../../support/needs.ts';
import { Postgres } from '../../support/postgres.ts';
import { Connection } from '../connection.ts';
import { FILM, PICTURE, pieces } from '../content.ts';
import type { Report } from '../report.ts';
import { barePostgres, LANDFALL, landfall, type Rival } from '../rivals.ts';
import { runRounds } from '../rounds.ts';
import { median, medianRatio, withSpread } from '../samples.ts';
import { type Device, onEachDevice, type Scenario, type Settings } from '../scenario.ts';
import { appendByTus, appendHeaders, createByTus } from '../senders.ts';
import { ServerProcess } from '../server-process.ts';
import { newFolder, removeFolder } from '../work-folders.ts';

const SMALL_BYTES = 10 * 1024;
const STORED_BYTES = 64 * 1024;
const PIECE_BYTES = 1024;
const LENGTH = 4 * STORED_BYTES;
/** Takeovers of each kind in a round. */
const TRIALS = 4;
/** Short, because each round waits for the lease of a killed process to end. */
const LEASE_MS = 3000;
const LIMIT_MS = 1000;
/** Twice the ratio before group commit, when a small file took five transactions. */
const LEAST_OF_BARE = 0.35;

export const processes: Scenario = {
  name: 'processes',
  about: 'several processes: how soon a waiting PATCH takes over, and small files with the ledger on PostgreSQL',
  devices: ['disk'],
  bytes: ({ count }) => count * SMALL_BYTES * 6,
  async run(settings) {
    if (postgresPrograms() === undefined) {
      return [{ title: 'Several processes', how: 'Not measured.', tables: [], limits: [], notes: ['PostgreSQL is not installed.'] }];
    }
    const postgres = new Postgres({ fsync: true });
    await postgres.create();
    try {
      const handedOver = await onEachDevice((...given) => takeOver(postgres, ...given))(settings);
      return [...handedOver, ...(await onEachDevice((...given) => smallFiles(postgres, ...given))(settings))];
    } finally {
      await postgres.destroy();
    }
  },
};

interface Two {
  first: Connection;
  second: Connection;
}

async function takeOver(postgres: Postgres, { rounds, log }: Settings, device: Device): Promise<Report> {
  const root = newFolder(device);
  const shared = join(root, 'data');
  mkdirSync(shared);
  const { command } = landfall('', { LANDFALL_DATABASE_URL: await postgres.database(), LANDFALL_LEASE: `${LEASE_MS}ms` });
  const start = async (name: string) => {
    const directory = join(root, name);
    mkdirSync(directory, { recursive: true });
    const port = await freePort();
    return ServerProcess.start(command(shared, port), directory, port);
  };
  const [living, ...dying] = [await start('living'), await start('0')];
  const ended: number[] = [];
  const silent: number[] = [];
  const killed: number[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      const doomed = dying.at(-1) ?? (await start(String(round)));
      for (let trial = 0; trial < TRIALS; trial++) {
        ended.push(await withTwo(doomed, living, afterItsEnd));
        silent.push(await withTwo(doomed, living, afterItsSilence));
      }
      killed.push(await withTwo(doomed, living, (two) => afterItsDeath(two, () => process.kill(-doomed.group, 'SIGKILL'))));
      await doomed.stop();
      dying.push(await start(String(round + 1)));
      log(
        `round ${round + 1}: ${ended.slice(-TRIALS).map((ms) => ms.toFixed(1))} ms, ${silent.at(-1)?.toFixed(1)} ms, ${killed.at(-1)?.toFixed(0)} ms`,
      );
    }
  } finally {
    for (const server of [living, ...dying]) await server.stop();
    removeFolder(root);
  }
  return {
    title: `A PATCH takes over from another process, ${device.name}`,
    how: `${rounds} rounds of ${TRIALS} each. Two processes, one PostgreSQL. A PATCH of 1 KiB at the second process resumes where a PATCH at the first stopped. It is measured until its 204, when its bytes are synced and recorded. In the first row it has already waited for 1.5 to 2.5 s: without a notice from the holder it would look again only once a second.`,
    tables: [
      {
        columns: ['The first', 'measured from', 'ms'],
        rows: [
          ['ends its PATCH, for which the second waits', 'the end', withSpread(ended, 1)],
          ['holds a connection that has been silent for 1.5 s', 'the request at the second', withSpread(silent, 1)],
          [`is killed; its lease is ${LEASE_MS / 1000} s`, 'the kill', withSpread(killed, 0)],
        ],
      },
    ],
    limits: [
      { what: 'takeover after the end, the slowest', measured: Math.max(...ended), most: LIMIT_MS, digits: 0, unit: ' ms' },
      { what: 'takeover from a dead connection, the slowest', measured: Math.max(...silent), most: LIMIT_MS, digits: 0, unit: ' ms' },
    ],
    notes: [],
  };
}

async function withTwo(first: ServerProcess, second: ServerProcess, measure: (two: Two) => Promise<number>): Promise<number> {
  const two = { first: await Connection.open(first.port), second: await Connection.open(second.port) };
  return measure(two).finally(() => {
    two.first.close();
    two.second.close();
  });
}

async function afterItsEnd({ first, second }: Two): Promise<number> {
  const path = await createByTus(first, LENGTH);
  const end = first.begin('PATCH', path, appendHeaders(0), STORED_BYTES);
  const bytes = Buffer.concat([...pieces(FILM, 0, STORED_BYTES)]);
  const trickledMs = 1500 + Math.random() * 1000;
  const startedAt = performance.now();
  let waiting: Promise<void> | undefined;
  let at = 0;
  // Never silent for so long that the holder would release the lock.
  for (; performance.now() - startedAt < trickledMs; at += PIECE_BYTES) {
    await first.write(bytes.subarray(at, at + PIECE_BYTES));
    await sleep(100);
    waiting ??= appendByTus(second, path, STORED_BYTES, STORED_BYTES + PIECE_BYTES);
  }
  await first.write(bytes.subarray(at));
  if ((await end).status !== 204) throw new Error('The server refused the first PATCH.');
  const endedAt = performance.now();
  await waiting;
  return performance.now() - endedAt;
}

async function afterItsSilence({ first, second }: Two): Promise<number> {
  const path = await leftSilent(first);
  const startedAt = performance.now();
  await appendByTus(second, path, STORED_BYTES, STORED_BYTES + PIECE_BYTES);
  return performance.now() - startedAt;
}

async function afterItsDeath({ first, second }: Two, kill: () => void): Promise<number> {
  const path = await leftSilent(first);
  const killedAt = performance.now();
  kill();
  for (;;) {
    try {
      await appendByTus(second, path, STORED_BYTES, STORED_BYTES + PIECE_BYTES);
      return performance.now() - killedAt;
    } catch (error) {
      // 423 until the lease is over.
      if (performance.now() - killedAt > 5 * LEASE_MS) throw error;
    }
  }
}

/** Starts an upload whose sender falls silent on an open connection. */
async function leftSilent(connection: Connection): Promise<string> {
  const path = await createByTus(connection, LENGTH);
  void connection.begin('PATCH', path, appendHeaders(0), LENGTH);
  for (const piece of pieces(FILM, 0, STORED_BYTES)) await connection.write(piece);
  await sleep(1500);
  return path;
}

async function smallFiles(postgres: Postgres, settings: Settings, device: Device): Promise<Report> {
  const { count, connections, rounds } = settings;
  const shared = landfall('Landfall, PostgreSQL', { LANDFALL_DATABASE_URL: await postgres.database() });
  const least = barePostgres(await postgres.database());
  const send = async (rival: Rival, to: readonly Connection[]) => {
    let left = count;
    await Promise.all(
      to.map(async (connection) => {
        while (left-- > 0) await rival.sendSmall(connection, { content: PICTURE, bytes: SMALL_BYTES, chunkBytes: SMALL_BYTES });
      }),
    );
  };
  const { samples, notes } = await runRounds({
    settings,
    device,
    rivals: [LANDFALL, shared, least],
    bytes: count * SMALL_BYTES,
    connections,
    warmUp: ({ rival, connections: to }) => send(rival, to),
    measured: ({ rival, connections: to }) => send(rival, to),
  });
  const speeds = (rival: Rival) => (samples.get(rival) ?? []).map(({ seconds }) => count / seconds);
  return {
    title: `${formatBytes(SMALL_BYTES)} files by the place of the ledger, ${device.name}`,
    how: `${rounds} rounds of ${count} pictures over ${connections} connections, one process each. PostgreSQL runs beside it, with fsync; its processor time is not in the table. The last row is a server that only writes and syncs the bytes, and makes two transactions on one row.`,
    tables: [
      {
        columns: ['', 'uploads/s', 'of SQLite', 'CPU-ms an upload'],
        rows: [LANDFALL, shared, least].map((rival) => [
          rival.name,
          withSpread(speeds(rival), 0),
          rival === LANDFALL ? '' : `${medianRatio(speeds(rival), speeds(LANDFALL)).toFixed(2)}×`,
          median((samples.get(rival) ?? []).map((sample) => (sample.processorSeconds / count) * 1000)).toFixed(2),
        ]),
      },
    ],
    limits: [
      {
        what: 'uploads/s with PostgreSQL, of the bytes and two transactions',
        measured: medianRatio(speeds(shared), speeds(least)),
        least: LEAST_OF_BARE,
        digits: 2,
        unit: '×',
      },
    ],
    notes,
  };
}
