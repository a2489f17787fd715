import { it } from 'vitest';
import { testDirectory } from '../support/temp-dir.ts';
import { runMarathon } from './marathon.ts';

const MIB = 1024 * 1024;
const isLong = process.env.LANDFALL_TEST_LONG === '1';

it('a server keeps every promise through random kills, and through reboots that spoil unproved bytes', async () => {
  const dataDir = testDirectory();
  // All written bytes survive, except those that the ledger does not count as proved.
  const machine = { dataDir: () => dataDir, cutPower: async () => undefined };
  const course = isLong
    ? { kills: 200, powerCutEvery: 4, atOnce: 6, maxBytes: 32 * MIB }
    : { kills: 6, powerCutEvery: 3, atOnce: 4, maxBytes: 4 * MIB };
  await runMarathon(machine, course);
});
