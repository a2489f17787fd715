import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { fingerprintOf } from '../../client/resume/journal.ts';
import { SourceVerification } from '../../client/transfer/source-verification.ts';

const MIB = 1024 * 1024;

/** A file of zeros in which a test may change one byte; it counts the bytes read. */
function file(size: number) {
  const state = { changedAt: -1, bytesRead: 0 };
  const read = async (start: number, end: number) => {
    const bytes = new Uint8Array(end - start);
    if (state.changedAt >= start && state.changedAt < end) bytes[state.changedAt - start] = 1;
    state.bytesRead += bytes.length;
    return bytes;
  };
  return { state, read, size };
}

/** A verification after the client has read and sent the whole file. */
async function sent(size: number, readsWhole?: boolean) {
  const source = file(size);
  const fingerprint = await fingerprintOf(source, crc32);
  let sum = 0;
  for (let start = 0; start < size; start += MIB) sum = crc32(await source.read(start, Math.min(start + MIB, size)), sum);
  source.state.bytesRead = 0;
  return { ...source, sum, verification: new SourceVerification(size, fingerprint, { crc32, yieldToPage: undefined }, readsWhole) };
}

const CHANGED = { code: 'ERR_SOURCE_CHANGED' };
/** An offset outside all samples. */
const UNSEEN = 5 * MIB;

test('the client reads a file of up to 256 MiB again whole, a larger one if the application asks for it, and otherwise samples', async () => {
  const reads = async (size: number, readsWhole?: boolean) => {
    const { verification, sum, read, state } = await sent(size, readsWhole);
    await verification.verify(sum, read);
    return state.bytesRead;
  };
  const samples = 3 * 65_536;
  expect(await reads(256 * MIB)).toBe(256 * MIB + samples);
  expect(await reads(256 * MIB + 1)).toBe(samples);
  expect(await reads(256 * MIB + 1, true)).toBe(256 * MIB + 1 + samples);
  expect(await reads(MIB, false)).toBe(samples);
});

test('the client detects a changed byte anywhere when it reads the whole file, and always in a sample', async () => {
  for (const [readsWhole, changedAt] of [
    [undefined, UNSEEN],
    [undefined, 0],
    [false, 0],
    [false, 16 * MIB - 1],
  ] as const) {
    const { verification, sum, read, state } = await sent(16 * MIB, readsWhole);
    state.changedAt = changedAt;
    await expect(verification.verify(sum, read)).rejects.toMatchObject(CHANGED);
  }
});

test('the client does not verify the same sent bytes twice, but verifies again when it has sent other bytes', async () => {
  const { verification, sum, read, state } = await sent(16 * MIB);
  await verification.verify(sum, read);
  const { bytesRead } = state;
  await verification.verify(sum, read);
  expect(state.bytesRead).toBe(bytesRead);
  await expect(verification.verify(sum + 1, read)).rejects.toMatchObject(CHANGED);
});

test('the client reads samples when it has no checksum of the sent bytes', async () => {
  const { verification, read, state } = await sent(16 * MIB);
  state.changedAt = UNSEEN;
  await verification.verify(undefined, read);
  state.changedAt = 0;
  await expect(verification.verify(undefined, read)).rejects.toMatchObject(CHANGED);
});
