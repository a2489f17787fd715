// Scenario slow-uploads: many slow uploads at once, and one fast upload.

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '../connection.ts';
import { FILM } from '../content.ts';
import { lookInTurn, probedRivals } from '../probed-rivals.ts';
import { type Probed, startProbed, UNTIL_IDLE_MS } from '../probed-server.ts';
import type { Report } from '../report.ts';
import { format, median, withSpread } from '../samples.ts';
import { type Device, onEachDevice, type Scenario, type Settings } from '../scenario.ts';
import { sendByTus } from '../senders.ts';
import type { Probe } from '../servers/listen.ts';
import { SlowSenders } from '../slow-senders.ts';
import { newFolder, removeFolder } from '../work-folders.ts';

const BYTES_PER_SECOND = 3 * 1024;
/** Length of each slow upload. It lasts longer than the measurement; the server reserves its space at its creation. */
const UPLOAD_BYTES = 1024 ** 2;
/** Bytes of the fast upload. It must last some seconds, or one hiccup of the machine decides. */
const FAST_BYTES = 512 * 1024 ** 2;
const FAST_UPLOADS = 3;
/** Sent before anything is measured, so that the idle server has already worked. */
const SMALL_UPLOADS = 1000;
const SMALL_BYTES = 10 * 1024;
const LOOKS = 10;
const MIB = 1024 ** 2;

interface Found {
  idleRssBytes: number;
  /** The maximum while the slow uploads run. */
  rssBytes: number;
  delayP99Ms: number;
  controlP99Ms: number;
  processorShare: number;
  /** The speed of the fast upload beside the slow ones, divided by its speed to the control. */
  keptSpeed: number;
}

export const slowUploads: Scenario = {
  name: 'slow-uploads',
  about: 'many slow uploads at once: memory, event loop, and one fast upload beside them',
  devices: ['tmpfs'],
  // The files of the fast uploads to both servers stay until the round is over.
  bytes: ({ senders }) => 2 * (1 + FAST_UPLOADS) * FAST_BYTES + senders * UPLOAD_BYTES,
  run: onEachDevice(run),
};

async function run(settings: Settings, device: Device): Promise<Report> {
  const rivals = probedRivals<Found>();
  const notes = await lookInTurn(settings, rivals, (probed) => look(settings, device, probed));
  const growth = (found: readonly Found[]) => found.map((each) => (each.rssBytes - each.idleRssBytes) / MIB);
  const delay = (found: readonly Found[]) => found.map((each) => each.delayP99Ms - each.controlP99Ms);
  const kept = (found: readonly Found[]) => found.map((each) => each.keptSpeed);
  const ours = rivals[0]?.found ?? [];
  return {
    title: `${settings.senders} slow uploads, ${device.name}`,
    how: `${settings.rounds} rounds, each with new server processes. ${settings.senders} uploads send ${BYTES_PER_SECOND / 1024} KiB a second each. The control is an idle server of the same kind. The fast upload of ${FAST_BYTES / MIB} MiB goes to both servers in turn, ${FAST_UPLOADS} times.`,
    tables: [
      {
        columns: [
          '',
          'RSS over idle, MiB',
          'idle, MiB',
          'loop delay p99 over control, ms',
          'control, ms',
          'CPU, cores',
          'fast upload keeps',
        ],
        rows: rivals
          .filter(({ found }) => found.length > 0)
          .map(({ name, found }) => [
            name,
            withSpread(growth(found), 0),
            format(median(found.map((each) => each.idleRssBytes / MIB)), 0),
            withSpread(delay(found), 1),
            format(median(found.map((each) => each.controlP99Ms)), 1),
            withSpread(
              found.map((each) => each.processorShare),
              2,
            ),
            withSpread(kept(found), 2),
          ]),
      },
    ],
    limits: [
      { what: 'RSS over idle', measured: median(growth(ours)), most: 25, digits: 0, unit: ' MiB' },
      { what: 'Event-loop delay p99 over the idle control', measured: median(delay(ours)), most: 50, digits: 1, unit: ' ms' },
      { what: 'Speed a fast upload keeps', measured: median(kept(ours)), least: 0.8, digits: 2, unit: '×' },
    ],
    notes,
  };
}

async function look({ senders }: Settings, device: Device, probed: Probed): Promise<Found> {
  const folder = newFolder(device);
  const loaded = await startProbed(probed, join(folder, 'loaded'));
  const control = await startProbed(probed, join(folder, 'control'));
  let slow: SlowSenders | undefined;
  try {
    const fast = await Promise.all([loaded, control].map(({ server }) => Connection.open(server.port)));
    // After these uploads, V8 has compiled the code and the buffers have grown.
    for (const connection of fast) {
      await sendFast(connection);
      for (let each = 0; each < SMALL_UPLOADS; each++)
        await sendByTus(connection, { content: FILM, bytes: SMALL_BYTES, chunkBytes: SMALL_BYTES });
    }
    await sleep(UNTIL_IDLE_MS);
    const { rssBytes: idleRssBytes } = await loaded.probe();
    slow = await SlowSenders.start(loaded.server.port, { uploads: senders, bytesPerSecond: BYTES_PER_SECOND, length: UPLOAD_BYTES });
    await Promise.all([loaded.probe(), control.probe()]);
    const cpuBefore = loaded.server.processorSeconds();
    const looks: [Probe, Probe][] = [];
    for (let each = 0; each < LOOKS; each++) {
      await sleep(1000);
      looks.push(await Promise.all([loaded.probe(), control.probe()]));
    }
    const processorShare = (loaded.server.processorSeconds() - cpuBefore) / LOOKS;
    const kept: number[] = [];
    for (let each = 0; each < FAST_UPLOADS; each++) {
      const [beside = 0, alone = 0] = await inTurn(fast, sendFast);
      kept.push(beside / alone);
    }
    for (const connection of fast) connection.close();
    return {
      idleRssBytes,
      rssBytes: Math.max(...looks.map(([probe]) => probe.rssBytes)),
      delayP99Ms: median(looks.map(([probe]) => probe.delayP99Ms)),
      controlP99Ms: median(looks.map(([, probe]) => probe.delayP99Ms)),
      processorShare,
      keptSpeed: median(kept),
    };
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${message} ${loaded.server.lastWords()}`.trim(), { cause });
  } finally {
    slow?.leave();
    await loaded.stop();
    await control.stop();
    removeFolder(folder);
  }
}

async function inTurn<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await work(item));
  return results;
}

/** Bytes a second. */
async function sendFast(connection: Connection): Promise<number> {
  const startedAt = performance.now();
  await sendByTus(connection, { content: FILM, bytes: FAST_BYTES, chunkBytes: FAST_BYTES });
  return (FAST_BYTES / (performance.now() - startedAt)) * 1000;
}
