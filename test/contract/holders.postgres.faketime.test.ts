// The database's clock is set by hours: live processes stay alive, and dead ones do not keep their locks.
import { afterAll, expect, it, onTestFinished } from 'vitest';
import { Holders } from '../../server/ledger/holders.ts';
import { Ledger } from '../../server/ledger/ledger.ts';
import { openPostgres } from '../../server/ledger/postgres.ts';
import { postgresForTests } from '../support/postgres.ts';
import { WallClock } from '../support/wall-clock.ts';
import { HOUR } from './new-upload.ts';

const clock = new WallClock();
// Registered first, so that it runs last.
afterAll(() => clock.destroy());
const postgres = postgresForTests({ fsync: false, env: clock.env });

async function openHolders(): Promise<{ holders: Holders; ledger: Ledger; another(): Holders; aheadMs(): Promise<number> }> {
  clock.set('+0');
  const url = await postgres.database();
  const engine = openPostgres(url, { connections: 4 });
  const ledger = new Ledger(engine);
  onTestFinished(() => ledger.close());
  await ledger.migrate();
  const aheadMs = async () => {
    const [row] = await postgres.query('select extract(epoch from clock_timestamp()) * 1000 as now', url);
    return Number(row?.now) - Date.now();
  };
  return { holders: new Holders(engine), ledger, another: () => new Holders(engine), aheadMs };
}

it('set forward by a day, it takes no process for dead that was seen alive', async () => {
  const { holders, aheadMs } = await openHolders();
  await holders.register('alive', HOUR);
  expect(await holders.expireSilent()).toEqual([]);
  clock.set('+1d');
  expect(await aheadMs()).toBeGreaterThan(23 * HOUR);
  expect(await holders.expireSilent()).toEqual([]);
  expect(await holders.renew('alive', HOUR)).toBe(true);
  expect(await holders.expireSilent()).toEqual([]);
  clock.set('-1d');
  expect(await holders.renew('alive', HOUR)).toBe(true);
  expect(await holders.expireSilent()).toEqual([]);
});

it('set back by five hours, it keeps no process alive that does not renew', async () => {
  const { holders, another, aheadMs } = await openHolders();
  await holders.register('dead', 1000);
  expect(await holders.expireSilent()).toEqual([]);
  clock.set('-5h');
  expect(await aheadMs()).toBeLessThan(-4 * HOUR);
  await expect.poll(() => holders.expireSilent()).toEqual(['dead']);
  // Seen for the first time, by a process that started after the clock was set.
  clock.set('+0');
  await holders.register('another', 1000);
  clock.set('-5h');
  const later = another();
  await expect.poll(async () => (await later.expireSilent()).sort()).toEqual(['another', 'dead']);
});

it('set by days, it moves no deadline', async () => {
  const { ledger } = await openHolders();
  const begun = ledger.now();
  ledger.startClock(10, () => undefined);
  for (const offset of ['+8d', '-8d', '+8d']) {
    clock.set(offset);
    const before = ledger.now();
    await expect.poll(() => ledger.now()).toBeGreaterThan(before + 20);
  }
  expect(ledger.now() - begun).toBeLessThan(HOUR);
});
