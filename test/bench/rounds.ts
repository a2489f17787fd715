// Measures rivals side by side: all servers run, one at a time is measured, in an order that shifts by one each round.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../support/free-port.ts';
import { Connection } from './connection.ts';
import { clearStores, type Rival, storedBytes } from './rivals.ts';
import type { Device, Settings } from './scenario.ts';
import { ServerProcess } from './server-process.ts';
import { newFolder, removeFolder } from './work-folders.ts';

export interface Work {
  rival: Rival;
  server: ServerProcess;
  connections: readonly Connection[];
}

interface Started extends Omit<Work, 'connections'> {
  directory: string;
  port: number;
}

export interface Sample {
  seconds: number;
  processorSeconds: number;
  peakBytes: number;
}

export interface RoundsOptions {
  settings: Settings;
  device: Device;
  rivals: readonly Rival[];
  /** The bytes sent in a round, which the rival must then have stored. */
  bytes: number;
  /** Connections to the measured server. */
  connections: number;
  /** Runs before the first round, so that no rival is measured while V8 compiles it. */
  warmUp(work: Work): Promise<void>;
  /**
   * Runs before each turn: V8 drops compiled code, and shrinks the heap, of a process that was idle for eight seconds. It drops most of
   * the code once, while the other servers warm up, so before a server's first turn this has to do as much as the warm-up.
   */
  beforeTurn?(work: Work, isFirst: boolean): Promise<void>;
  measured(work: Work): Promise<void>;
}

export interface RoundsResult {
  samples: ReadonlyMap<Rival, Sample[]>;
  notes: string[];
}

/** The time after the answer in which a server closes files and collects garbage, which are part of its cost. */
const SETTLE_MS = 100;

export async function runRounds(options: RoundsOptions): Promise<RoundsResult> {
  const { settings, device, warmUp, beforeTurn, measured } = options;
  const notes: string[] = [];
  const root = newFolder(device);
  const works: Started[] = [];
  try {
    for (const rival of options.rivals) {
      const reason = rival.missing?.();
      if (reason !== undefined) {
        notes.push(`${rival.name} was left out: ${reason}.`);
        continue;
      }
      const directory = join(root, String(works.length));
      mkdirSync(directory);
      const port = await freePort();
      const server = await ServerProcess.start(rival.command(directory, port), directory, port);
      const started = { rival, server, directory, port };
      works.push(started);
      await connected(started, options.connections, warmUp);
      clearStores(rival, directory);
    }
    const samples = new Map<Rival, Sample[]>(works.map(({ rival }) => [rival, []]));
    for (let round = 0; round < settings.rounds; round++) {
      for (let turn = 0; turn < works.length; turn++) {
        const started = works[(round + turn) % works.length];
        if (started === undefined) continue;
        const { rival, directory } = started;
        if (beforeTurn !== undefined) {
          await connected(started, options.connections, (work) => beforeTurn(work, round === 0));
          clearStores(rival, directory);
        }
        const sample = await connected(started, options.connections, (work) => measure(work, () => measured(work)));
        samples.get(rival)?.push(sample);
        const stored = storedBytes(rival, directory);
        if (stored < options.bytes) throw new Error(`${rival.name} stored ${stored} bytes of ${options.bytes}.`);
        clearStores(rival, directory);
        settings.log(
          `round ${round + 1}, ${rival.name} on ${device.name}: ${sample.seconds.toFixed(2)} s, ${sample.processorSeconds.toFixed(2)} CPU-s`,
        );
      }
    }
    return { samples, notes };
  } finally {
    for (const { server } of works) await server.stop();
    removeFolder(root);
  }
}

/** Opens connections for this work only: a server would close them as idle during the turns of the other rivals. */
async function connected<T>({ rival, server, port }: Started, count: number, work: (work: Work) => Promise<T>): Promise<T> {
  const connections = await Promise.all(Array.from({ length: count }, () => Connection.open(port, rival.headers)));
  try {
    return await work({ rival, server, connections });
  } catch (error) {
    throw new Error(`${rival.name}: ${error instanceof Error ? error.message : String(error)} ${server.lastWords()}`, { cause: error });
  } finally {
    for (const connection of connections) connection.close();
  }
}

async function measure({ server }: Work, work: () => Promise<void>): Promise<Sample> {
  server.forgetPeak();
  const before = server.processorSeconds();
  const startedAt = performance.now();
  await work();
  const seconds = (performance.now() - startedAt) / 1000;
  await sleep(SETTLE_MS);
  return { seconds, processorSeconds: server.processorSeconds() - before, peakBytes: server.peakBytes() };
}
