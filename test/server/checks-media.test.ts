// Formats beyond documents and archives, detected by their specifications and by the files of real programs.
import { afterAll, describe, expect, test } from 'vitest';
import { createDefaultChecks } from '../../server/inspection/checks/default-checks.ts';
import { checkHead } from '../../server/inspection/checks/early.ts';
import { Detector } from '../../server/inspection/detector.ts';
import { extensionOf, safeFileName } from '../../shared/filename.ts';
import { isTextType, UNKNOWN_TYPE } from '../../shared/formats.ts';
import { allowedExtensions, DEFAULT_ALLOW, parsePolicy, typeOfExtension } from '../../shared/policy.ts';
import * as files from '../support/fixtures.ts';
import { binaryStl, FORMAT_SAMPLES, SPECIFIED } from '../support/format-samples.ts';
import { inspectContent } from '../support/inspect-content.ts';

const detector = new Detector({ timeLimitMs: 30_000 });
const checks = createDefaultChecks(detector);
afterAll(() => detector.close());

const everything = parsePolicy(`${DEFAULT_ALLOW},disks,.dxf`);
const binary = allowedExtensions(everything).filter((extension) => {
  const type = typeOfExtension(everything, extension) ?? '';
  return !isTextType(type) && type !== UNKNOWN_TYPE;
});

/** The whole inspection's result, after asserting that the early look does not contradict it. */
async function inspect(name: string | null, content: Uint8Array, policy = everything) {
  const outcome = await inspectContent(checks, { name, content, policy });
  const safeName = name === null ? null : safeFileName(name);
  for (const length of [content.length, null]) {
    const early = await checkHead(detector, { head: content.subarray(0, 5000), safeName, claimedType: null, length, policy });
    if (outcome.rejection === undefined) expect(early).toBeUndefined();
  }
  return outcome;
}

const codeOf = async (...input: Parameters<typeof inspect>) => (await inspect(...input)).rejection?.code ?? 'accepted';

test.each(FORMAT_SAMPLES)('$name, written by $program, is accepted', async ({ name, content }) => {
  expect(await inspect(name, content)).toMatchObject({ rejection: undefined, type: typeOfExtension(everything, extensionOf(name)) });
});

test.each(SPECIFIED)('%s, built by its specification, is accepted', async (name, content) => {
  expect(await inspect(name, content)).toMatchObject({ rejection: undefined, type: typeOfExtension(everything, extensionOf(name)) });
});

describe.each<[what: string, content: Buffer]>([
  ['a Windows program', files.exe()],
  ['a Linux program', files.elf()],
  ['a web page', files.html],
  ['a PHP script', files.php],
  ['a shell script', files.shellScript],
  ['an SVG drawing', files.svg],
  ['noise', files.noise(5000)],
  ['nothing but zeros', Buffer.alloc(5000)],
  ['plain text', Buffer.from('Hello, world. This is text.\n'.repeat(200))],
])('%s', (_, content) => {
  test('is accepted as no binary format of any group', async () => {
    for (const extension of binary) expect([extension, await codeOf(`a.${extension}`, content)]).toEqual([extension, 'ERR_TYPE_MISMATCH']);
  });
});

test('a program with the marks of another format further inside is a program', async () => {
  const marked = (at: number, mark: string) => {
    const content = Buffer.concat([files.exe(), Buffer.alloc(40_000)]);
    content.write(mark, at, 'latin1');
    return content;
  };
  for (const [name, at, mark] of [
    ['a.dcm', 128, 'DICM'],
    ['a.tar', 257, 'ustar\x0000'],
    ['a.nii', 344, 'n+1\0'],
    ['a.h5', 512, '\x89HDF\r\n\x1a\n'],
    ['a.iso', 32_769, 'CD001'],
    ['a.mp4', 4, 'ftyp'],
    ['a.r3d', 4, 'RED1'],
    ['a.mrc', 208, 'MAP '],
  ] as const) {
    expect([name, await codeOf(name, marked(at, mark))]).toEqual([name, 'ERR_TYPE_MISMATCH']);
  }
  const triangles = binaryStl();
  files.exe().copy(triangles, 0, 0, 80);
  expect(await codeOf('a.stl', triangles)).toBe('ERR_TYPE_MISMATCH');
});

describe('audio behind ID3 tags', () => {
  const tag = (contentBytes: number, flags = 0) => {
    const size = Buffer.from([21, 14, 7, 0].map((shift) => (contentBytes >> shift) & 0x7f));
    const footer = (flags & 0x10) === 0 ? Buffer.alloc(0) : Buffer.alloc(10);
    return Buffer.concat([Buffer.from('ID3\x04\0', 'latin1'), Buffer.from([flags]), size, Buffer.alloc(contentBytes), footer]);
  };
  const adts = Buffer.concat(Array.from({ length: 4 }, () => Buffer.concat([Buffer.from('fff1508002bffc', 'hex'), Buffer.alloc(14)])));
  const mp3 = files.mp3(null);

  test.each<[what: string, front: Buffer]>([
    ['a short tag', tag(100)],
    ['a tag that ends with the first bytes', tag(4090)],
    ['a tag with a cover', tag(90_000)],
    ['a tag with a footer', tag(5000, 0x10)],
    ['two tags', Buffer.concat([tag(5000), tag(60)])],
  ])('is detected behind %s', async (_, front) => {
    for (const [name, sound] of [
      ['a.flac', files.flac()],
      ['a.aac', adts],
      ['a.mp3', mp3],
    ] as const) {
      expect(await codeOf(name, Buffer.concat([front, sound]))).toBe('accepted');
      expect(await inspect(null, Buffer.concat([front, sound]))).toMatchObject({ extension: extensionOf(name), rejection: undefined });
    }
    expect(await codeOf('a.mp3', Buffer.concat([front, Buffer.alloc(700), mp3]))).toBe('accepted');
  });

  test('is compared with its name', async () => {
    expect(await codeOf('a.flac', Buffer.concat([tag(5000), mp3]))).toBe('ERR_TYPE_MISMATCH');
    expect(await codeOf('a.aac', Buffer.concat([tag(5000), files.flac()]))).toBe('ERR_TYPE_MISMATCH');
    expect(await codeOf('a.flac', Buffer.concat([tag(5000), files.noise(500)]))).toBe('ERR_TYPE_MISMATCH');
    expect(await codeOf('a.flac', tag(5000))).toBe('ERR_TYPE_MISMATCH');
    expect(await codeOf('a.mp3', Buffer.concat([tag(5000), files.exe()]))).toBe('ERR_TYPE_MISMATCH');
    expect(await codeOf('a.jpg', Buffer.concat([tag(5000), files.jpeg()]))).toBe('ERR_TYPE_MISMATCH');
  });

  test('is searched behind a few tags only', async () => {
    const outcome = await inspect('a.mp3', Buffer.concat(Array.from({ length: 1000 }, () => tag(0))));
    expect(outcome.reads).toBeLessThan(20);
  });
});

describe('streams that start anywhere', () => {
  const frames = files.mp3(null);
  const packets = files.transportStream();

  test.each<[name: string, content: Buffer]>([
    ['padded.mp3', Buffer.concat([Buffer.alloc(1000), frames])],
    ['radio.mp3', Buffer.concat([frames.subarray(100), frames])],
    ['cut.ts', packets.subarray(77)],
    ['cut.m2ts', Buffer.concat(Array.from({ length: 20 }, () => Buffer.concat([Buffer.alloc(4), packets.subarray(0, 188)]))).subarray(99)],
    ['corrected.ts', Buffer.concat(Array.from({ length: 20 }, () => Buffer.concat([packets.subarray(0, 188), Buffer.alloc(16)])))],
    ['cut.mpg', Buffer.concat([Buffer.from('000001e0', 'hex'), files.noise(300)])],
    ['padded.mpg', Buffer.concat([Buffer.alloc(20), Buffer.from('01b3', 'hex'), files.noise(300)])],
    ['run-in.mxf', Buffer.concat([Buffer.alloc(900, 0x20), files.mxf()])],
  ])('%s is accepted', async (name, content) => {
    expect(await codeOf(name, content)).toBe('accepted');
  });

  test('a packet that happens to start like another format is not that format', async () => {
    const content = Buffer.from(packets);
    content.write('GIF89a', 0, 'latin1');
    expect(await codeOf('a.ts', content)).toBe('accepted');
  });
});

describe('content without a name', () => {
  test.each<[extension: string, content: Buffer]>([
    ['exr', Buffer.from('762f310102000000', 'hex')],
    ['parquet', Buffer.from('PAR1\x15\x04')],
    ['las', Buffer.concat([Buffer.from('LASF'), files.noise(300)])],
    ['sqlite', Buffer.from('SQLite format 3\0')],
    ['dcm', Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), Buffer.alloc(20)])],
    ['mp4', files.bmff('isom')],
    ['mpg', files.programStream()],
  ])('is called .%s', async (extension, content) => {
    expect(await inspect(null, content)).toMatchObject({ rejection: undefined, extension });
  });

  test('a text that starts with a word that some format starts with is a text', async () => {
    for (const text of ['Name;Age\nAnna;5\n', 'Comment on this\n', 'ORChids are flowers\n', 'VERSION 2 of the text\n', 'ENVIronment\n']) {
      expect(await inspect(null, Buffer.from(text))).toMatchObject({ rejection: undefined, extension: 'txt' });
    }
  });
});

test('stays undecided while the bytes that decide are missing', async () => {
  const disc = FORMAT_SAMPLES.find(({ name }) => name === 'disc.iso')?.content ?? Buffer.alloc(0);
  const blank = Buffer.alloc(disc.length);
  const look = (content: Buffer, length: number | null) =>
    checkHead(detector, { head: content.subarray(0, 5000), safeName: 'a.iso', claimedType: null, length, policy: everything });
  expect(await look(blank, blank.length)).toBeUndefined();
  expect(await look(blank, null)).toBeUndefined();
  expect(await codeOf('a.iso', blank)).toBe('ERR_TYPE_MISMATCH');
  // So short a file cannot contain the mark.
  expect((await look(blank.subarray(0, 20_000), 20_000))?.code).toBe('ERR_TYPE_MISMATCH');
});
