import { join } from 'node:path';
import { it } from 'vitest';
import { CuttableDisk } from '../support/power-cut.ts';
import { runMarathon } from './marathon.ts';

const MIB = 1024 * 1024;
const isLong = process.env.LANDFALL_TEST_LONG === '1';

it('a server keeps every promise through random kills and power cuts that lose all bytes not yet durable', async () => {
  let disk = await CuttableDisk.create();
  let spent: CuttableDisk | undefined;
  const machine = {
    dataDir: () => join(disk.path, 'data'),
    async cutPower() {
      await spent?.release();
      spent = disk;
      disk = await disk.cut();
    },
  };
  await runMarathon(
    machine,
    isLong ? { kills: 80, powerCutEvery: 2, atOnce: 4, maxBytes: 2 * MIB } : { kills: 6, powerCutEvery: 2, atOnce: 4, maxBytes: MIB },
  );
});
