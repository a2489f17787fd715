import { crc32 as zlibCrc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { checksumHeader, combineCrc32, crc32, formatChecksum, RunningChecksum } from '../../client/transfer/checksum.ts';
import { videoBytes } from '../support/content.ts';

test('the CRC-32 for browsers equals the one of zlib, computed whole or in pieces', async () => {
  const bytes = await videoBytes(100_003);
  expect(crc32(bytes, 0)).toBe(zlibCrc32(bytes));
  expect(crc32(new TextEncoder().encode('123456789'), 0)).toBe(0xcbf43926);
  let pieces = 0;
  for (let at = 0; at < bytes.length; at += 1021) pieces = crc32(bytes.subarray(at, at + 1021), pieces);
  expect(pieces).toBe(zlibCrc32(bytes));
});

test('the CRC-32 of two pieces together is combined from the CRC-32 of each', () => {
  const bytes = crypto.getRandomValues(new Uint8Array(5000));
  for (const at of [0, 1, 7, 1024, 4999, 5000]) {
    const [first, second] = [bytes.subarray(0, at), bytes.subarray(at)];
    expect(combineCrc32(zlibCrc32(first), zlibCrc32(second), second.length)).toBe(zlibCrc32(bytes));
  }
});

test('a checksum is encoded for the Upload-Checksum header and for the record', () => {
  expect(checksumHeader(0xcbf43926)).toBe('crc32 y/Q5Jg==');
  expect(checksumHeader(1)).toBe('crc32 AAAAAQ==');
  expect(formatChecksum(1)).toBe('crc32:00000001');
});

describe('a running checksum', () => {
  const file = crypto.getRandomValues(new Uint8Array(10_000));
  const sum = (end: number) => zlibCrc32(file.subarray(0, end));

  function reading() {
    const reads: [number, number][] = [];
    const read = async (start: number, end: number) => {
      reads.push([start, end]);
      return file.subarray(start, end);
    };
    return { reads, read };
  }

  test('covers the sent bytes without reading any of them again', async () => {
    const checksum = new RunningChecksum(crc32);
    const { reads, read } = reading();
    await checksum.seek(0, read);
    checksum.add(0, file.subarray(0, 4000));
    await checksum.seek(4000, read);
    checksum.add(4000, file.subarray(4000));
    expect(checksum.at(10_000)).toBe(sum(10_000));
    expect(reads).toEqual([]);
  });

  test('returns to the confirmed offset when a body breaks in the middle', async () => {
    const checksum = new RunningChecksum(crc32);
    const { reads, read } = reading();
    checksum.add(0, file.subarray(0, 4000));
    checksum.markConfirmed();
    checksum.add(4000, file.subarray(4000, 9000));
    await checksum.seek(6000, read);
    expect(checksum.at(6000)).toBe(sum(6000));
    expect(reads).toEqual([[4000, 6000]]);
  });

  test('starts at the checkpoint of an earlier visit, and ignores bytes out of order', async () => {
    const checksum = new RunningChecksum(crc32, { offset: 5000, crc32: sum(5000) });
    const { reads, read } = reading();
    checksum.add(0, file.subarray(0, 100));
    await checksum.seek(7000, read);
    expect(checksum.at(7000)).toBe(sum(7000));
    expect(reads).toEqual([[5000, 7000]]);
    expect(checksum.at(6999)).toBeUndefined();
  });

  test('reads from the start where the server has less than the checkpoint', async () => {
    const checksum = new RunningChecksum(crc32, { offset: 5000, crc32: sum(5000) });
    const { reads, read } = reading();
    await checksum.seek(3000, read);
    expect(checksum.at(3000)).toBe(sum(3000));
    expect(reads).toEqual([[0, 3000]]);
  });

  test('does not loop forever on a file that became shorter', async () => {
    const checksum = new RunningChecksum(crc32);
    await expect(checksum.seek(100, async () => new Uint8Array())).rejects.toMatchObject({ code: 'ERR_SOURCE_CHANGED' });
  });
});
