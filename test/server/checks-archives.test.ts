// Checks of archives: their directory tells what they would do when they are unpacked.
import { afterAll, describe, expect, test } from 'vitest';
import { createDefaultChecks } from '../../server/inspection/checks/default-checks.ts';
import { inspectZip } from '../../server/inspection/checks/zip-rules.ts';
import { Detector } from '../../server/inspection/detector.ts';
import { ARCHIVE_RULES, DEFAULT_ALLOW, parsePolicy } from '../../shared/policy.ts';
import * as files from '../support/fixtures.ts';
import { createInspector } from '../support/inspect-both.ts';
import { inspectContent } from '../support/inspect-content.ts';
import { paxRecord, type TarMember, tarOf, tarOfMany } from '../support/tar-fixtures.ts';
import { jar, office, unicodePath, type ZipMember, zip, zipOfMany } from '../support/zip-fixtures.ts';

const detector = new Detector({ timeLimitMs: 30_000 });
const { inspect, codeOf } = createInspector(detector);
afterAll(() => detector.close());

const LINK = 0o120777;
const file = (name: string): ZipMember => ({ name, content: 'hello' });
const link = (name: string, target: string, more: Partial<ZipMember> = {}): ZipMember => ({
  name,
  content: target,
  unixMode: LINK,
  ...more,
});
const GIB = 1024 ** 3;

/** The 64-bit numbers of an entry whose 32-bit fields are all ones. */
function zip64Numbers(...numbers: number[]): Buffer {
  const field = Buffer.alloc(4 + 8 * numbers.length);
  field.writeUInt16LE(1, 0);
  field.writeUInt16LE(8 * numbers.length, 2);
  numbers.forEach((number, index) => void field.writeBigUInt64LE(BigInt(number), 4 + 8 * index));
  return field;
}

function endOf(archive: Buffer, { comment }: { comment: number }): Buffer {
  const end = Buffer.from(archive.subarray(archive.lastIndexOf('PK\x05\x06')));
  end.writeUInt16LE(comment, 20);
  return end;
}

/** Another number in a field of the end record. `more`: another field of the same bytes less. */
function withEnd(archive: Buffer, field: number, value: number, shifted?: number): Buffer {
  const changed = Buffer.from(archive);
  const at = archive.lastIndexOf('PK\x05\x06');
  if (field === 10) changed.writeUInt16LE(value, at + field);
  else changed.writeUInt32LE(value, at + field);
  if (shifted !== undefined) changed.writeUInt32LE(archive.readUInt32LE(at + shifted), at + shifted);
  return changed;
}

function replaced(archive: Buffer, name: string, by: string): Buffer {
  const changed = Buffer.from(archive);
  changed.write(by, archive.indexOf(name), 'latin1');
  return changed;
}

const UNSAFE_ZIPS: readonly [what: string, rule: (typeof ARCHIVE_RULES)[number], members: readonly ZipMember[]][] = [
  ['a step up', 'paths', [file('../a.txt')]],
  ['a step up in the middle', 'paths', [file('a/../../b.txt')]],
  ['a step up behind a backslash', 'paths', [file('a\\..\\..\\b.txt')]],
  ['a step up with a space behind', 'paths', [file('.. /a.txt')]],
  ['a step up at the end', 'paths', [file('a/..')]],
  ['an absolute path', 'paths', [file('/etc/passwd')]],
  ['a share', 'paths', [file('\\\\server\\share\\a.txt')]],
  ['a drive', 'paths', [file('C:\\Windows\\a.txt')]],
  ['a drive without a root', 'paths', [file('c:a.txt')]],
  ['a second name that leads out', 'paths', [{ ...file('a.txt'), extraField: unicodePath('../a.txt') }]],
  ['a link to a step up', 'links', [link('a', '../b')]],
  ['a packed link', 'links', [link('a', `../${'long/'.repeat(50)}`)]],
  ['a stored link', 'links', [link('a', '../b', { isStored: true })]],
  ['a link to an absolute path', 'links', [link('a/b', '/etc')]],
  ['a link to a drive', 'links', [link('a/b', 'C:\\')]],
  ['a link too far up', 'links', [link('a/b', '../../c')]],
  ['a link down and up', 'links', [link('a/b', 'c/../../d')]],
  ['a link below another', 'links', [link('a/b/c', '../..'), link('a/b/c/d', '../x')]],
  ['a link below another in other letters', 'links', [link('A/b', '.'), link('a/B/c', '../x')]],
  ['a link below another in other forms of a letter', 'links', [link('A/\u00e9', '.'), link('a/E\u0301/c', '../x')]],
  ['a link below another with a dot behind', 'links', [link('a', '.'), link('a./c', '../x')]],
  ['a link below another in other words', 'links', [link('Straße', '.'), link('STRASSE/c', '../x')]],
  ['a link to a step up with a space behind', 'links', [link('a', '.. /b')]],
  ['a link whose second name is less deep', 'links', [link('a/b', '../c', { extraField: unicodePath('b') })]],
  ['entries that lie over one another', 'overlaps', [file('a'), { ...file('b'), position: 0 }]],
  ['an entry that reaches into the next', 'overlaps', [file('a'), { ...file('b'), position: 10 }, file('c')]],
  ['an entry that reaches into the directory', 'overlaps', [file('a'), { ...file('b'), position: 60 }]],
  ['more than it can hold', 'ratio', Array.from({ length: 3 }, (_, index) => ({ name: `${index}`, size: GIB / 2 }))],
  ['more than it can hold, in 64 bits', 'ratio', [{ name: 'a', size: 0xffffffff, extraField: zip64Numbers(5 * GIB) }]],
];

describe('a ZIP archive', () => {
  test.each(UNSAFE_ZIPS)('with %s is refused', async (_, __, members) => {
    expect(await codeOf('a.zip', zip(members))).toBe('ERR_ARCHIVE_UNSAFE');
  });

  test.each(UNSAFE_ZIPS)('with %s is accepted without the rule "%s"', async (_, rule, members) => {
    const policy = parsePolicy(DEFAULT_ALLOW, { archiveRules: ARCHIVE_RULES.filter((other) => other !== rule) });
    expect(await codeOf('a.zip', zip(members), policy)).toBe('accepted');
  });

  test.each<[what: string, members: readonly ZipMember[]]>([
    ['dots in names', [file('..a/b..'), file('a...txt'), file('.../a'), file('./a.txt')]],
    ['a colon in a name', [file('Folder/C: notes.txt'), file('12:30.txt')]],
    ['letters of another code page', [{ ...file('表/a.txt'), extraField: unicodePath('表/a.txt') }]],
    ['links that stay inside', [link('a/b', '../c'), link('lib.so', './lib.so.1'), link('x/y/z', '../../w'), link('F/Current', 'A')]],
    ['a link longer than any path', [link('a', `../${'x'.repeat(5000)}`)]],
    ['folders', [{ name: 'a/' }, { name: 'a/b/' }, file('a/b/c')]],
    ['a large file that packs well', [{ name: 'zeros', content: Buffer.alloc(4 * 1024 * 1024) }]],
    ['much declared, below a gibibyte', [{ name: 'a', size: GIB - 1 }]],
    ['a program, which is not judged', [{ name: 'setup.exe', content: files.exe() }]],
  ])('with %s is accepted', async (_, members) => {
    expect(await codeOf('a.zip', zip(members))).toBe('accepted');
  });

  test('written by macOS beyond 4 GiB, without the upper halves of its numbers, is not checked by its positions', async () => {
    const small = zip([file('a'), { ...file('b'), position: 0 }]);
    // A hole of 4 GiB precedes it, which none of its numbers counts.
    const hole = 4 * GIB;
    const read = async (start: number, end: number) => {
      const from = Math.max(0, start - hole);
      return Buffer.concat([
        Buffer.alloc(Math.min(Math.max(0, hole - start), end - start)),
        small.subarray(from, Math.max(from, end - hole)),
      ]);
    };
    const signal = new AbortController().signal;
    expect(await inspectZip({ length: hole + small.length, signal, read }, parsePolicy('archives'))).toEqual({
      isEncrypted: false,
      unsafe: undefined,
    });
  });

  const good = [file('good.txt')];
  const bad = zip([file('../bad.txt')]);
  const lonely = Buffer.concat([zip(good), Buffer.alloc(100)]);

  test.each<[what: string, content: Buffer]>([
    ['another directory in the comment', zip(good, { comment: Buffer.concat([bad.subarray(bad.indexOf('PK\x01\x02')), Buffer.alloc(1)]) })],
    ['another archive as the comment', zip(good, { comment: Buffer.concat([bad, Buffer.alloc(1)]) })],
    ['another end record behind its end', Buffer.concat([lonely, endOf(zip(good), { comment: 500 })])],
    ['a directory of no bytes', withEnd(zip(good), 12, 0)],
    ['the size of the last entry', withEnd(zip([file('a'), file('b')]), 12, 47)],
    ['the size of the first entry', withEnd(zip([file('a'), file('b')]), 12, 47, 16)],
    ['64-bit numbers that differ', withEnd(zip(good, { zip64: 'redundant' }), 16, 5)],
    ['a 64-bit count that differs', withEnd(zip(good, { zip64: 'redundant' }), 10, 5)],
    ['a NUL in a name', zip([file('a.txt\0/b')])],
    ['two second names', zip([{ ...file('a'), extraField: Buffer.concat([unicodePath('a'), unicodePath('b')]) }])],
    ['two fields of 64-bit numbers', zip([{ ...file('a'), extraField: Buffer.concat([zip64Numbers(1), zip64Numbers(2)]) }])],
    ['another name before a link', replaced(zip([link('a/b', '../c')]), 'a/b', 'b/a')],
  ])('with %s, which readers do not agree on, is refused', async (_, content) => {
    expect(await inspect('a.zip', content)).toMatchObject({
      rejection: { code: 'ERR_UNINSPECTABLE', detail: '“a.zip” can be read in more than one way.' },
    });
  });

  test.each<[what: string, content: Buffer]>([
    ['nothing', zip([])],
    ['nothing but a comment', zip([], { comment: Buffer.from('PK\x05\x06'.repeat(10), 'latin1') })],
    ['the mark of an end record in its comment', zip(good, { comment: Buffer.from(`PK\x05\x06${' '.repeat(30)}`, 'latin1') })],
    ['another archive before it', Buffer.concat([zip([file('other.txt')]), zip(good)])],
    ['another archive, stored', zip([{ name: 'inner.zip', content: zip(good), isStored: true }, ...good])],
    ['the lower half of its count', withEnd(zip(good, { zip64: 'redundant' }), 10, 1)],
  ])('with %s is accepted', async (_, content) => {
    expect(await codeOf('a.zip', content)).toBe('accepted');
  });

  test('with a count, but without a directory, is damaged', async () => {
    const end = Buffer.from('PK\x05\x06\0\0\0\0\x01\0\x01\0', 'latin1');
    expect(await codeOf('a.zip', Buffer.concat([end, Buffer.alloc(10)]))).toBe('ERR_UNINSPECTABLE');
  });

  test('says why it is refused', async () => {
    const few = parsePolicy('archives', { archiveMaxEntries: 2 });
    expect((await inspect('a.zip', zip([file('../a')]))).rejection?.detail).toBe(
      '“a.zip” holds a file that would be unpacked outside of its folder.',
    );
    expect((await inspect('a.zip', zip(['a', 'b', 'c'].map(file)), few)).rejection?.detail).toBe('“a.zip” holds more than 2 files.');
  });

  test('and archives of the same format obey the same rules; documents are not unpacked', async () => {
    const policy = parsePolicy('documents,.backup=application/zip');
    expect(await codeOf('a.backup', zip([file('../a')]), policy)).toBe('ERR_ARCHIVE_UNSAFE');
    for (const extension of ['3mf', 'usdz', 'npz']) {
      expect(await codeOf(`a.${extension}`, zip([file('../a')]))).toBe('ERR_ARCHIVE_UNSAFE');
      expect(await codeOf(`a.${extension}`, jar())).toBe('ERR_TYPE_MISMATCH');
    }
    expect(await codeOf('a.docx', office('docx', { members: [file('/word/media/a.txt')] }), policy)).toBe('accepted');
  });

  test('of 70,000 members is no document', async () => {
    expect(await codeOf('a.docx', zipOfMany(70_000))).toBe('ERR_TYPE_MISMATCH');
  });

  test('of a million entries is checked in pieces, in any order', async () => {
    const checks = createDefaultChecks(detector);
    for (const content of [zipOfMany(1_000_000), zipOfMany(300_000, { backwards: true })]) {
      const turns = countTurns();
      expect((await inspectContent(checks, { name: 'a.zip', content })).rejection).toBeUndefined();
      // No piece has more than 256 KiB of the directory, so that other work does not wait long.
      expect(turns.end()).toBeGreaterThan((content.length * (58 / 100)) / (256 * 1024));
    }
    const { rejection } = await inspectContent(checks, { name: 'a.zip', content: zipOfMany(1_000_001) });
    expect(rejection).toMatchObject({ code: 'ERR_ARCHIVE_UNSAFE', detail: '“a.zip” holds more than 1,000,000 files.' });
  });
});

/** Counts the turns of the event loop. */
function countTurns(): { end(): number } {
  let turns = 0;
  let isOver = false;
  const turn = () => {
    turns++;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  return {
    end() {
      isOver = true;
      return turns;
    },
  };
}

const entry = (name: string, more: Partial<TarMember> = {}): TarMember => ({ name, content: 'hello', ...more });
const paxOf = (content: string, kind = 'x'): TarMember => ({ name: 'PaxHeader', kind, content });
const pax = (key: string, value: string, kind?: string): TarMember => paxOf(paxRecord(key, value), kind);
/** A block that is no header, and one that is. */
const headerAtEnd = (name: string): Buffer => Buffer.concat([files.noise(512), tarOf([{ name }], { isEnded: false })]);
const gnu = (kind: 'L' | 'K', value: string): TarMember => ({ name: '././@LongLink', kind, content: `${value}\0` });
const tarLink = (name: string, target: string, kind = '2'): TarMember => ({ name, target, kind });

const UNSAFE_TARS: readonly [what: string, rule: (typeof ARCHIVE_RULES)[number], members: readonly TarMember[]][] = [
  ['a step up', 'paths', [entry('a'), entry('../a')]],
  ['an absolute path', 'paths', [entry('/etc/passwd')]],
  ['a step up in a pax name', 'paths', [pax('path', '../a'), entry('a')]],
  ['a step up in a GNU name', 'paths', [gnu('L', `${'a/'.repeat(60)}../../b`), entry('a')]],
  ['a step up behind a large member', 'paths', [entry('a', { content: files.noise(600_000) }), entry('../b')]],
  ['a step up behind a member of GNU size', 'paths', [entry('a', { content: files.noise(9000), isBinarySize: true }), entry('../b')]],
  ['a step up behind a link that has a size', 'paths', [{ ...tarLink('a', 'b'), size: 10_000 }, entry('../b')]],
  ['a step up behind a pax size', 'paths', [pax('size', '3000'), entry('a', { content: files.noise(3000), size: 0 }), entry('../b')]],
  ['a link that leads out', 'links', [tarLink('a', '../b')]],
  ['a hard link that leads out', 'links', [tarLink('a', '/etc/passwd', '1')]],
  ['a pax link that leads out', 'links', [pax('linkpath', '/etc'), tarLink('a', 'b')]],
  ['a GNU link that leads out', 'links', [gnu('K', '/etc'), tarLink('a', 'b')]],
  ['a link below another', 'links', [tarLink('a/b/c', '../..'), tarLink('a/b/c/d', '../x')]],
  ['a hard link to a link, in another folder', 'links', [tarLink('a/b/c', '../..'), tarLink('d', 'a/b/c', '1')]],
  ['a hard link through a link', 'links', [tarLink('a', 'b'), tarLink('d', 'a/c', '1')]],
  ['a step up in the name of a sparse file', 'paths', [pax('GNU.sparse.name', '../a'), entry('GNUSparseFile.0/a')]],
  ['a step up in a pax name before a GNU name', 'paths', [pax('path', '../a'), gnu('L', 'a'), entry('b')]],
  ['a step up in a pax name behind a GNU name', 'paths', [gnu('L', 'a'), pax('path', '../a'), entry('b')]],
  ['a step up in an old pax name', 'paths', [{ ...pax('path', '../a'), kind: 'X' }, entry('b')]],
  ['a step up behind an old pax name', 'paths', [{ ...pax('path', 'a'), kind: 'X' }, entry('../b')]],
];

/** Readers do not agree on these. */
const AMBIGUOUS_TARS: readonly [what: string, members: readonly TarMember[]][] = [
  ['a name for all members', [pax('path', 'a', 'g'), entry('a')]],
  ['a target for all links', [pax('linkpath', 'a', 'g'), entry('a'), tarLink('b', 'a')]],
  ['a size for all members', [pax('size', '5', 'g'), entry('a')]],
  ['a tab in a pax record', [paxOf(paxRecord('path', 'a').replace(' ', '\t')), entry('a')]],
  ['a space before a pax record', [paxOf(` ${paxRecord('path', 'a')}`), entry('a')]],
  ['a pax record that is too long', [paxOf('99 path=a\n'), entry('a')]],
  ['a pax record without an end', [paxOf('9 path=aa'), entry('a')]],
  ['a NUL in a pax name', [pax('path', 'a\0b'), entry('a')]],
  ['a NUL in a pax key', [pax('path\0', 'a'), entry('a')]],
  ['an empty pax name', [pax('path', ''), entry('a')]],
  ['a pax size that is no number', [pax('size', '0x5'), entry('a')]],
  ['a pax size before a GNU name', [pax('size', '5'), gnu('L', 'a'), entry('a')]],
  ['an old long name', [{ ...gnu('L', 'a'), kind: 'N' }, entry('a')]],
  ['members in a folder that has a size', [{ name: 'a/', kind: '5', content: headerAtEnd('../b') }, entry('b')]],
  ['members in a file that has a target', [{ name: 'a', target: 'b', content: headerAtEnd('../b') }, entry('b')]],
  ['members in a file without a name', [{ name: '', content: headerAtEnd('../b') }, entry('b')]],
  [
    'members behind a link that has a size, inside another',
    [
      { ...tarLink('a', 'b'), size: 1024 },
      { name: 'b', content: headerAtEnd('../c') },
    ],
  ],
];

describe('a tar archive', () => {
  test.each(UNSAFE_TARS)('with %s is refused', async (_, __, members) => {
    expect(await codeOf('a.tar', tarOf(members))).toBe('ERR_ARCHIVE_UNSAFE');
  });

  test.each(UNSAFE_TARS)('with %s is accepted without the rule "%s"', async (_, rule, members) => {
    const policy = parsePolicy(DEFAULT_ALLOW, { archiveRules: ARCHIVE_RULES.filter((other) => other !== rule) });
    expect(await codeOf('a.tar', tarOf(members), policy)).toBe('accepted');
  });

  test.each<[what: string, content: Buffer]>([
    ['files and folders', tarOf([entry('./'), entry('a/', { kind: '5', content: '' }), entry('a/b'), entry('..c')])],
    ['links that stay inside', tarOf([entry('a/b'), tarLink('a/c', 'b'), tarLink('a/d', '../a/b'), tarLink('e', 'a/b', '1')])],
    ['long names', tarOf([gnu('L', 'a/'.repeat(100)), entry('a'), pax('path', 'ü/'.repeat(100)), entry('b')])],
    ['no end', tarOf([entry('a')], { isEnded: false })],
    ['a cut-off end', tarOf([entry('a', { content: files.noise(5000) })]).subarray(0, 3000)],
    ['anything behind its end', Buffer.concat([tarOf([entry('a')]), files.noise(5000)])],
    ['a second archive behind its end', Buffer.concat([tarOf([entry('a')]), tarOf([entry('b')])])],
    ['the form of old', files.tar('v7')],
    ['a hard link to a link', tarOf([tarLink('a/b', '../c'), tarLink('a/d', 'a/b', '1')])],
    ['a comment for all members', tarOf([pax('comment', '0123', 'g'), entry('a')])],
    ['NULs behind its pax records', tarOf([paxOf(`${paxRecord('mtime', '1.5')}\0\0`), entry('a')])],
    ['NULs in an attribute', tarOf([pax('SCHILY.xattr.user.a', '\0\x01\0'), entry('a')])],
    ['the name of a sparse file', tarOf([pax('GNU.sparse.name', 'a/b'), entry('a/GNUSparseFile.1/b')])],
    ['a folder that has a size', tarOf([{ name: 'a/', kind: '5', content: files.noise(600) }, entry('a/b')])],
  ])('with %s is accepted', async (_, content) => {
    expect(await codeOf('a.tar', content)).toBe('accepted');
  });

  test.each(AMBIGUOUS_TARS)('with %s is refused', async (_, members) => {
    expect(await inspect('a.tar', tarOf(members))).toMatchObject({
      rejection: { code: 'ERR_UNINSPECTABLE', detail: '“a.tar” can be read in more than one way.' },
    });
  });

  test.each<[what: string, between: number]>([
    ['one empty block', 512],
    ['two empty blocks', 1024],
    ['a record of empty blocks', 10_240],
  ])('is read on behind %s', async (_, between) => {
    const first = tarOf([entry('a')], { isEnded: false });
    const second = tarOf([entry('../b')]);
    expect(await codeOf('a.tar', Buffer.concat([first, Buffer.alloc(between), second]))).toBe('ERR_ARCHIVE_UNSAFE');
    const inBetween = Buffer.concat([first, Buffer.alloc(between), files.noise(512), second]);
    expect(await codeOf('a.tar', inBetween)).toBe('ERR_ARCHIVE_UNSAFE');
  });

  test('whose header has a number that readers do not agree on is refused', async () => {
    for (const size of ['\x00000000005', '0x000000005', '00000005 1\0', '-0000000005', '\xff0000000005']) {
      expect(await codeOf('a.tar', tarOf([entry('a'), { ...entry('b'), sizeField: size }]))).toBe('ERR_UNINSPECTABLE');
    }
    for (const size of ['          5 ', '000000000005', '5\0', '00000000005 ']) {
      expect(await codeOf('a.tar', tarOf([entry('a'), { ...entry('b'), sizeField: size }]))).toBe('accepted');
    }
  });

  test('in the form of GNU is judged with and without the first part of a name', async () => {
    const member = { ...entry('passwd'), prefix: '../etc' };
    for (const magic of ['ustar  \0', '\0'.repeat(8), 'ustar\x0000'])
      expect(await codeOf('a.tar', tarOf([{ ...member, magic }]))).toBe('ERR_ARCHIVE_UNSAFE');
  });

  test('with other bytes in the place of a header is damaged', async () => {
    expect(await codeOf('a.tar', Buffer.concat([tarOf([entry('a')], { isEnded: false }), files.noise(5000)]))).toBe('ERR_UNINSPECTABLE');
  });

  test('with too many members is refused', async () => {
    const policy = parsePolicy('archives', { archiveMaxEntries: 5 });
    const members = Array.from({ length: 6 }, (_, index) => entry(`${index}`));
    expect(await codeOf('a.tar', tarOf(members), policy)).toBe('ERR_ARCHIVE_UNSAFE');
    expect(await codeOf('a.tar', tarOf(members.slice(1)), policy)).toBe('accepted');
  });

  test('of a million members is checked in pieces', async () => {
    const turns = countTurns();
    expect(await codeOf('a.tar', tarOfMany(1_000_000))).toBe('accepted');
    expect(turns.end()).toBeGreaterThan(100);
  });

  test('that is compressed is not looked into', async () => {
    expect(await codeOf('a.tar.gz', files.gzip(tarOf([entry('../a')])))).toBe('accepted');
  });
});

test('with any cut or any flipped byte never makes a check throw', async () => {
  const samples: [string, Buffer][] = [
    ['a.zip', zip([file('a'), link('b', 'a'), { ...file('c'), extraField: zip64Numbers(5, 6, 7) }], { zip64: 'needed' })],
    ['a.tar', tarOf([pax('path', 'a'), entry('a'), gnu('L', 'b'), entry('b'), tarLink('c', 'a')])],
  ];
  for (const [name, content] of samples) {
    for (let round = 0; round < 100; round++) {
      const random = files.noise(16, round * 7919 + content.length);
      const broken = Buffer.from(content.subarray(0, round % 3 === 0 ? 300 + (random.readUInt32LE(0) % content.length) : content.length));
      for (let flips = 0; flips < 6; flips++) broken[(random.readUInt16LE(flips * 2) * 31) % broken.length] = random[flips] ?? 0;
      await inspectContent(createDefaultChecks(detector), { name, content: broken });
    }
  }
});
