import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asciiFileName, extensionOf, nameFromType, safeFileName, safeRelativePath } from '../../shared/filename.ts';

const bytes = (text: string) => new TextEncoder().encode(text).length;

/** Any name that a sender may write: characters with a meaning here, any code unit (lone surrogates too), real names. */
const anyName = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)), maxLength: 100 }),
  fc
    .array(
      fc.constantFrom(
        ...[
          '.',
          '..',
          '/',
          '\\',
          ' ',
          '\u3000',
          ':',
          '-',
          '~',
          '=',
          '+',
          '@',
          '_',
          '$',
          '%',
          ';',
          '&',
          '<',
          '>',
          '"',
          "'",
          '`',
          '|',
          '?',
          '*',
        ],
        ...[
          '\0',
          '\r',
          '\n',
          '\t',
          '\u001b',
          '\u0085',
          '\u202e',
          '\u200b',
          '\u200d',
          '\ufeff',
          '\u2028',
          '\ufe0f',
          '\u{e0041}',
          '\u{e0100}',
        ],
        ...[
          '\ud83d',
          '\udc4d',
          '👍',
          '👨‍👩‍👧',
          '🏳️‍🌈',
          '1️⃣',
          'e\u0301',
          '\u0301',
          '\u0338',
          '葛',
          'ガ',
          'ガ',
          'か\u3099',
          'ك',
          'é',
          'ﬁ',
          '＝',
        ],
        ...['con', 'CON', 'aux', 'nul', 'COM1', 'COM¹', 'lpt9', 'CONIN$', 'C:', 'jpg', 'php', 'exe', 'a', 'B', '1', 'x'.repeat(120)],
      ),
      { maxLength: 24 },
    )
    .map((parts) => parts.join('')),
);

describe('for any name', () => {
  test('a safe name is never empty, is at most 255 bytes, and is well-formed NFC', () => {
    fc.assert(
      fc.property(anyName, (original) => {
        const name = safeFileName(original);
        expect(name).not.toBe('');
        expect(bytes(name)).toBeLessThanOrEqual(255);
        expect(name.isWellFormed()).toBe(true);
        expect(name.normalize('NFC')).toBe(name);
      }),
      { numRuns: 3000 },
    );
  });

  test('making it safe again changes nothing', () => {
    fc.assert(
      fc.property(anyName, (original) => {
        expect(safeFileName(safeFileName(original))).toBe(safeFileName(original));
      }),
      { numRuns: 3000 },
    );
  });

  test('a safe name has no separator, control, bidirectional or zero-width character, and nothing with a special meaning elsewhere', () => {
    fc.assert(
      fc.property(anyName, (original) => {
        const name = safeFileName(original);
        expect(name).not.toMatch(/[/\\<>:"'|?*`$;&%^]/);
        expect(name).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e007f}]/u);
        // A joiner stays where it is visible: in an emoji, or in a word of a script that needs it.
        expect(name).not.toMatch(/(?<!\p{Extended_Pictographic}\ufe0f?\p{Emoji_Modifier}?|[\p{L}\p{M}])\u200d/u);
        expect(name).not.toMatch(
          /(?<![\p{L}\p{M}])\u200c|\u200c(?![\p{L}\p{M}])|[\p{ASCII}\p{Script=Latin}][\u200c\u200d]|[\u200c\u200d]{2}/u,
        );
        expect(name).not.toMatch(/^[-.~=+@ ]|[ .]$/);
        expect(name).not.toMatch(/^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]) *(?:\.|$)/i);
      }),
      { numRuns: 3000 },
    );
  });

  test('the composed and the decomposed form give the same name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (original) => {
        expect(safeFileName(original.normalize('NFD'))).toBe(safeFileName(original.normalize('NFC')));
      }),
    );
  });

  test('a relative path never climbs, is never absolute, and each of its segments is safe', () => {
    fc.assert(
      fc.property(fc.array(anyName, { maxLength: 6 }), (segments) => {
        const path = safeRelativePath(segments.join('/'));
        if (path === undefined) return;
        for (const segment of path.split('/')) expect(safeFileName(segment)).toBe(segment);
        expect(safeRelativePath(path)).toBe(path);
      }),
      { numRuns: 2000 },
    );
  });
});

test.each([
  ['photo.jpg'],
  ['Annual report (final) [v2].pdf'],
  ['写真 2024年5月.jpg'],
  ['전화번호.xlsx'],
  ['تقرير سنوي.pdf'],
  ['Ünïcödé – “quoted” … №5.txt'],
  ['👍🏽 done.png'],
  ['👨‍👩‍👧 family.heic'],
  ['🏳️‍🌈❤️.gif'],
  ['1️⃣ first.mp4'],
  ['葛\u{e0100}城市.txt'],
  // Persian "I want", with a joiner that keeps its two parts apart; Sinhala "Sri"; Malayalam and Bengali words.
  ['می\u200cخواهم.pdf'],
  ['ශ්\u200dරී ලංකා.docx'],
  ['അവന്\u200d.txt'],
  ['ন্\u200dয.txt'],
  ['র\u200d্যাব.txt'],
  ['क्\u200dष.txt'],
  ['a+b=c, #1 @home!.txt'],
  ['archive.tar.gz'],
  ['IMG_0001.JPG'],
  ['no extension'],
])('the safe name of %j is the same', (name) => {
  expect(safeFileName(name)).toBe(name);
});

test.each([
  ['../../etc/passwd', 'passwd'],
  ['/abs/olute.txt', 'olute.txt'],
  ['C:\\Users\\me\\report.docx', 'report.docx'],
  ['C:report.docx', 'report.docx'],
  ['\\\\host\\share\\x.txt', 'x.txt'],
  ['\\\\?\\C:\\x.txt', 'x.txt'],
  ['a/b/', 'b'],
  ['..', 'file'],
  ['.', 'file'],
  ['', 'file'],
  ['/', 'file'],
  ['   ', 'file'],
  ['...', 'file'],
  ['\0\r\n', 'file'],
])('the safe name of the path %j is the base name %j', (original, name) => {
  expect(safeFileName(original)).toBe(name);
});

test.each([
  ['a\0b.txt', 'ab.txt'],
  ['a\r\nSet-Cookie: x.txt', 'aSet-Cookie_ x.txt'],
  ['a\u001b[31mred.txt', 'a[31mred.txt'],
  ['photo\u202egpj.exe', 'photogpj.exe'],
  ['a\u200bb\u200cc\u200dd\ufeff.txt', 'abcd.txt'],
  ['a\u{e0041}\u{e007f}.txt', 'a.txt'],
  ['a\u2028b\u2029c.txt', 'abc.txt'],
  ['a\u0085\u009bb.txt', 'ab.txt'],
  ['a\ud83db\udc4d.txt', 'ab.txt'],
  ['soft\u00adhyphen\u034f.txt', 'softhyphen.txt'],
  ['x\ufe0f.txt', 'x.txt'],
  ['a\u00a0b\u2003c.txt', 'a b c.txt'],
])('the safe name of %j has no invisible characters', (original, name) => {
  expect(safeFileName(original)).toBe(name);
});

test.each([
  ['CON', '_CON'],
  ['con.txt', '_con.txt'],
  ['aux .txt', '_aux .txt'],
  ['NUL.tar.gz', '_NUL.tar.gz'],
  ['COM1', '_COM1'],
  ['COM¹.txt', '_COM¹.txt'],
  ['lpt³', '_lpt³'],
  ['CONIN$', '_CONIN_'],
  ['conout$.txt', '_conout_.txt'],
  ['trailing. . .', 'trailing'],
  ['trailing.txt ', 'trailing.txt'],
  ['file.txt:stream', 'file.txt_stream'],
  ['evil.php::$DATA', 'evil.php___DATA'],
  ['Screenshot 10:20:30.png', 'Screenshot 10_20_30.png'],
  ['.htaccess', '_htaccess'],
  ['..hidden', '_hidden'],
  ['-rf', '_rf'],
  ['--help.txt', '_help.txt'],
  ['~root', '_root'],
  ['~$report.docx', '__report.docx'],
  ['conference.txt', 'conference.txt'],
  ['icon', 'icon'],
])('the safe name of %j is %j', (original, name) => {
  expect(safeFileName(original)).toBe(name);
});

test.each([
  ['$(id).txt', '_(id).txt'],
  ['`id`.txt', '_id_.txt'],
  ['<img src=x onerror=alert(1)>.png', '_img src=x onerror=alert(1)_.png'],
  ['=cmd|calc.csv', '_cmd_calc.csv'],
  ['+1+1.csv', '_1+1.csv'],
  ['@SUM(1).csv', '_SUM(1).csv'],
  ['＝cmd.csv', '_cmd.csv'],
  ['a;rm -rf *.txt', 'a_rm -rf _.txt'],
  ['a & b.txt', 'a + b.txt'],
  ["O'Brien.txt", 'O’Brien.txt'],
  ['The "Best".mp4', 'The ”Best”.mp4'],
  ['%2e%2e%2fpasswd', '_2e_2e_2fpasswd'],
  ['%PATH%.txt', '_PATH_.txt'],
])('the safe name of %j has no special meaning: %j', (original, name) => {
  expect(safeFileName(original)).toBe(name);
});

describe('shortening a long name', () => {
  const graphemes = (text: string) => [...new Intl.Segmenter('und').segment(text)].map(({ segment }) => segment);

  test.each([
    ['300 ASCII letters', 'x'.repeat(300)],
    ['120 ideographs', '写'.repeat(120)],
    ['100 emoji', '👍🏽'.repeat(100)],
    ['100 families', '👨‍👩‍👧‍👦'.repeat(100)],
    ['200 letters with marks', 'e\u0301\u0323'.repeat(200)],
    ['100 flags', '🇯🇵'.repeat(100)],
  ])('cuts %s between graphemes, keeping the extension', (_, stem) => {
    const name = safeFileName(`${stem}.jpeg`);
    expect(bytes(name)).toBeLessThanOrEqual(255);
    expect(bytes(name)).toBeGreaterThan(220);
    expect(name).toMatch(/\.jpeg$/);
    const known = new Set(graphemes(stem.normalize('NFC')));
    for (const grapheme of graphemes(name.slice(0, -'.jpeg'.length))) expect(known).toContain(grapheme);
  });

  test('leaves a name even of a single grapheme that is too long', () => {
    expect(safeFileName(`e${'\u0301'.repeat(300)}.txt`)).toBe('file.txt');
  });

  test('does not leave a space or a dot at the end', () => {
    expect(safeFileName(`${'x'.repeat(250)} . y.txt`)).toBe(`${'x'.repeat(250)}.txt`);
  });

  test('cuts an extension that is too long like the rest', () => {
    expect(bytes(safeFileName(`a.${'x'.repeat(300)}`))).toBe(255);
  });
});

test.each([
  ['photo.JPG', 'jpg'],
  ['archive.tar.gz', 'gz'],
  ['photo.jpg.php', 'php'],
  ['photo\u202egpj.exe', 'exe'],
  ['evil.php. ', 'php'],
  ['a.b/c', ''],
  ['README', ''],
  ['.bashrc', ''],
  ['.jpg', ''],
  ['Dr. Smith', ''],
  ['a..jpg', 'jpg'],
  ['x.jpg:stream', 'jpg_stream'],
  ['レポート.最終版', '最終版'],
  ['', ''],
])('the last extension of %j is %j', (name, extension) => {
  expect(extensionOf(name)).toBe(extension);
});

test('a missing name is made of the id and the extension of the detected type', () => {
  expect(nameFromType('0123456789abcdef0123456789abcdef', 'jpg')).toBe('0123456789abcdef0123456789abcdef.jpg');
  expect(nameFromType('0123456789abcdef0123456789abcdef', null)).toBe('0123456789abcdef0123456789abcdef');
});

test.each([
  ['Holiday/2024/IMG 1.jpg', 'Holiday/2024/IMG 1.jpg'],
  ['Holiday\\2024\\IMG 1.jpg', 'Holiday/2024/IMG 1.jpg'],
  ['/a/./b//c.txt', 'a/b/c.txt'],
  ['CON/aux.txt', '_CON/_aux.txt'],
  ['../x', undefined],
  ['a/../../x', undefined],
  ['a/.\u200b./x', undefined],
  ['a/.. /x', undefined],
  ['', undefined],
  ['/', undefined],
  [`${'a/'.repeat(40)}x`, undefined],
  [`${'x'.repeat(200)}/`.repeat(6), undefined],
])('the relative path %j becomes %j', (path, safe) => {
  expect(safeRelativePath(path)).toBe(safe);
});

test.each([
  ['pay\u200cpal.pdf', 'paypal.pdf'],
  ['می\u200c\u200cخواهم.pdf', 'میخواهم.pdf'],
  ['می\u200c.pdf', 'می.pdf'],
  ['\u200cمی.pdf', 'می.pdf'],
  ['a\u200dمی.pdf', 'aمی.pdf'],
])('the safe name of %j has no joiner that joins nothing', (name, safe) => {
  expect(safeFileName(name)).toBe(safe);
});

test.each([
  ['report.pdf', 'report.pdf'],
  ['Größe.txt', 'Gro_e.txt'],
  ['写真 2024.jpg', '__ 2024.jpg'],
  ['ملف.pdf', '___.pdf'],
  ['👍.png', '_.png'],
  ['ｃｏｎ.txt', '___.txt'],
  ['é', 'e'],
])('the plain form of %j is %j, a legal name on Windows', (name, plain) => {
  expect(asciiFileName(name)).toBe(plain);
});
