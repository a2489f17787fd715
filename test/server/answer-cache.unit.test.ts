import { expect, it } from 'vitest';
import { AnswerCache } from '../../server/access/answer-cache.ts';

it('a full answer cache forgets the least recently used answer first', () => {
  const kept = new AnswerCache<number>(3);
  for (const [name, answer] of Object.entries({ a: 1, b: 2, c: 3 })) kept.keep(name, answer, 60_000);
  expect(kept.get('a')).toBe(1);
  kept.keep('d', 4, 60_000);
  expect(['a', 'b', 'c', 'd'].map((name) => kept.get(name))).toEqual([1, undefined, 3, 4]);
});

it('an answer that must not be cached replaces an earlier one', () => {
  const kept = new AnswerCache<number>(3);
  kept.keep('a', 1, 60_000);
  kept.keep('a', 2, 0);
  expect(kept.get('a')).toBeUndefined();
});
