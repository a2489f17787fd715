// Text in the encodings that people use, as bytes that a program saved, not converted here.
import { afterAll, describe, expect, test } from 'vitest';
import { createDefaultChecks } from '../../server/inspection/checks/default-checks.ts';
import { checkHead } from '../../server/inspection/checks/early.ts';
import { Detector } from '../../server/inspection/detector.ts';
import { DEFAULT_ALLOW, parsePolicy } from '../../shared/policy.ts';
import * as files from '../support/fixtures.ts';
import { inspectContent } from '../support/inspect-content.ts';

const detector = new Detector({ timeLimitMs: 30_000 });
const checks = createDefaultChecks(detector);
afterAll(() => detector.close());

const standard = parsePolicy(DEFAULT_ALLOW);
const strict = parsePolicy(DEFAULT_ALLOW, { allowLegacyText: false });
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

async function codeOf(name: string, content: Uint8Array, policy = standard, chunkBytes?: number) {
  const { rejection } = await inspectContent(checks, { name, content, policy, ...(chunkBytes === undefined ? {} : { chunkBytes }) });
  const early = await checkHead(detector, { head: content, safeName: name, claimedType: null, length: content.length, policy });
  expect(early?.code).toBe(rejection?.code);
  return rejection?.code ?? 'accepted';
}

/** The test decodes the bytes to make sure that they are the intended text. */
const SAVED: readonly [encoding: string, text: string, bytes: Buffer][] = [
  ['windows-1252', 'Größe;5 €\r\n', hex('4772f6df653b3520800d0a')],
  ['iso-8859-1', 'Größe\n', hex('4772f6df650a')],
  ['windows-1251', 'Привет\r\n', hex('cff0e8e2e5f20d0a')],
  ['koi8-r', 'Привет\n', hex('f0d2c9d7c5d40a')],
  ['shift_jis', '日本,ソ\r\n', hex('93fa967b2c835c0d0a')],
  ['euc-jp', '日本\n', hex('c6fccbdc0a')],
  ['iso-2022-jp', '日本\n', hex('1b2442467c4b5c1b28420a')],
  ['gbk', '中文,漢\r\n', hex('d6d0cec42c9d680d0a')],
  ['big5', '中文\n', hex('a4a4a4e50a')],
  ['euc-kr', '한국\n', hex('c7d1b1b90a')],
  ['windows-1255', 'שלום\r\n', hex('f9ece5ed0d0a')],
  ['windows-874', 'ไทย\r\n', hex('e4b7c20d0a')],
  ['utf-8', 'Größe €\n', Buffer.from('Größe €\n')],
];

describe.each(SAVED)('%s', (encoding, text, bytes) => {
  test('is text by default, however it is cut', async () => {
    expect(new TextDecoder(encoding).decode(bytes)).toBe(text);
    for (const name of ['a.csv', 'a.txt', 'a.srt', 'a.ass', 'a.json', 'a.obj', 'a.step'])
      expect(await codeOf(name, bytes)).toBe('accepted');
    for (const chunkBytes of [1, 2, 3, 5]) expect(await codeOf('a.csv', bytes, standard, chunkBytes)).toBe('accepted');
  });

  test('is refused when an operator asks for Unicode, unless it is Unicode', async () => {
    // ISO 2022 is ASCII with escapes: no check can tell it from the output of a terminal.
    const isUnicode = encoding === 'utf-8' || encoding === 'iso-2022-jp';
    expect(await codeOf('a.csv', bytes, strict)).toBe(isUnicode ? 'accepted' : 'ERR_TEXT_INVALID');
  });
});

test('code page 437 is text as old DOS programs save it, with its end mark', async () => {
  const saved = hex('4772 9465 0d0a 1a');
  for (const chunkBytes of [1, 2, 6, 7]) expect(await codeOf('a.txt', saved, standard, chunkBytes)).toBe('accepted');
  expect(await codeOf('a.txt', saved.subarray(0, 6))).toBe('accepted');
  expect(await codeOf('a.txt', hex('61 1a'))).toBe('accepted');
  expect(await codeOf('a.txt', saved, strict)).toBe('ERR_TEXT_INVALID');
});

test.each<[what: string, content: Buffer]>([
  ['a picture', files.png()],
  ['a program', files.exe()],
  ['noise', files.noise(5000)],
  ['a NUL', hex('6100 62')],
  ['a control', hex('61 01 62')],
  ['an end mark with more behind it', hex('61 1a 62')],
  ['two end marks', hex('61 1a 1a')],
  ['UTF-16 without its mark', Buffer.from('hello', 'utf16le')],
  ['UTF-16 with half a character', files.utf16('hello').subarray(0, 11)],
  ['UTF-16 with half a pair', files.utf16('a\ud83d')],
  ['UTF-32', hex('fffe0000 61000000')],
])('%s is no text in any encoding', async (_, content) => {
  for (const policy of [standard, strict]) {
    for (const name of ['a.csv', 'a.txt']) expect(await codeOf(name, content, policy)).toBe('ERR_TEXT_INVALID');
  }
  for (const chunkBytes of [1, 2, 3]) expect(await codeOf('a.txt', content, standard, chunkBytes)).toBe('ERR_TEXT_INVALID');
});

test('a text whose first bytes end in an end mark is not refused early', async () => {
  const head = Buffer.concat([Buffer.alloc(4999, 'text '), hex('1a')]);
  expect(await checkHead(detector, { head, safeName: 'a.txt', claimedType: null, length: 9000, policy: standard })).toBeUndefined();
});
