// The locker of several processes. Each process is represented by its process lease, a connection that listens, and a pool.
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Holders } from '../../server/ledger/holders.ts';
import { Ledger } from '../../server/ledger/ledger.ts';
import { Locks } from '../../server/ledger/locks.ts';
import { openPostgres } from '../../server/ledger/postgres.ts';
import { channelOf, PostgresNotices } from '../../server/ledger/postgres-notices.ts';
import type { UploadId } from '../../server/ledger/upload-id.ts';
import { ProcessLease } from '../../server/locking/process-lease.ts';
import { SharedLocker } from '../../server/locking/shared-locker.ts';
import { postgresForTests } from '../support/postgres.ts';
import { startTcpSwitch } from '../support/tcp-switch.ts';
import { uploadId } from '../support/upload-ids.ts';
import { testLocker } from './locker.ts';
import { BEGIN, newUpload } from './new-upload.ts';

const A = uploadId('a');
const B = uploadId('b');

const postgres = postgresForTests();
const log = pino({ level: 'silent' });
const never = () => new AbortController().signal;

interface ProcessOptions {
  timeoutMs?: number;
  leaseMs?: number;
  boot?: string;
  /** The state of the disk that all share. */
  stored?: Map<string, number>;
}

async function openProcess(
  url: string,
  { timeoutMs = 5000, leaseMs = 10_000, boot = 'this boot', stored = new Map() }: ProcessOptions = {},
) {
  const engine = openPostgres(url, { connections: 4 });
  const notices = new PostgresNotices(url, engine, log);
  const ledger = new Ledger(engine, notices);
  await ledger.migrate();
  const holders = new Holders(engine);
  const locks = new Locks(engine);
  const processLease = new ProcessLease({ holders, leaseMs, boot, log });
  await notices.start();
  await processLease.start();
  const inspectionStarts = new Map<string, Promise<unknown>>();
  const returned: string[] = [];
  const locker = new SharedLocker({
    locks,
    processLease,
    notices,
    timeoutMs,
    startingInspection: (id) => inspectionStarts.get(id),
    returnToProven: async (id) => {
      returned.push(id);
      const upload = await ledger.get(id);
      stored.set(id, Math.min(stored.get(id) ?? 0, upload?.provenOffset ?? 0));
    },
    stored: async (id) => stored.get(id) ?? 0,
  });
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= (async () => {
      await processLease.close();
      await notices.close();
      await ledger.close();
    })();
    return closed;
  };
  onTestFinished(close);
  return { url, engine, ledger, holders, locks, processLease, locker, inspectionStarts, returned, close };
}

type Process = Awaited<ReturnType<typeof openProcess>>;

async function hold({ locker }: Process, id: UploadId, requestRelease: () => void = () => {}) {
  const lock = locker.newLock(id);
  await lock.lock(never(), requestRelease);
  return lock;
}

/** The version of each row, which differs after every change. */
async function versions(url: string, table: string): Promise<unknown[]> {
  return (await postgres.query(`select xmin::text from ${table} order by ctid`, url)).map(({ xmin }) => xmin);
}

describe('the locker of several processes, in one of them', () => {
  testLocker(async (timeoutMs) => (await openProcess(await postgres.database(), { timeoutMs })).locker);
});

describe('the locker of several processes', () => {
  it('releases a lock whose acquisition it did not learn of', async () => {
    const url = new URL(await postgres.database());
    const connection = await startTcpSwitch(url.hostname, Number(url.port));
    const second = await openProcess(url.href);
    url.host = `127.0.0.1:${connection.port}`;
    const first = await openProcess(url.href);
    const lost = connection.loseAnswer('insert into "locks"');
    await expect(hold(first, A)).rejects.toThrow();
    await lost;
    await (await hold(second, A)).unlock();
    await (await hold(first, A)).unlock();
  });

  async function openTwo(options: ProcessOptions = {}): Promise<[Process, Process]> {
    const url = await postgres.database();
    return [await openProcess(url, options), await openProcess(url, options)];
  }

  it('never has two holders at once, in whichever process', async () => {
    const processes = await openTwo({ timeoutMs: 60_000 });
    let holders = 0;
    await Promise.all(
      Array.from({ length: 40 }, async (_, n) => {
        const lock = await hold(processes[n % 2 === 0 ? 0 : 1], A);
        holders += 1;
        expect(holders).toBe(1);
        await sleep(1);
        holders -= 1;
        await lock.unlock();
      }),
    );
    expect(await processes[0].locks.boot(A)).toBeUndefined();
  });

  it('asks a silent holder in another process to release, and takes over when it has', async () => {
    const [first, second] = await openTwo({ timeoutMs: 20_000 });
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    const held = await hold(first, A, ask);
    let isIn = false;
    const next = hold(second, A).then((lock) => {
      isIn = true;
      return lock;
    });
    await asked;
    expect(isIn).toBe(false);
    expect(() => first.locker.requireHeld(A)).not.toThrow();
    expect(() => second.locker.requireHeld(A)).toThrow();
    await held.unlock();
    await (await next).unlock();
  });

  it('leaves a holder alone that is receiving bytes, and answers 423 when the time is over', async () => {
    const [first, second] = await openTwo({ timeoutMs: 2500 });
    let isAsked = false;
    const held = await hold(first, A, () => {
      isAsked = true;
    });
    const coming = setInterval(() => first.locker.touch(A), 50);
    onTestFinished(() => clearInterval(coming));
    await expect(hold(second, A)).rejects.toMatchObject({ status: 423 });
    expect(isAsked).toBe(false);
    expect(await second.locker.tryWith(A, async () => {})).toBe(false);
    await held.unlock();
    expect(await second.locker.tryWith(A, async () => {})).toBe(true);
  });

  it('keeps a lock while an inspection is about to begin, for other processes alone', async () => {
    const [first, second] = await openTwo({ timeoutMs: 300 });
    const { promise, resolve: begun } = Promise.withResolvers<void>();
    const held = await hold(first, A);
    first.inspectionStarts.set(A, promise);
    await held.unlock();
    const again = await hold(first, A);
    await again.unlock();
    await expect(hold(second, A)).rejects.toMatchObject({ status: 423 });
    first.inspectionStarts.delete(A);
    begun();
    await expect.poll(() => first.locks.boot(A)).toBeUndefined();
    await (await hold(second, A)).unlock();
  });

  it('keeps the lock of an upload without a row out of the ledger, and loses it with its lease', async () => {
    const { locks, locker, processLease } = await openProcess(await postgres.database(), { timeoutMs: 300 });
    locker.expectNew(A);
    const lock = await hold({ locker } as Process, A);
    expect(await locks.isHeld(A)).toBe(false);
    expect(locker.requireHeld(A)).toBe(processLease.name);
    expect(await locker.tryWith(A, async () => {})).toBe(false);
    await lock.unlock();
    expect(() => locker.requireHeld(A)).toThrow();
    const again = await hold({ locker } as Process, A);
    expect(await locks.isHeld(A)).toBe(true);
    await again.unlock();
    locker.expectNew(B);
    await hold({ locker } as Process, B);
    await processLease.close();
    expect(() => locker.requireHeld(B)).toThrow();
  });

  it('hands over the locks of a process that has left', async () => {
    const url = await postgres.database();
    const dead = await openProcess(url);
    const living = await openProcess(url, { timeoutMs: 20_000 });
    await hold(dead, A);
    await dead.processLease.close();
    await living.holders.expireSilent();
    expect(() => dead.locker.requireHeld(A)).toThrow();
    await (await hold(living, A)).unlock();
    expect(living.returned).toEqual([]);
  });

  it('goes back to the proven offset before it takes over from another machine', async () => {
    const url = await postgres.database();
    const dead = await openProcess(url, { boot: 'another boot' });
    const living = await openProcess(url);
    await hold(dead, A);
    expect(await living.locker.isWrittenElsewhere(A)).toBe(true);
    await dead.processLease.close();
    const lock = await hold(living, A);
    expect(living.returned).toEqual([A]);
    expect(await living.locker.isWrittenElsewhere(A)).toBe(false);
    await lock.unlock();
  });

  describe('after a body that ended in a fault, with more bytes stored than proven', () => {
    async function leaveUnproved(timeoutMs?: number) {
      const url = await postgres.database();
      const stored = new Map<string, number>();
      const there = await openProcess(url, { boot: 'another boot', stored });
      const here = await openProcess(url, { stored, ...(timeoutMs && { timeoutMs }) });
      const { id } = newUpload();
      await there.ledger.create(newUpload({ id }), false);
      const lock = await hold(there, id);
      await there.ledger.checkpoint(id, {}, 40);
      stored.set(id, 60);
      await lock.unlock();
      return { url, stored, there, here, id };
    }

    it('is known on the other machines until the bytes are proven, and goes back there to the proven offset', async () => {
      const { stored, there, here, id } = await leaveUnproved();
      expect(await here.locker.isWrittenElsewhere(id)).toBe(true);
      expect(await there.locker.isWrittenElsewhere(id)).toBe(false);
      await (await hold(here, id)).unlock();
      expect(here.returned).toEqual([id]);
      expect(stored.get(id)).toBe(40);
      expect(await there.locks.boot(id)).toBeUndefined();
    });

    it('keeps the bytes on its own machine, also when another holder comes and goes, or dies, without proving them', async () => {
      const { url, stored, there, here, id } = await leaveUnproved();
      await (await hold(there, id)).unlock();
      expect(await here.locker.isWrittenElsewhere(id)).toBe(true);
      const dead = await openProcess(url, { boot: 'another boot', stored });
      await hold(dead, id);
      await dead.processLease.close();
      await there.holders.expireSilent();
      await (await hold(there, id)).unlock();
      expect(there.returned).toEqual([]);
      expect(await here.locker.isWrittenElsewhere(id)).toBe(true);
      const proving = await hold(there, id);
      await there.ledger.raiseProvenOffset(id, 60);
      await proving.unlock();
      expect(await here.locker.isWrittenElsewhere(id)).toBe(false);
      expect(await here.locks.boot(id)).toBeUndefined();
    });

    it('lets no waiter wait for a holder that does not exist', async () => {
      const { here, id } = await leaveUnproved(1);
      expect(await here.locks.isHeld(id)).toBe(false);
      expect(await here.locker.quiesce(id)).toBe(false);
      await (await hold(here, id)).unlock();
    });

    it('does not forget it with a lock whose acquisition it did not learn of', async () => {
      const { url, stored, there, id } = await leaveUnproved();
      const through = new URL(url);
      const connection = await startTcpSwitch(through.hostname, Number(through.port));
      through.host = `127.0.0.1:${connection.port}`;
      const deaf = await openProcess(through.href, { stored });
      const lost = connection.loseAnswer('insert into "locks"');
      await expect(hold(deaf, id)).rejects.toThrow();
      await lost;
      await expect.poll(() => there.locks.isHeld(id)).toBe(false);
      expect(await there.locks.boot(id)).toBe('another boot');
    });

    it('forgets it with the upload', async () => {
      const { there, id } = await leaveUnproved();
      const lock = await hold(there, id);
      await there.ledger.move(id, { from: 'receiving' }, 'terminated', {});
      await lock.unlock();
      expect(await there.locks.boot(id)).toBeUndefined();
    });
  });

  it('knows that it lost its locks when the ledger was away for too long, and continues under another name', async () => {
    const url = await postgres.database();
    const first = await openProcess(url, { leaseMs: 1000 });
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    const { name } = first.processLease;
    const held = await hold(first, A, ask);
    await postgres.crash();
    await asked;
    expect(() => first.locker.requireHeld(A)).toThrow();
    await held.unlock();
    await expect(hold(first, B)).rejects.toThrow();
    await postgres.start();
    await expect.poll(() => first.locker.tryWith(B, async () => {}).catch(() => false), { timeout: 60_000 }).toBe(true);
    expect(first.processLease.name).not.toBe(name);
    await (await hold(first, A)).unlock();
  });

  it('renews all its locks in one statement, however many there are', async () => {
    const url = await postgres.database();
    const leaseMs = 1500;
    const first = await openProcess(url, { leaseMs });
    const second = await openProcess(url, { leaseMs });
    const ids = Array.from({ length: 60 }, () => newUpload().id);
    for (const id of ids) {
      await first.ledger.create(newUpload({ id }), false);
      await first.ledger.startInspection(id, first.processLease.name, BEGIN);
      await hold(first, id);
    }
    const held = async () => [await versions(url, 'locks'), await versions(url, 'uploads')];
    const before = await held();
    const renewed = await versions(url, 'holders');
    await sleep(2 * leaseMs);
    await second.holders.expireSilent();
    expect(await held()).toEqual(before);
    expect(await versions(url, 'holders')).toHaveLength(2);
    expect((await versions(url, 'holders')).filter((version) => renewed.includes(version))).toEqual([]);
    const { name } = second.processLease;
    for (const id of ids) {
      expect(await second.locks.take(id, name, 'this boot')).toBeUndefined();
      expect(await second.ledger.leases.claim(id, name, Date.now())).toBeUndefined();
    }
  });

  it('notifies waiters that a lock is free, so that none polls', async () => {
    const [first, second] = await openTwo({ timeoutMs: 30_000 });
    const told: string[] = [];
    const listening = new Client({ connectionString: first.url });
    onTestFinished(() => listening.end());
    listening.on('notification', ({ payload = '' }) => told.push(...payload.split(',').slice(1)));
    await listening.connect();
    await listening.query(`listen ${channelOf('public')}`);
    const id = newUpload().id;
    const held = await hold(first, id);
    const coming = setInterval(() => first.locker.touch(id), 50);
    onTestFinished(() => clearInterval(coming));
    const waiting = hold(second, id);
    await expect.poll(() => told).toContain(`want ${id}`);
    expect(told).not.toContain(`free ${id}`);
    await held.unlock();
    await (await waiting).unlock();
    await expect.poll(() => told).toContain(`free ${id}`);
  });

  it('hears of a change in another process, also after the connection that listens was lost', async () => {
    const [first, second] = await openTwo();
    const upload = newUpload();
    await first.ledger.create(upload, true);
    const heard: string[] = [];
    second.ledger.onChange(upload.id, ({ state }) => heard.push(state));
    await first.ledger.startInspection(upload.id, first.processLease.name, BEGIN);
    await expect.poll(() => heard).toContain('inspecting');
    await postgres.restart();
    await expect
      .poll(
        () =>
          first.ledger
            .move(upload.id, { from: 'inspecting' }, 'accepted', { name: 'name.txt', type: 'text/plain' })
            .then(Boolean, () => false),
        {
          timeout: 60_000,
        },
      )
      .toBe(true);
    await expect.poll(() => heard, { timeout: 60_000 }).toContain('accepted');
  });
});
