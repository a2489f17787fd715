// What every locker does: one holder at a time, first come first served, and a dead holder does not keep its lock.
import type { Locker } from '@tus/utils';
import { expect, it } from 'vitest';

/** @param open makes a locker whose waiters give up after `timeoutMs` */
export function testLocker(open: (timeoutMs: number) => Promise<Locker>): void {
  const never = () => new AbortController().signal;
  /** A holder that releases when it is asked. */
  async function hold(locker: Locker, id: string, requestRelease: () => void = () => {}) {
    const lock = locker.newLock(id);
    await lock.lock(never(), requestRelease);
    return lock;
  }

  it('lets the next in when the holder lets go, in the order they came', async () => {
    const locker = await open(5000);
    const first = await hold(locker, 'a');
    const order: number[] = [];
    const waiting = [1, 2, 3].map(async (number) => {
      const lock = await hold(locker, 'a');
      order.push(number);
      await lock.unlock();
    });
    expect(order).toEqual([]);
    await first.unlock();
    await Promise.all(waiting);
    expect(order).toEqual([1, 2, 3]);
  });

  it('never has two holders at once', async () => {
    const locker = await open(20_000);
    let holders = 0;
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        const lock = await hold(locker, 'a');
        holders += 1;
        expect(holders).toBe(1);
        await new Promise((resolve) => setImmediate(resolve));
        holders -= 1;
        await lock.unlock();
      }),
    );
  });

  it('keeps the locks of two uploads apart', async () => {
    const locker = await open(1000);
    const a = await hold(locker, 'a');
    const b = await hold(locker, 'b');
    await Promise.all([a.unlock(), b.unlock()]);
  });

  it('tells a waiter 423 when its time is over, and goes on with the others', async () => {
    const locker = await open(100);
    const holder = await hold(locker, 'a');
    await expect(hold(locker, 'a')).rejects.toMatchObject({ code: 'ERR_UPLOAD_LOCKED', status: 423 });
    await holder.unlock();
    await (await hold(locker, 'a')).unlock();
  });

  it('drops a waiter whose request is gone', async () => {
    const locker = await open(20_000);
    const holder = await hold(locker, 'a');
    const controller = new AbortController();
    const gone = locker.newLock('a').lock(controller.signal, () => {});
    controller.abort();
    await expect(gone).rejects.toThrow();
    const next = hold(locker, 'a');
    await holder.unlock();
    await (await next).unlock();
  });

  it('asks a silent holder to release, and hands over only when it has', async () => {
    const locker = await open(10_000);
    let isAsked = false;
    const holder = await hold(locker, 'a', () => {
      isAsked = true;
    });
    let isIn = false;
    const next = hold(locker, 'a').then((lock) => {
      isIn = true;
      return lock;
    });
    await expect.poll(() => isAsked, { timeout: 60_000 }).toBe(true);
    expect(isIn).toBe(false);
    await holder.unlock();
    await (await next).unlock();
  });

  it('ignores a release by a non-holder', async () => {
    const locker = await open(100);
    const holder = await hold(locker, 'a');
    await locker.newLock('a').unlock();
    await expect(hold(locker, 'a')).rejects.toMatchObject({ status: 423 });
    await holder.unlock();
    await holder.unlock();
    await (await hold(locker, 'a')).unlock();
  });

  it('waits without work: twenty waiters cost no processor', async () => {
    const locker = await open(1500);
    const holder = await hold(locker, 'a');
    const before = process.cpuUsage();
    const refused = await Promise.allSettled(Array.from({ length: 20 }, () => hold(locker, 'a')));
    const { user, system } = process.cpuUsage(before);
    expect(refused.map(({ status }) => status)).toEqual(Array(20).fill('rejected'));
    // A fifth of the 1.5 s that they waited, in microseconds; a spinning wait uses all of it.
    expect(user + system).toBeLessThan(300_000);
    await holder.unlock();
  });
}
