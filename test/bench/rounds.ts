// Rivals side by side: all servers up, one at a time at work, in an order that shifts by one each round.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from './connection.ts';
import type { Rival } from './rivals.ts';
import type { Device, Settings } from './scenario.ts';
import { freePort, ServerProcess } from './server-process.ts';

export interface Work {
  rival: Rival;
  server: ServerProcess;
  connections: readonly Connection[];
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
  /** Kept open to each server. */
  connections: number;
  /** Before the first round, so that no rival is measured while it is being compiled. */
  warmUp(work: Work): Promise<void>;
  measured(work: Work): Promise<void>;
}

export interface RoundsResult {
  samples: ReadonlyMap<Rival, Sample[]>;
  notes: string[];
}

/** What comes after the answer, closing files and collecting garbage, is part of the cost. */
const SETTLE_MS = 100;

export async function runRounds(options: RoundsOptions): Promise<RoundsResult> {
  const { settings, device, warmUp, measured } = options;
  const notes: string[] = [];
  const root = newDirectory(device);
  const works: (Work & { directory: string })[] = [];
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
      const connections = await Promise.all(Array.from({ length: options.connections }, () => Connection.open(port)));
      const work = { rival, server, connections, directory };
      works.push(work);
      await warmUp(work).catch((error: unknown) => {
        throw new Error(`${rival.name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
      });
      rival.clear(directory);
    }
    const samples = new Map<Rival, Sample[]>(works.map(({ rival }) => [rival, []]));
    for (let round = 0; round < settings.rounds; round++) {
      for (let turn = 0; turn < works.length; turn++) {
        const work = works[(round + turn) % works.length];
        if (work === undefined) continue;
        const sample = await measure(work, () => measured(work));
        samples.get(work.rival)?.push(sample);
        work.rival.clear(work.directory);
        settings.log(
          `round ${round + 1}, ${work.rival.name} on ${device.name}: ${sample.seconds.toFixed(2)} s, ${sample.processorSeconds.toFixed(2)} CPU-s`,
        );
      }
    }
    return { samples, notes };
  } finally {
    for (const { connections, server } of works) {
      for (const connection of connections) connection.close();
      await server.stop();
    }
    rmSync(root, { recursive: true, force: true });
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

export function newDirectory(device: Device): string {
  const path = mkdtempSync(join(device.path, 'landfall-bench-'));
  directories.add(path);
  return path;
}

const directories = new Set<string>();
process.on('exit', () => {
  for (const path of directories) rmSync(path, { recursive: true, force: true });
});
