// In long mode a million requests, else some thousands.
import { expect, it } from 'vitest';
import { randomFrom, testSeed } from '../support/random.ts';
import { conversation, cuts } from './lift-conversations.ts';
import { Differential } from './lift-differential.ts';

const SEED = testSeed();
const REQUESTS = process.env.LANDFALL_TEST_LONG === '1' ? 1_000_000 : 2500;

it('cut at every byte, an upload and what is behind it are the same to servers with and without the lift', async () => {
  await using differential = await Differential.open();
  let [whole, lifted] = [0, 0];
  for (const each of cuts()) {
    const outcome = await differential.compare(each);
    whole += outcome.requests.length;
    lifted += outcome.lifted;
  }
  expect(whole).toBeGreaterThan(500);
  expect(lifted).toBeGreaterThan(500);
});

it(`mutated, split and pipelined, requests are the same to both (seed ${SEED})`, async () => {
  await using differential = await Differential.open();
  const random = randomFrom(SEED);
  let [sent, whole, lifted] = [0, 0, 0];
  while (sent < REQUESTS) {
    const { conversation: next, requests } = conversation(random);
    const outcome = await differential.compare(next);
    whole += outcome.requests.length;
    lifted += outcome.lifted;
    sent += requests;
  }
  expect(whole).toBeGreaterThan(REQUESTS / 4);
  expect(lifted).toBeGreaterThan(REQUESTS / 10);
});
