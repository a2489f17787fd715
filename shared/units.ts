/** Parses and formats sizes and durations. */

const BYTE_UNITS: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  pb: 1e15,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
  p: 1024 ** 5,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  tib: 1024 ** 4,
  pib: 1024 ** 5,
};

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** 1,000,000 days. A time that far ahead is still a date, and a whole number in JavaScript and in the ledger's columns. */
export const LONGEST_DURATION_MS: number = 1_000_000 * 86_400_000;

const QUANTITY = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/;

/**
 * Parses a size, such as `5 GiB`, `500MB` or `123`, to bytes. KB, MB … are powers of 1000; KiB, MiB … and the letters K, M … alone are
 * powers of 1024.
 *
 * @throws Error with a sentence that quotes the text
 */
export function parseBytes(text: string): number {
  const bytes = parseQuantity(text, BYTE_UNITS, 'b');
  if (bytes === undefined) throw new Error(`“${text}” is not a size. Write a number and a unit, such as 500MB or 5GiB.`);
  return bytes;
}

/**
 * Parses a duration, such as `24h`, `30s`, `7d` or `250ms`, to whole milliseconds, at most 1,000,000 days. A unit is required, except
 * for 0.
 *
 * @throws Error with a sentence that quotes the text
 */
export function parseDuration(text: string): number {
  const milliseconds = /^\s*0+\s*$/.test(text) ? 0 : parseQuantity(text, DURATION_UNITS);
  if (milliseconds === undefined)
    throw new Error(`“${text}” is not a duration. Write a number and a unit, such as 250ms, 30s, 5m, 24h or 7d.`);
  if (milliseconds > LONGEST_DURATION_MS) throw new Error(`“${text}” is too long. Write at most 1000000d.`);
  return milliseconds;
}

function parseQuantity(text: string, units: Readonly<Record<string, number>>, bareUnit?: string): number | undefined {
  const [, number, unit] = QUANTITY.exec(text.trim().toLowerCase()) ?? [];
  const name = unit || bareUnit;
  if (number === undefined || name === undefined || !Object.hasOwn(units, name)) return undefined;
  const quantity = Math.round(Number(number) * (units[name] ?? Number.NaN));
  return Number.isSafeInteger(quantity) ? quantity : undefined;
}

const BINARY_UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** Formats bytes for people: `1 byte`, `512 bytes`, `1.5 GiB`. At most one decimal place. */
export function formatBytes(bytes: number): string {
  if (bytes === 1) return '1 byte';
  let value = bytes;
  let power = 0;
  // 1023.95 would be rounded to 1024.0 in the same unit.
  while (value >= (power === 0 ? 1024 : 1023.95) && power < BINARY_UNITS.length - 1) {
    value /= 1024;
    power++;
  }
  return `${trimDecimal(value)} ${BINARY_UNITS[power]}`;
}

/** Formats a duration for people: `250 ms`, `45 s`, `1 min 30 s`, `2 h 5 min`, `3 d 4 h`. At most the two largest units. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 9_950) return `${trimDecimal(milliseconds / 1000)} s`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return pair(Math.floor(seconds / 60), 'min', seconds % 60, 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 1440) return pair(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  const hours = Math.round(minutes / 60);
  return pair(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

function trimDecimal(value: number): string {
  return value.toFixed(1).replace(/\.0$/, '');
}
