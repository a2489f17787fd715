import fc from 'fast-check';
import { expect, test } from 'vitest';
import { UploadError } from '../../shared/errors.ts';
import { metadataValue, parseMetadata } from '../../shared/metadata.ts';

const base64 = (text: string) => Buffer.from(text, 'utf8').toString('base64');

function codeOf(header: string): string {
  try {
    parseMetadata(header);
    return 'accepted';
  } catch (error) {
    return error instanceof UploadError ? error.code : String(error);
  }
}

test('pairs of any text are the same after encoding and decoding', () => {
  const key = fc.stringMatching(/^[a-z][A-Za-z0-9_.-]{0,20}$/).filter((name) => name !== 'constructor' && name !== 'prototype');
  const value = fc.string({ unit: 'grapheme', maxLength: 60 }).filter((text) => !/[\r\n\0]/.test(text));
  fc.assert(
    fc.property(fc.dictionary(key, value, { maxKeys: 8 }), (pairs) => {
      const header = Object.entries(pairs)
        .map(([name, text]) => `${name} ${base64(text)}`)
        .join(',');
      expect(Object.fromEntries(parseMetadata(header))).toEqual({ ...pairs });
    }),
  );
});

test('any header content is accepted or throws ERR_INVALID_METADATA', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (header) => {
      expect(['accepted', 'ERR_INVALID_METADATA']).toContain(codeOf(header));
    }),
    { numRuns: 1000 },
  );
});

test('a key may come without a value, and spaces may surround a pair', () => {
  expect([...parseMetadata(`filename ${base64('写真.jpg')}, is_confidential`)]).toEqual([
    ['filename', '写真.jpg'],
    ['is_confidential', ''],
  ]);
});

test.each([
  ['a comma at the end', `a ${base64('1')},b ${base64('2')},`],
  ['commas and spaces at both ends', ` , a ${base64('1')},b ${base64('2')} , `],
  ['an empty pair', `a ${base64('1')},,b ${base64('2')}`],
  ['several spaces in a pair', `a   ${base64('1')} ,\tb\t${base64('2')}`],
])('%s is ignored', (_, header) => {
  expect(Object.fromEntries(parseMetadata(header))).toEqual({ a: '1', b: '2' });
});

test('a missing header gives no metadata', () => {
  for (const header of ['', ' ', ',']) expect(parseMetadata(header).size).toBe(0);
});

test.each([
  ['a duplicate key', `a ${base64('1')},a ${base64('2')}`],
  ['a duplicate key behind spaces and an empty pair', `a ${base64('1')},, a  ${base64('2')},`],
  ['three words in a pair', `a ${base64('1')} ${base64('2')}`],
  ['bad base64', 'a !!!!'],
  ['base64 without its padding', 'a YQ'],
  ['base64url', 'a _-__'],
  ['invalid UTF-8', `a ${Buffer.from([0xff, 0xfe]).toString('base64')}`],
  ['a lone surrogate in UTF-8', `a ${Buffer.from([0xed, 0xa0, 0x80]).toString('base64')}`],
  ['a line feed in a value', `a ${base64('x\ny')}`],
  ['a carriage return in a value', `a ${base64('x\ry')}`],
  ['a NUL in a value', `a ${base64('x\0y')}`],
  ['__proto__ as a key', `__proto__ ${base64('1')}`],
  ['constructor as a key', `constructor ${base64('1')}`],
  ['a key beyond ASCII', `näme ${base64('1')}`],
  ['17 pairs', Array.from({ length: 17 }, (_, index) => `k${index}`).join(',')],
  ['more than 4 KiB', `a ${base64('x'.repeat(4096))}`],
])('%s is refused', (_, header) => {
  expect(codeOf(header)).toBe('ERR_INVALID_METADATA');
});

test('16 pairs are accepted', () => {
  expect(parseMetadata(Array.from({ length: 16 }, (_, index) => `k${index}`).join(',')).size).toBe(16);
});

test('the file name is read from either of its keys, the first that has a value', () => {
  expect(metadataValue(parseMetadata(`name ${base64('b')},filename ${base64('a')}`), 'name')).toBe('a');
  expect(metadataValue(parseMetadata(`name ${base64('b')},filename`), 'name')).toBe('b');
  expect(metadataValue(parseMetadata(''), 'name')).toBeNull();
});
