// Scenario access: the cost of recognising a known sender.
import type { Report } from '../report.ts';
import { GRANTED, LANDFALL, type Rival, SIGNED_IN } from '../rivals.ts';
import { runRounds, type Work } from '../rounds.ts';
import { format, median, withSpread } from '../samples.ts';
import { type Device, onEachDevice, type Scenario, type Settings } from '../scenario.ts';
import { createByTus, headByTus } from '../senders.ts';

/** Enough that the system's unit of processor time, a hundredth of a second, does not matter. */
const REQUESTS = 10_000;
const RIVALS = [LANDFALL, GRANTED, SIGNED_IN];

export const access: Scenario = {
  name: 'access',
  about: 'HEAD by senders who show a token, and on the open server: CPU a request',
  devices: ['tmpfs'],
  bytes: () => 0,
  run: onEachDevice(run),
};

async function run(settings: Settings, device: Device): Promise<Report> {
  const { connections, rounds } = settings;
  const paths = new Map<Rival, string>();
  const { samples, notes } = await runRounds({
    settings,
    device,
    rivals: RIVALS,
    bytes: 0,
    connections,
    async warmUp(work) {
      const [first] = work.connections;
      if (first === undefined) throw new Error('The scenario needs a connection.');
      paths.set(work.rival, await createByTus(first, 10));
      await headAll(work, paths);
    },
    measured: (work) => headAll(work, paths),
  });
  const costs = (rival: Rival) => (samples.get(rival) ?? []).map(({ processorSeconds }) => (processorSeconds / REQUESTS) * 1000);
  const beyondOpen = (rival: Rival) => median(costs(rival).map((cost, round) => cost - (costs(LANDFALL)[round] ?? Number.NaN)));
  return {
    title: `Known senders, ${device.name}`,
    how: `${rounds} rounds of ${REQUESTS} HEAD requests for one upload over ${connections} connections, each with the same token.`,
    tables: [
      {
        columns: ['', 'requests/s', 'CPU-ms a request', 'beyond the open server'],
        rows: RIVALS.map((rival) => [
          rival.name,
          withSpread(
            (samples.get(rival) ?? []).map(({ seconds }) => REQUESTS / seconds),
            0,
          ),
          withSpread(costs(rival), 3),
          rival === LANDFALL ? '' : format(beyondOpen(rival), 3),
        ]),
      },
    ],
    limits: [GRANTED, SIGNED_IN].map((rival) => ({
      what: `CPU a request beyond the open server, ${rival.name}`,
      measured: beyondOpen(rival),
      most: 0.1,
      digits: 3,
      unit: ' ms',
    })),
    notes,
  };
}

async function headAll({ rival, connections }: Work, paths: ReadonlyMap<Rival, string>): Promise<void> {
  const path = paths.get(rival) ?? '';
  let left = REQUESTS;
  await Promise.all(
    connections.map(async (connection) => {
      while (left > 0) {
        left -= 1;
        await headByTus(connection, path);
      }
    }),
  );
}
