import { expect, test } from 'vitest';
import { PartMemory } from '../../server/s3/part-memory.ts';

const MIB = 1024 * 1024;
const holder = { held: 0, pace: 0, flush: () => undefined };

async function taken(memory: PartMemory, bytes: number) {
  expect(await memory.take(holder, bytes)).toBe('taken');
  return memory.buffer(bytes);
}

test('the buffer of a part that was sent serves the next of its size, and no other', async () => {
  const memory = new PartMemory(64 * MIB);
  const first = await taken(memory, 16 * MIB);
  memory.giveBack(first);
  expect(memory.taken).toBe(0);
  expect((await taken(memory, 5 * MIB)) === first).toBe(false);
  expect((await taken(memory, 16 * MIB)) === first).toBe(true);
  expect((await taken(memory, 16 * MIB)) === first).toBe(false);
});

test('spare buffers and what is taken are never more than the limit together', async () => {
  const memory = new PartMemory(32 * MIB);
  const first = await taken(memory, 16 * MIB);
  const second = await taken(memory, 16 * MIB);
  memory.giveBack(first);
  memory.giveBack(second);
  // Room is left for one of the two.
  await taken(memory, 10 * MIB);
  memory.give(10 * MIB);
  expect((await taken(memory, 16 * MIB)) === second).toBe(true);
  expect((await taken(memory, 16 * MIB)) === first).toBe(false);
});

test('small buffers are not kept: they come in many sizes', async () => {
  const memory = new PartMemory(64 * MIB);
  const small = await taken(memory, 64 * 1024);
  memory.giveBack(small);
  expect((await taken(memory, 64 * 1024)) === small).toBe(false);
});
