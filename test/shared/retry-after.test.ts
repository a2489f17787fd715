import { expect, test } from 'vitest';
import { readRetryAfter, writeRetryAfter } from '../../shared/retry-after.ts';

const NOW = 'Wed, 21 Oct 2026 07:28:00 GMT';
const DAY = 86_400;

function read(value: string | null, date: string | null = NOW): number | undefined {
  return readRetryAfter((name) => (name === 'Retry-After' ? value : name === 'Date' ? date : null));
}

test.each([
  ['120', 120],
  [' 5 ', 5],
  ['0', 0],
  ['2.57', 3],
  ['0.001', 1],
  ['99999999999999999999999999', DAY],
  ['Wed, 21 Oct 2026 07:28:30 GMT', 30],
  ['Wednesday, 21-Oct-26 07:28:30 GMT', 30],
  ['Wed Oct 21 07:28:30 2026', 30],
  ['Wed, 21 Oct 2026 07:00:00 GMT', 0],
  ['Fri, 21 Oct 2066 07:28:00 GMT', DAY],
])('a Retry-After of “%s” is %d seconds', (value, seconds) => {
  expect(read(value)).toBe(seconds);
});

test.each([null, '', 'soon', '-5', '+5', '1e3', '0x10', '1.', '5, 6', 'NaN', 'Infinity', 'Wed, no day', '2026-10-21T07:28:30Z'])(
  'a Retry-After of “%s” says nothing',
  (value) => {
    expect(read(value)).toBeUndefined();
  },
);

test('a date is compared with this clock when the answer does not give the time', () => {
  const in30 = new Date(Date.now() + 30_000).toUTCString();
  for (const date of [null, 'today']) expect([28, 29, 30]).toContain(read(in30, date));
});

test.each([
  [5, '5'],
  [2.1, '3'],
  [-1, '0'],
  [1e21, String(DAY)],
  [Number.POSITIVE_INFINITY, String(DAY)],
  [Number.NaN, undefined],
  [undefined, undefined],
])('%s seconds are sent as %s', (seconds, value) => {
  expect(writeRetryAfter(seconds)).toBe(value);
});
