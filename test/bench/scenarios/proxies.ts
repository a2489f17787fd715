// Scenario proxies: HTTP/2 against HTTP/1.1 for a distant sender, through each reverse proxy of docs/operations.md.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { formatBytes } from '../../../shared/units.ts';
import { DOCUMENTED_PROXIES, type DocumentedProxy, pathOf } from '../../support/documented-proxies.ts';
import { freePort } from '../../support/free-port.ts';
import { Line } from '../../support/line.ts';
import { REPOSITORY } from '../../support/repository.ts';
import { Connection } from '../connection.ts';
import { LandfallWithFilm } from '../landfall-with-film.ts';
import type { Report } from '../report.ts';
import { medianRatio, withSpread } from '../samples.ts';
import { type Device, onEachDevice, type Scenario, type Settings } from '../scenario.ts';
import { createByTus } from '../senders.ts';
import { ServerProcess } from '../server-process.ts';
import { newFolder, removeFolder } from '../work-folders.ts';

const MIB = 1024 ** 2;
const FILE_BYTES = 24 * MIB;
/** A fast line at home, to a server on another continent. With HTTP/2's usual window of 64 KiB, it would reach a twelfth of its speed. */
const LINE = { bytesPerSecond: 8 * MIB, delayMs: 50 };
const LEAST = 0.8;

const PROTOCOLS = ['h1', 'h2'] as const;
type Seconds = Record<(typeof PROTOCOLS)[number], number[]>;

export const proxies: Scenario = {
  name: 'proxies',
  about: 'HTTP/2 beside HTTP/1.1 at 100 ms, through each documented proxy that is installed',
  devices: ['tmpfs'],
  bytes: () => 3 * FILE_BYTES,
  run: onEachDevice(run),
};

async function run(settings: Settings, device: Device): Promise<Report> {
  await using landfall = await LandfallWithFilm.open(device, FILE_BYTES);
  const folder = newFolder(device);
  const found = new Map<DocumentedProxy, Seconds>();
  const notes: string[] = [];
  try {
    for (const proxy of DOCUMENTED_PROXIES) {
      const program = pathOf(proxy);
      if (program === undefined) notes.push(`${proxy.name} was left out: it is not installed.`);
      else found.set(proxy, await measure(proxy, program, join(folder, proxy.program), landfall, settings));
    }
  } finally {
    removeFolder(folder);
  }
  return report(settings, device, found, notes);
}

async function measure(
  proxy: DocumentedProxy,
  program: string,
  directory: string,
  landfall: LandfallWithFilm,
  settings: Settings,
): Promise<Seconds> {
  mkdirSync(directory);
  const port = await freePort();
  const path = proxy.configure({ directory, port, upstream: landfall.port });
  const server = await ServerProcess.start({ program, parameters: proxy.serve(path) }, directory, port);
  const seconds: Seconds = { h1: [], h2: [] };
  try {
    for (let round = 0; round < settings.rounds; round++) {
      for (const protocol of PROTOCOLS) seconds[protocol].push(await send(protocol, port, landfall));
      const [h1, h2] = PROTOCOLS.map((protocol) => `${seconds[protocol].at(-1)?.toFixed(2)} s`);
      settings.log(`round ${round + 1}, ${proxy.name}: HTTP/1.1 ${h1}, HTTP/2 ${h2}`);
    }
  } finally {
    await server.stop();
  }
  return seconds;
}

async function send(protocol: string, proxyPort: number, landfall: LandfallWithFilm): Promise<number> {
  const connection = await Connection.open(landfall.port);
  const path = await createByTus(connection, FILE_BYTES).finally(() => connection.close());
  await using line = await Line.open({ upstream: proxyPort, ...LINE });
  const script = join(REPOSITORY, 'test/bench/clients/one-patch.ts');
  const address = `https://127.0.0.1:${line.port}${path}`;
  const child = spawn(process.execPath, [script, address, landfall.film, protocol], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said, [code]] = await Promise.all([text(child.stdout), once(child, 'close')]);
  if (code !== 0) throw new Error(`The film did not arrive by ${protocol}.`);
  landfall.clear();
  return Number(said);
}

function report(settings: Settings, device: Device, found: ReadonlyMap<DocumentedProxy, Seconds>, notes: string[]): Report {
  const speeds = (seconds: readonly number[]) => seconds.map((one) => FILE_BYTES / MIB / one);
  const ratio = ({ h1, h2 }: Seconds) => medianRatio(speeds(h2), speeds(h1));
  return {
    title: `HTTP/2 at a distance, ${device.name}`,
    how:
      `${settings.rounds} rounds of ${formatBytes(FILE_BYTES)} in one PATCH over TLS, over a TCP relay of ${formatBytes(LINE.bytesPerSecond)}/s with ` +
      `${LINE.delayMs} ms each way, through each proxy as docs/operations.md sets it up. Without the handshakes.`,
    tables: [
      {
        columns: ['', 'HTTP/1.1, MiB/s', 'HTTP/2, MiB/s', 'of HTTP/1.1'],
        rows: [...found].map(([{ name }, seconds]) => [
          name,
          withSpread(speeds(seconds.h1), 1),
          withSpread(speeds(seconds.h2), 1),
          `${ratio(seconds).toFixed(2)}×`,
        ]),
      },
    ],
    limits: [...found].map(([{ name }, seconds]) => ({
      what: `${name}: HTTP/2 of HTTP/1.1`,
      measured: ratio(seconds),
      least: LEAST,
      digits: 2,
      unit: '×',
    })),
    notes,
  };
}
