import { it } from 'vitest';
import { testDirectory } from '../support/temp-dir.ts';
import { runMarathon } from './marathon.ts';

const MIB = 1024 * 1024;
const isLong = process.env.LANDFALL_TEST_LONG === '1';

it('keeps every promise through kills at random, and through reboots that spoil what was not proved', async () => {
  const dataDir = testDirectory();
  // What was written is all there, but for what the ledger does not vouch for.
  const machine = { dataDir: () => dataDir, cutPower: async () => undefined };
  const course = isLong
    ? { kills: 200, powerCutEvery: 4, atOnce: 6, maxBytes: 32 * MIB }
    : { kills: 6, powerCutEvery: 3, atOnce: 4, maxBytes: 4 * MIB };
  await runMarathon(machine, course);
});
