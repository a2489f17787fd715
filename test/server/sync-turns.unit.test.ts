import { describe, expect, it } from 'vitest';
import { LoopTurns } from '../../server/runtime/loop-turns.ts';
import { SyncTurns } from '../../server/staging/sync-turns.ts';

describe('syncs that no sender waits for', () => {
  /** Starts four syncs; two of them run, two wait. */
  function fourSyncs() {
    const turns = new SyncTurns(2);
    const started: number[] = [];
    const ends: (() => void)[] = [];
    const owners = [0, 1, 2, 3].map((name) => ({ name }));
    const runs = owners.map((owner) =>
      turns.run(owner, () => {
        started.push(owner.name);
        return new Promise((end) => {
          ends[owner.name] = end;
        });
      }),
    );
    return { turns, started, owners, runs, end: (name: number) => ends[name]?.() };
  }

  it('run two at a time, in the order of their calls', async () => {
    const { started, runs, end } = fourSyncs();
    expect(started).toEqual([0, 1]);
    end(1);
    expect(await runs[1]).toBe(true);
    expect(started).toEqual([0, 1, 2]);
    for (const name of [0, 2]) end(name);
    await Promise.all([runs[0], runs[2]]);
    expect(started).toEqual([0, 1, 2, 3]);
  });

  it('can be skipped while they wait, and started before their turn', async () => {
    const { turns, started, owners, runs, end } = fourSyncs();
    const [first = {}, , third = {}, last = {}] = owners;
    turns.skip(third);
    expect(await runs[2]).toBe(false);
    turns.hurry(last);
    await Promise.resolve();
    expect(started).toEqual([0, 1, 3]);
    // It runs already.
    turns.skip(first);
    for (const name of [0, 1, 3]) end(name);
    expect(await Promise.all(runs)).toEqual([true, true, false, true]);
  });

  it('give up their turn when they fail', async () => {
    const turns = new SyncTurns(2);
    const fault = new Error('EIO');
    for (let each = 0; each < 3; each++) await expect(turns.run({}, () => Promise.reject(fault))).rejects.toBe(fault);
    expect(await turns.run({}, async () => {})).toBe(true);
  });
});

describe('work for thousands of connections', () => {
  it('leaves the event loop to others between its parts, and keeps its order', async () => {
    const turns = new LoopTurns();
    const done: number[] = [];
    for (let each = 0; each < 100; each++) turns.add(() => void done.push(each));
    const seen: number[] = [];
    while (done.length < 100) {
      await new Promise((resolve) => setImmediate(resolve));
      seen.push(done.length);
    }
    expect(seen.length).toBeGreaterThan(3);
    expect(done).toEqual(Array.from({ length: 100 }, (_, each) => each));
  });
});
