/** One header of a tar archive: names and numbers in fields of fixed length. */
import { AmbiguousContainer } from './byte-ranges.ts';

export const BLOCK_BYTES = 512;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

export function isZero(block: Buffer): boolean {
  return block.equals(ZEROS);
}

export function isHeader(block: Buffer): boolean {
  return headerSum(block) !== undefined;
}

/** The sum of a header's bytes, with spaces in the field of the sum. Some old programs added signed bytes. Undefined for another block. */
export function headerSum(header: Buffer): 'unsigned' | 'signed' | undefined {
  if (header.length < BLOCK_BYTES) return undefined;
  // Adds four bytes at a time into two sums of 16 bits: 256 bytes add up to 65,280 at most.
  const words = new DataView(header.buffer, header.byteOffset, BLOCK_BYTES);
  let sums = 0;
  for (let at = 0; at < BLOCK_BYTES; at += 4) {
    const word = at === 148 || at === 152 ? 0x20202020 : words.getUint32(at);
    sums = (sums + (word & 0x00ff00ff) + ((word >>> 8) & 0x00ff00ff)) | 0;
  }
  const sum = (sums & 0xffff) + (sums >>> 16);
  const stated = readNumber(header, 148, 8);
  if (stated === sum) return 'unsigned';
  let large = 0;
  for (const [index, byte] of header.entries()) if (byte >= 128 && (index < 148 || index >= 156)) large++;
  return stated === sum - 256 * large ? 'signed' : undefined;
}

/** @throws AmbiguousContainer when readers do not agree on its value */
export function numberAt(header: Buffer, start: number, length: number): number {
  const number = readNumber(header, start, length);
  if (number === undefined) throw new AmbiguousContainer('A number is invalid.');
  return number;
}

/** Octal digits; or, when the first byte is 0x80, a binary number (GNU, for large ones). Undefined for anything else. */
function readNumber(header: Buffer, start: number, length: number): number | undefined {
  const end = start + length;
  if (((header[start] ?? 0) & 0x80) !== 0) {
    return header[start] === 0x80 ? Number(BigInt(`0x${header.toString('hex', start + 1, end)}`)) : undefined;
  }
  let number = 0;
  let at = start;
  // Spaces may come before the digits, and spaces or a NUL after them.
  while (at < end && header[at] === 0x20) at++;
  for (; at < end; at++) {
    const digit = (header[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) break;
    number = number * 8 + digit;
  }
  // Some readers skip leading NULs, others take them for the end.
  const isEmpty = header[start] === 0;
  while (at < end && (header[at] === 0x20 || (isEmpty && header[at] === 0))) at++;
  return at === end || (!isEmpty && header[at] === 0) ? number : undefined;
}

/** The names that readers take from the header itself. */
export function headerNames(header: Buffer): string[] {
  const name = textAt(header, 0, 100);
  const folder = textAt(header, 345, 500);
  if (folder === '') return [name];
  // Python joins the two in the header of any format; in GNU's own there are times in this place.
  return header.toString('latin1', 257, 263) === 'ustar\0' ? [`${folder}/${name}`] : [name, `${folder}/${name}`];
}

/** The text from `start` to before `most`, or up to a NUL in it. */
export function textAt(bytes: Buffer, start: number, most: number): string {
  let end = start;
  while (end < most && bytes[end] !== 0) end++;
  return end === start ? '' : bytes.toString('latin1', start, end);
}
