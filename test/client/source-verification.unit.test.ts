import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { fingerprintOf } from '../../client/resume/journal.ts';
import { SourceVerification } from '../../client/transfer/source-verification.ts';

const MIB = 1024 * 1024;

/** A file of zeros, one byte of which may be another; what is read of it is counted. */
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

/** As it is after all of the file was read for sending. */
async function sent(size: number, readsWhole?: boolean) {
  const source = file(size);
  const fingerprint = await fingerprintOf(source, crc32);
  let sum = 0;
  for (let start = 0; start < size; start += MIB) sum = crc32(await source.read(start, Math.min(start + MIB, size)), sum);
  source.state.bytesRead = 0;
  return { ...source, sum, verification: new SourceVerification(size, fingerprint, { crc32, yieldToPage: undefined }, readsWhole) };
}

const CHANGED = { code: 'ERR_SOURCE_CHANGED' };
/** In none of the samples. */
const UNSEEN = 5 * MIB;

test('a file of up to 256 MiB is read again whole, a larger one where that is wanted, any other way samples of it', async () => {
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

test('a changed byte is found out wherever the whole is read, in a sample always', async () => {
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

test('what was verified is not read again while the same was sent; other bytes that were sent are', async () => {
  const { verification, sum, read, state } = await sent(16 * MIB);
  await verification.verify(sum, read);
  const { bytesRead } = state;
  await verification.verify(sum, read);
  expect(state.bytesRead).toBe(bytesRead);
  await expect(verification.verify(sum + 1, read)).rejects.toMatchObject(CHANGED);
});

test('without a checksum of what was sent the samples have to do', async () => {
  const { verification, read, state } = await sent(16 * MIB);
  state.changedAt = UNSEEN;
  await verification.verify(undefined, read);
  state.changedAt = 0;
  await expect(verification.verify(undefined, read)).rejects.toMatchObject(CHANGED);
});
