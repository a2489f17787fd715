import { expect, test } from 'vitest';
import { PartMemory } from '../../server/s3/part-memory.ts';

const MIB = 1024 * 1024;
const holder = { held: 0, pace: 0, flush: () => undefined };

async function taken(memory: PartMemory, bytes: number) {
  expect(await memory.take(holder, bytes)).toBe('taken');
  return memory.buffer(bytes);
}

test('the buffer of a sent part is reused for the next part of its size only', async () => {
  const memory = new PartMemory(64 * MIB);
  const first = await taken(memory, 16 * MIB);
  memory.giveBack(first);
  expect(memory.taken).toBe(0);
  expect((await taken(memory, 5 * MIB)) === first).toBe(false);
  expect((await taken(memory, 16 * MIB)) === first).toBe(true);
  expect((await taken(memory, 16 * MIB)) === first).toBe(false);
});

test('spare and used buffers together never exceed the limit', async () => {
  const memory = new PartMemory(32 * MIB);
  const first = await taken(memory, 16 * MIB);
  const second = await taken(memory, 16 * MIB);
  memory.giveBack(first);
  memory.giveBack(second);
  // This leaves space for one of the two.
  await taken(memory, 10 * MIB);
  memory.give(10 * MIB);
  expect((await taken(memory, 16 * MIB)) === second).toBe(true);
  expect((await taken(memory, 16 * MIB)) === first).toBe(false);
});

test('small buffers are not kept, since they have many sizes', async () => {
  const memory = new PartMemory(64 * MIB);
  const small = await taken(memory, 64 * 1024);
  memory.giveBack(small);
  expect((await taken(memory, 64 * 1024)) === small).toBe(false);
});

test('a body that was asked to flush does so when it next waits for memory', async () => {
  const memory = new PartMemory(10 * MIB);
  const asked: string[] = [];
  const body = (name: string, pace: number) => ({ held: 5 * MIB, pace, flush: () => void asked.push(name) });
  const [slow, fast, waiting] = [body('slow', 1), body('fast', 2), { ...body('waiting', 3), held: 0 }];
  for (const each of [slow, fast, waiting]) memory.enter(each);
  expect([await memory.take(slow, 5 * MIB), await memory.take(fast, 5 * MIB)]).toEqual(['taken', 'taken']);
  const wanted = memory.take(waiting, 5 * MIB);
  expect(asked).toEqual(['slow']);
  expect(await memory.take(slow, MIB)).toBe('flush');
  memory.give(slow.held);
  expect(await wanted).toBe('taken');
});
