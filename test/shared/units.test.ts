import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatBytes, formatDuration, parseBytes, parseDuration } from '../../shared/units.ts';

test.each([
  ['123', 123],
  ['0', 0],
  ['123 B', 123],
  ['500MB', 500_000_000],
  ['5 GiB', 5 * 1024 ** 3],
  ['5g', 5 * 1024 ** 3],
  ['1.5 KiB', 1536],
  [' 2 tib ', 2 * 1024 ** 4],
])('%j is %d bytes', (text, bytes) => {
  expect(parseBytes(text)).toBe(bytes);
});

test.each(['', 'GiB', '-1', '1e3', '0x10', '5 XB', '5 GiB 3', '1,5 GB', '9999999 PiB', 'NaN', 'constructor', '5 constructor'])(
  '%j is refused as a size, in a sentence that quotes it',
  (text) => {
    expect(() => parseBytes(text)).toThrow(`“${text}” is not a size.`);
  },
);

test.each([
  ['250ms', 250],
  ['30s', 30_000],
  ['5m', 300_000],
  ['5 min', 300_000],
  ['24h', 86_400_000],
  ['7d', 604_800_000],
  ['2w', 1_209_600_000],
  ['1.5 h', 5_400_000],
  ['0', 0],
])('%j is %d milliseconds', (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds);
});

test('a duration is at most a million days', () => {
  expect(parseDuration('1000000d')).toBe(1_000_000 * 86_400_000);
  for (const text of ['1000001d', '104249991d'])
    expect(() => parseDuration(text)).toThrow(`“${text}” is too long. Write at most 1000000d.`);
});

test.each(['', '30', '-5s', '5 years', '1h30m', 's'])('%j is refused as a duration', (text) => {
  expect(() => parseDuration(text)).toThrow(`“${text}” is not a duration.`);
});

test.each([
  [0, '0 bytes'],
  [1, '1 byte'],
  [1023, '1023 bytes'],
  [1024, '1 KiB'],
  [1536, '1.5 KiB'],
  [1024 ** 2 - 1, '1 MiB'],
  [5 * 1024 ** 3, '5 GiB'],
  [1024 ** 5, '1 PiB'],
])('%d bytes read as %j', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test.each([
  [250, '250 ms'],
  [1500, '1.5 s'],
  [45_000, '45 s'],
  [90_000, '1 min 30 s'],
  [3_600_000, '1 h'],
  [7_500_000, '2 h 5 min'],
  [86_400_000, '1 d'],
  [604_800_000, '7 d'],
  [273_600_000, '3 d 4 h'],
])('%d milliseconds read as %j', (milliseconds, text) => {
  expect(formatDuration(milliseconds)).toBe(text);
});

test('a size that is formatted and parsed again differs only by rounding', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1024 ** 5 }), (bytes) => {
      expect(Math.abs(parseBytes(formatBytes(bytes).replace(/ bytes?$/, '')) - bytes)).toBeLessThanOrEqual(bytes * 0.05);
    }),
  );
});
