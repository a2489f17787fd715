import { describe, expect, it } from 'vitest';
import { Batches } from '../../server/ledger/batches.ts';

interface Item {
  key: string;
  value: number;
}

class Refusal extends Error {}

/** Doubles numbers, one batch at a time, and refuses all with one that is below 0. */
function openBatches() {
  const ran: number[][] = [];
  let atOnce = 0;
  const batches = new Batches<Item, number>({
    keyOf: ({ key }) => key,
    async run(items) {
      ran.push(items.map(({ value }) => value));
      const isAlone = items.length === 1;
      atOnce += 1;
      if (!isAlone) expect(atOnce).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      atOnce -= 1;
      if (items.some(({ value }) => value < 0)) throw new Refusal('below 0');
      if (items.some(({ value }) => value === 404)) throw new Error('lost');
      return items.map(({ value }) => value * 2);
    },
    isRefusal: (error) => error instanceof Refusal,
  });
  const add = (value: number, key = String(value)) => batches.do({ key, value });
  return { ran, add };
}

describe('batches', () => {
  it('do together what comes in one turn, and next what comes meanwhile, each with its own result', async () => {
    const { ran, add } = openBatches();
    const first = [add(1), add(2)];
    while (ran.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const later = [add(3), add(4), add(5)];
    expect(await Promise.all([...first, ...later])).toEqual([2, 4, 6, 8, 10]);
    expect(ran).toEqual([
      [1, 2],
      [3, 4, 5],
    ]);
    expect(await add(6)).toBe(12);
  });

  it('refuse what was refused, and do what came with it', async () => {
    const { ran, add } = openBatches();
    const outcomes = await Promise.allSettled([add(1), add(-1), add(2)]);
    expect(outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : String(outcome.reason)))).toEqual([
      2,
      'Error: below 0',
      4,
    ]);
    expect(ran).toEqual([[1, -1, 2], [1], [-1], [2]]);
  });

  it('do nothing twice of which nobody knows whether it was done', async () => {
    const { ran, add } = openBatches();
    const outcomes = await Promise.allSettled([add(1), add(404)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(ran).toEqual([[1, 404]]);
    expect(await add(7)).toBe(14);
  });

  it('do two changes of one thing one after the other', async () => {
    const { ran, add } = openBatches();
    expect(await Promise.all([add(1, 'a'), add(2, 'a'), add(3, 'b')])).toEqual([2, 4, 6]);
    expect(ran).toEqual([[1, 3], [2]]);
  });
});
