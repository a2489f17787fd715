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
import { jar, office, type ZipMember, zip, zipOfMany } from '../support/zip-fixtures.ts';

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

/** Another name of a member, as Info-ZIP writes it for a name that is not ASCII. */
function unicodePath(name: string): Buffer {
  const header = Buffer.alloc(9);
  header.writeUInt16LE(0x7075, 0);
  header.writeUInt16LE(5 + Buffer.byteLength(name), 2);
  header[4] = 1;
  return Buffer.concat([header, Buffer.from(name)]);
}

/** The 64-bit numbers of an entry whose 32-bit fields are all ones. */
function zip64Numbers(...numbers: number[]): Buffer {
  const field = Buffer.alloc(4 + 8 * numbers.length);
  field.writeUInt16LE(1, 0);
  field.writeUInt16LE(8 * numbers.length, 2);
  numbers.forEach((number, index) => void field.writeBigUInt64LE(BigInt(number), 4 + 8 * index));
  return field;
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
const pax = (key: string, value: string): TarMember => ({ name: 'PaxHeader', kind: 'x', content: paxRecord(key, value) });
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
    ['the form of old', files.tar('v7')],
  ])('with %s is accepted', async (_, content) => {
    expect(await codeOf('a.tar', content)).toBe('accepted');
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
