// Scenario archives: the cost of inspecting a directory of a million entries, from the last byte to the verdict.
import { setTimeout as sleep } from 'node:timers/promises';
import { formatBytes } from '../../../shared/units.ts';
import { freePort } from '../../support/free-port.ts';
import { tarOfMany } from '../../support/tar-fixtures.ts';
import { zipOfMany } from '../../support/zip-fixtures.ts';
import { Connection } from '../connection.ts';
import type { Report } from '../report.ts';
import { clearStores, LANDFALL } from '../rivals.ts';
import { format, median, withSpread } from '../samples.ts';
import { type Device, onEachDevice, type Scenario, type Settings } from '../scenario.ts';
import { appendHeaders, createByTus } from '../senders.ts';
import { ServerProcess } from '../server-process.ts';
import { newFolder, removeFolder } from '../work-folders.ts';

const ENTRIES = 1_000_000;
/** The size of the largest archive: a tar has a block of 512 bytes for each entry. */
const BYTES = ENTRIES * 512;
const PIECE_BYTES = 1024 * 1024;
/** The system counts processor time in hundredths of a second, by timers that are late. */
const SETTLED_MS = 200;

export const archives: Scenario = {
  name: 'archives',
  about: 'the cost of inspecting a zip and a tar of 1,000,000 entries, from the last byte to the verdict',
  devices: ['disk'],
  bytes: () => BYTES,
  run: onEachDevice(run),
};

interface Archive {
  what: string;
  name: string;
  type: string;
  content: Buffer;
  cpuSeconds: number[];
  ms: number[];
}

async function run(settings: Settings, device: Device): Promise<Report> {
  const directory = newFolder(device);
  const port = await freePort();
  const server = await ServerProcess.start(LANDFALL.command(directory, port), directory, port);
  const connection = await Connection.open(port);
  const kinds: Archive[] = [
    { what: 'zip', name: 'a.zip', type: 'application/zip', content: zipOfMany(ENTRIES), cpuSeconds: [], ms: [] },
    {
      what: 'zip, backwards',
      name: 'a.zip',
      type: 'application/zip',
      content: zipOfMany(ENTRIES, { backwards: true }),
      cpuSeconds: [],
      ms: [],
    },
    { what: 'tar', name: 'a.tar', type: 'application/x-tar', content: tarOfMany(ENTRIES), cpuSeconds: [], ms: [] },
  ];
  try {
    for (let round = -1; round < settings.rounds; round++) {
      for (const archive of kinds) {
        const found = await finish(server, connection, archive);
        // The first round is the warm-up.
        if (round < 0) continue;
        archive.cpuSeconds.push(found.cpuSeconds);
        archive.ms.push(found.ms);
      }
      clearStores(LANDFALL, directory);
      settings.log(
        `round ${round + 1} on ${device.name}: ${kinds.map(({ what, cpuSeconds }) => `${what} ${format(cpuSeconds.at(-1) ?? 0, 2)} s`).join(', ')}`,
      );
    }
  } finally {
    connection.close();
    await server.stop();
    removeFolder(directory);
  }
  return {
    title: `Archives of 1,000,000 entries, ${device.name}`,
    how: `${settings.rounds} rounds. All bytes but the last are sent first. The benchmark then measures the request with the last byte, until its 204: every rule of archives, publishing, ledger.`,
    tables: [
      {
        columns: ['', 'Length', 'CPU-s', 'ms'],
        rows: kinds.map(({ what, content, cpuSeconds, ms }) => [
          what,
          formatBytes(content.length),
          withSpread(cpuSeconds, 2),
          withSpread(ms, 0),
        ]),
      },
    ],
    limits: kinds.map(({ what, cpuSeconds }) => ({ what: `CPU, ${what}`, measured: median(cpuSeconds), most: 1, digits: 2, unit: ' s' })),
    notes: [],
  };
}

/** Sends an archive, and measures only the request with its last byte. */
async function finish(
  server: ServerProcess,
  connection: Connection,
  { name, type, content }: Archive,
): Promise<{ cpuSeconds: number; ms: number }> {
  const path = await createByTus(connection, content.length, { name, type, head: content });
  const last = content.length - 1;
  await append(connection, path, content, 0, last);
  await sleep(SETTLED_MS);
  const cpuBefore = server.processorSeconds();
  const startedAt = performance.now();
  await append(connection, path, content, last, content.length);
  const ms = performance.now() - startedAt;
  await sleep(SETTLED_MS);
  return { cpuSeconds: server.processorSeconds() - cpuBefore, ms };
}

async function append(connection: Connection, path: string, content: Buffer, from: number, to: number): Promise<void> {
  function* pieces(): Generator<Buffer> {
    for (let start = from; start < to; start += PIECE_BYTES) yield content.subarray(start, Math.min(start + PIECE_BYTES, to));
  }
  const answer = await connection.request('PATCH', path, appendHeaders(from), { bytes: to - from, pieces: pieces() });
  if (answer.status !== 204 || answer.headers.get('upload-offset') !== String(to)) {
    throw new Error(`Answered ${answer.status} at ${answer.headers.get('upload-offset')} of ${to} bytes: ${answer.body.slice(0, 400)}`);
  }
}
