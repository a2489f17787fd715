import { afterAll, describe, expect, test } from 'vitest';
import { createDefaultChecks } from '../../server/inspection/checks/default-checks.ts';
import { checkHead } from '../../server/inspection/checks/early.ts';
import { provableTypes } from '../../server/inspection/checks/evidence.ts';
import { Detector } from '../../server/inspection/detector.ts';
import { GROUPS, HEAD_BYTES, isRecognisable, isTextType, SINGLE_FORMATS, UNKNOWN_TYPE } from '../../shared/formats.ts';
import { checkName, DEFAULT_ALLOW, parsePolicy } from '../../shared/policy.ts';
import { doc, encryptedOffice, msg, msi, ppt, xls } from '../support/compound-fixtures.ts';
import * as files from '../support/fixtures.ts';
import { createInspector } from '../support/inspect-both.ts';
import { DEFAULT_POLICY, inspectContent } from '../support/inspect-content.ts';
import { epub, jar, office, openDocument, zip } from '../support/zip-fixtures.ts';

const detector = new Detector({ timeLimitMs: 30_000 });
const checks = createDefaultChecks(detector);
afterAll(() => detector.close());

const { inspect, codeOf } = createInspector(detector);

const ACCEPTED: readonly [name: string, content: Buffer, type: string][] = [
  ['a.jpg', files.jpeg(), 'image/jpeg'],
  ['a.JPEG', files.jpeg(), 'image/jpeg'],
  ['a.jfif', files.jpeg(), 'image/jpeg'],
  ['a.png', files.png(), 'image/png'],
  ['a.gif', files.gif(), 'image/gif'],
  ['a.bmp', files.bmp(), 'image/bmp'],
  ['a.tif', files.tiff(), 'image/tiff'],
  ['a.tiff', files.tiff(10), 'image/tiff'],
  ['a.dng', files.tiff(), 'image/x-adobe-dng'],
  ['a.webp', files.webp(), 'image/webp'],
  ['a.heic', files.bmff('heic', ['mif1', 'heic']), 'image/heic'],
  ['burst.heic', files.bmff('msf1', ['hevc']), 'image/heic'],
  ['vendor.heic', files.bmff('tmap', ['mif1', 'heic']), 'image/heic'],
  ['a.heif', files.bmff('mif1', ['heic']), 'image/heif'],
  ['a.avif', files.bmff('avif', ['mif1']), 'image/avif'],
  ['other.avif', files.bmff('mif1', ['avif', 'miaf']), 'image/avif'],
  ['a.cr3', files.bmff('crx ', ['isom']), 'image/x-canon-cr3'],
  ['a.psd', Buffer.concat([Buffer.from('8BPS\0\x01'), Buffer.alloc(100)]), 'image/vnd.adobe.photoshop'],
  ['a.mp4', files.bmff('isom', ['isom', 'avc1']), 'video/mp4'],
  ['phone.mp4', files.bmff('3gp4', ['isom', '3gp4']), 'video/mp4'],
  ['a.m4v', files.bmff('mp42'), 'video/x-m4v'],
  ['a.mov', files.bmff('qt  '), 'video/quicktime'],
  ['old.mov', files.oldMov(), 'video/quicktime'],
  ['a.3gp', files.bmff('3gp5'), 'video/3gpp'],
  ['a.m4a', files.bmff('M4A '), 'audio/mp4'],
  ['recorded.m4a', files.bmff('mp42'), 'audio/mp4'],
  ['a.mkv', files.ebml('matroska'), 'video/matroska'],
  ['a.webm', files.ebml('webm'), 'video/webm'],
  ['recorder.webm', files.ebml('matroska'), 'video/webm'],
  ['a.avi', files.riff('AVI '), 'video/vnd.avi'],
  ['a.mpg', files.programStream(), 'video/mpeg'],
  ['a.ts', files.transportStream(), 'video/mp2t'],
  ['a.wmv', files.asf(), 'video/x-ms-wmv'],
  ['a.mxf', files.mxf(), 'application/mxf'],
  ['a.wav', files.riff('WAVE'), 'audio/wav'],
  ['large.wav', files.riff('WAVE', 'RF64'), 'audio/wav'],
  ['a.mp3', files.mp3(null), 'audio/mpeg'],
  ['tagged.mp3', files.mp3(200), 'audio/mpeg'],
  ['cover.mp3', files.mp3(90_000), 'audio/mpeg'],
  ['a.ogg', files.ogg('vorbis'), 'audio/ogg'],
  ['a.opus', files.ogg('opus'), 'audio/ogg'],
  ['voice.ogg', files.ogg('opus'), 'audio/ogg'],
  ['a.ogv', files.ogg('theora'), 'video/ogg'],
  ['a.flac', files.flac(), 'audio/flac'],
  ['a.pdf', files.pdf(), 'application/pdf'],
  ['a.rtf', files.rtf(), 'application/rtf'],
  ['a.doc', doc(), 'application/msword'],
  ['far.doc', doc({ paddingSectors: 3000 }), 'application/msword'],
  ['a.xls', xls(), 'application/vnd.ms-excel'],
  ['a.ppt', ppt(), 'application/vnd.ms-powerpoint'],
  ['a.docx', office('docx'), GROUPS.documents.docx],
  ['late.docx', office('docx', { isLate: true }), GROUPS.documents.docx],
  ['a.xlsx', office('xlsx'), GROUPS.documents.xlsx],
  ['late.xlsx', office('xlsx', { isLate: true }), GROUPS.documents.xlsx],
  ['a.pptx', office('pptx'), GROUPS.documents.pptx],
  ['a.odt', openDocument('text'), GROUPS.documents.odt],
  ['late.ods', openDocument('spreadsheet', { isLate: true }), GROUPS.documents.ods],
  ['a.epub', epub(), GROUPS.documents.epub],
  ['a.zip', zip([{ name: 'a.txt', content: 'hello' }]), 'application/zip'],
  ['empty.zip', zip([]), 'application/zip'],
  ['large.zip', zip([{ name: 'a.txt', content: 'hello' }], { zip64: 'needed' }), 'application/zip'],
  ['stream.zip', zip([{ name: '-', content: 'hello' }], { zip64: 'redundant' }), 'application/zip'],
  ['commented.zip', zip([{ name: 'a' }], { comment: Buffer.alloc(60_000, 'PK\x05\x06') }), 'application/zip'],
  ['program.zip', zip([{ name: 'setup.exe', content: files.exe() }]), 'application/zip'],
  ['document.zip', office('docx'), 'application/zip'],
  [
    'a.3mf',
    zip([
      { name: '[Content_Types].xml', content: '<Types/>' },
      { name: '3D/3dmodel.model', content: '<model/>' },
    ]),
    'model/3mf',
  ],
  [
    'late.3mf',
    zip([
      { name: 'Metadata/thumbnail.png', content: files.png() },
      { name: '3D/a.model', content: '<model/>' },
    ]),
    'model/3mf',
  ],
  ['a.usdz', zip([{ name: 'scene.usdc', content: 'PXR-USDC' }]), 'model/vnd.usdz+zip'],
  ['a.npz', zip([{ name: 'arr_0.npy', content: '\x93NUMPY' }]), 'application/x-npz'],
  ['empty.npz', zip([]), 'application/x-npz'],
  ['a.tar', files.tar(), 'application/x-tar'],
  ['old.tar', files.tar('v7'), 'application/x-tar'],
  ['a.tar.gz', files.gzip(files.tar()), 'application/gzip'],
  ['a.tgz', files.gzip(files.tar()), 'application/gzip'],
  ['a.gz', files.gzip(), 'application/gzip'],
  ['a.7z', files.sevenZip(), 'application/x-7z-compressed'],
  ['a.rar', files.rar4(), 'application/vnd.rar'],
  ['b.rar', files.rar5(), 'application/vnd.rar'],
  ['a.xz', Buffer.concat([Buffer.from('fd377a585a000004', 'hex'), files.noise(100)]), 'application/x-xz'],
  ['a.zst', Buffer.concat([Buffer.from('28b52ffd', 'hex'), files.noise(100)]), 'application/zstd'],
  ['a.bz2', Buffer.concat([Buffer.from('BZh91AY&SY'), files.noise(100)]), 'application/x-bzip2'],
  ['a.txt', Buffer.from('Grüße, 世界 👍\r\n\tend\f\u001b[31mred\u001b[0m\n'), 'text/plain'],
  ['bm.txt', Buffer.from('BM is how this text starts.\n'), 'text/plain'],
  ['mz.txt', Buffer.from('MZ is how this text starts.\n'), 'text/plain'],
  ['id3.txt', Buffer.from('ID3 is how this text starts.\n'), 'text/plain'],
  ['ps.txt', Buffer.from('%!PS is how this text starts.\n'), 'text/plain'],
  ['marked.txt', Buffer.from('\ufeffwith a mark\n'), 'text/plain'],
  ['wide.txt', files.utf16('Grüße 👍\r\n'), 'text/plain'],
  ['wide-be.txt', files.utf16('Grüße 👍\r\n', 'be'), 'text/plain'],
  ['short.txt', Buffer.from('x'), 'text/plain'],
  ['readme.md', Buffer.from('<p align="center"><img src="x.png"></p>\n\n# Title\n'), 'text/markdown'],
  ['a.csv', Buffer.from('name;value\r\n"=1+1";2\r\n'), 'text/csv'],
  ['a.json', Buffer.from('{"a": [1, 2]}'), 'application/json'],
  ['a.log', files.shellScript, 'text/plain'],
  ['a.vtt', Buffer.from('WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n'), 'text/vtt'],
];

test.each(ACCEPTED)('%s is accepted', async (name, content, type) => {
  expect(await inspect(name, content)).toMatchObject({ rejection: undefined, type });
});

const ACTIVE = {
  exe: files.exe(),
  elf: files.elf(),
  html: files.html,
  php: files.php,
  'shell script': files.shellScript,
  svg: files.svg,
  jar: jar(),
};

describe.each(Object.entries(ACTIVE))('%s', (_, content) => {
  test.each(['a.jpg', 'a.png', 'a.gif', 'a.pdf', 'a.mp4', 'a.mp3', 'a.docx', 'a.doc', 'a.tiff', 'a.mkv'])(
    'is refused as %s',
    async (name) => {
      expect(await codeOf(name, content)).toBe('ERR_TYPE_MISMATCH');
    },
  );

  test('is refused as a file of unknown type, and without a name', async () => {
    const policy = parsePolicy('images,.bin=application/octet-stream');
    expect(await codeOf('a.bin', content, policy)).toBe('ERR_ACTIVE_CONTENT');
    expect(await codeOf(null, content, policy)).toBe('ERR_ACTIVE_CONTENT');
  });
});

test.each([
  'a.exe',
  'a.html',
  'a.svg',
  'a.php',
  'a.sh',
  'a.jar',
  'a.xml',
  'photo.jpg.php',
  'shell.php;.jpg',
  'shell.php%00.jpg',
  'photo\u202egpj.exe',
])('%s is refused whatever it contains', async (name) => {
  expect(await codeOf(name, files.jpeg())).toMatch(/^ERR_(?:TYPE|NAME)_NOT_ALLOWED$/);
  expect(await codeOf(name, Buffer.from('text'))).toMatch(/^ERR_(?:TYPE|NAME)_NOT_ALLOWED$/);
});

test.each<[name: string, content: Buffer]>([
  ['a.jpg', files.png()],
  ['a.png', files.jpeg()],
  ['a.jpg', files.webp()],
  ['a.mp4', files.ebml('webm')],
  ['a.mp4', files.bmff('heic', ['mif1'])],
  ['a.heic', files.bmff('isom')],
  ['a.doc', xls()],
  ['a.xls', doc()],
  ['a.doc', office('docx')],
  ['a.docx', doc()],
  ['a.docx', office('xlsx')],
  ['late.docx', office('xlsx', { isLate: true })],
  ['a.docx', zip([{ name: 'a.txt' }])],
  ['a.odt', zip([{ name: 'a.txt' }])],
  ['a.odt', office('docx')],
  ['a.zip', files.gzip()],
  ['a.pdf', Buffer.from('hello')],
  ['a.bmp', Buffer.from('BM is how this text starts.\n')],
  ['a.mp3', Buffer.from('ID3 is how this text starts.\n')],
  ['a.jpg', files.noise(5000)],
  ['a.jpg', Buffer.from([0xff])],
  ['a.jpg', files.utf16('hello')],
])('%s is refused when it contains something else', async (name, content) => {
  expect(await codeOf(name, content)).toBe('ERR_TYPE_MISMATCH');
});

describe('the sentence of a refusal', () => {
  test.each<[name: string | null, content: Buffer, sentence: string]>([
    ['holiday.jpg', files.exe(), '“holiday.jpg” is named like a JPEG image but holds a Windows program.'],
    ['holiday.jpg', files.php, '“holiday.jpg” is named like a JPEG image but holds a PHP script.'],
    ['holiday.jpg', files.html, '“holiday.jpg” is named like a JPEG image but holds a web page.'],
    ['holiday.jpg', Buffer.from('hello there\n'), '“holiday.jpg” is named like a JPEG image but holds plain text.'],
    ['film.mp4', files.noise(5000), '“film.mp4” is named like an MP4 video, but its content is something else.'],
    [
      'letter.docx',
      office('docm'),
      '“letter.docx” holds a Word document with macros. Save it without macros, or give it its own extension.',
    ],
    ['letter.docx', office('docx', { members: [{ name: 'word/setup.exe' }] }), '“letter.docx” holds a program (“setup.exe”).'],
    ['data.csv', files.png(), '“data.csv” has a byte at position 6 that does not occur in text.'],
    [null, files.elf(), 'It holds a Linux program.'],
  ])('for %s names the reason', async (name, content, sentence) => {
    expect((await inspect(name, content)).rejection?.detail).toBe(sentence);
  });
});

describe('encrypted files', () => {
  const ENCRYPTED: readonly [name: string, content: Buffer][] = [
    ['a.zip', zip([{ name: 'plain.txt' }, { name: 'secret.txt', isEncrypted: true }])],
    ['a.docx', encryptedOffice()],
    ['a.xlsx', encryptedOffice()],
    ['a.doc', doc({ isEncrypted: true })],
    ['a.xls', xls({ isEncrypted: true })],
    ['a.ppt', ppt({ isEncrypted: true })],
    ['a.odt', openDocument('text', { isEncrypted: true })],
    ['names.rar', files.rar4('names')],
    ['content.rar', files.rar4('content')],
    ['names5.rar', files.rar5('names')],
    ['content5.rar', files.rar5('content')],
    ['a.7z', files.sevenZip(true)],
  ];

  test.each(ENCRYPTED)('%s is refused', async (name, content) => {
    expect(await codeOf(name, content)).toBe('ERR_ENCRYPTED');
  });

  test.each(ENCRYPTED)('%s is accepted when an operator allows it', async (name, content) => {
    expect(await codeOf(name, content, parsePolicy(DEFAULT_ALLOW, { allowEncrypted: true }))).toBe('accepted');
  });
});

describe('text', () => {
  test.each<[name: string, content: Buffer]>([
    ['a.txt', files.png()],
    ['a.csv', files.exe()],
    ['a.json', files.noise(5000)],
    ['zero.txt', Buffer.from('before\0after')],
    ['late.txt', Buffer.concat([Buffer.alloc(300_000, 'text '), Buffer.from([0])])],
    ['latin1.txt', Buffer.from('Gr\xfc\xdfe', 'latin1')],
    ['overlong.txt', Buffer.from([0x41, 0xc0, 0xaf])],
    ['surrogate.txt', Buffer.from([0xed, 0xa0, 0x80])],
    ['cut.txt', Buffer.from('世界').subarray(0, 5)],
    ['odd.txt', files.utf16('hello').subarray(0, 11)],
    ['lone.txt', files.utf16('a\ud83d')],
    ['lone2.txt', files.utf16('\udc4db')],
    ['wide-zero.txt', files.utf16('a\0b')],
    ['wide-unmarked.txt', Buffer.from('hello', 'utf16le')],
    ['one.txt', Buffer.from([0x80])],
  ])('%s is refused when it is not text', async (name, content) => {
    expect(await codeOf(name, content, parsePolicy(DEFAULT_ALLOW, { allowLegacyText: false }))).toBe('ERR_TEXT_INVALID');
  });

  test('is refused for a control character at any position', async () => {
    for (let at = 0; at < 40; at++) {
      for (const [byte, verdict] of [
        [0x00, 'ERR_TEXT_INVALID'],
        [0x1f, 'ERR_TEXT_INVALID'],
        [0x0a, 'accepted'],
        [0x7e, 'accepted'],
      ] as const) {
        const content = Buffer.alloc(40, 'ü');
        content[at & ~1] = 0x20;
        content[at | 1] = 0x20;
        content[at] = byte;
        expect([at, byte, await codeOf('a.txt', content)]).toEqual([at, byte, verdict]);
      }
    }
  });

  test.each([1, 2, 3, 5, 7, 64])('is valid however it is cut, in pieces of %d bytes', async (chunkBytes) => {
    for (const content of [
      Buffer.from('aß世👍\u{10ffff}'.repeat(20)),
      files.utf16('aß世👍'.repeat(20)),
      files.utf16('aß世👍'.repeat(20), 'be'),
    ]) {
      expect((await inspectContent(checks, { name: 'a.txt', content, chunkBytes })).rejection).toBeUndefined();
    }
    const broken = Buffer.concat([Buffer.from('aß世👍'.repeat(20)), Buffer.from([0xf0, 0x9f, 0x91]), Buffer.from('x')]);
    const strict = parsePolicy('text', { allowLegacyText: false });
    expect((await inspectContent(checks, { name: 'a.txt', content: broken, chunkBytes, policy: strict })).rejection?.code).toBe(
      'ERR_TEXT_INVALID',
    );
  });

  test('is no longer read once the inspection is aborted', async () => {
    const controller = new AbortController();
    controller.abort(new Error('The time is over.'));
    const inspection = inspectContent(checks, { name: 'a.txt', content: Buffer.from('text'), signal: controller.signal });
    await expect(inspection).rejects.toThrow('The time is over.');
  });
});

describe('damaged files', () => {
  test('a truncated picture is accepted, since no check decodes it', async () => {
    expect(await codeOf('a.png', files.png(64).subarray(0, 60))).toBe('accepted');
  });

  test.each<[name: string, content: Buffer]>([
    ['a.zip', zip([{ name: 'a.txt', content: files.noise(5000) }]).subarray(0, 3000)],
    ['a.docx', office('docx').subarray(0, 300)],
    ['a.doc', doc().subarray(0, 2000)],
    ['a.doc', Buffer.from('d0cf11e0a1b11ae1', 'hex')],
  ])('%s without its directory is refused', async (name, content) => {
    expect(await codeOf(name, content)).toBe('ERR_UNINSPECTABLE');
  });

  test('no cut and no flipped byte of a container makes a check throw', async () => {
    const samples: [string, Buffer][] = [
      ['a.docx', office('docx')],
      ['a.zip', zip([{ name: 'a' }, { name: 'b' }], { zip64: 'needed' })],
      ['a.doc', doc()],
      ['a.xls', xls()],
      ['a.rar', files.rar4()],
      ['a.rar', files.rar5('content')],
      ['a.7z', files.sevenZip()],
    ];
    for (const [name, content] of samples) {
      for (let round = 0; round < 40; round++) {
        const random = files.noise(8, round * 7919 + content.length);
        const broken = Buffer.from(content.subarray(0, round % 2 === 0 ? content.length : 16 + (random.readUInt32LE(0) % content.length)));
        for (let flips = 0; flips < 3; flips++)
          broken[8 + ((random.readUInt16LE(flips * 2) * 31) % Math.max(1, broken.length - 8))] = random[7] ?? 0;
        await inspectContent(checks, { name, content: broken });
      }
    }
  });

  test('a directory that runs in circles does not hang a check', async () => {
    const content = doc();
    const directory = content.readUInt32LE(48);
    const table = content.readUInt32LE(76);
    content.writeUInt32LE(directory, (table + 1) * 512 + directory * 4);
    const outcome = await inspectContent(checks, { name: 'a.doc', content });
    expect(outcome.reads).toBeLessThan(5000);
  });
});

describe('empty files', () => {
  test('are refused', async () => {
    for (const name of ['a.txt', 'a.jpg', null]) expect(await codeOf(name, Buffer.alloc(0))).toBe('ERR_EMPTY');
  });

  test('are accepted when an operator allows them', async () => {
    const policy = parsePolicy(DEFAULT_ALLOW, { allowEmpty: true });
    expect(await inspect('a.txt', Buffer.alloc(0), policy)).toMatchObject({ rejection: undefined, type: 'text/plain' });
    expect(await inspect('a.jpg', Buffer.alloc(0), policy)).toMatchObject({ rejection: undefined, type: 'image/jpeg' });
    expect(await inspect(null, Buffer.alloc(0), policy)).toMatchObject({ rejection: undefined });
  });
});

describe('content without a name', () => {
  test.each<[type: string, extension: string, content: Buffer]>([
    ['image/jpeg', 'jpg', files.jpeg()],
    ['image/png', 'png', files.png()],
    ['image/tiff', 'tif', files.tiff()],
    ['video/mp4', 'mp4', files.bmff('isom')],
    ['video/quicktime', 'mov', files.bmff('qt  ')],
    ['application/pdf', 'pdf', files.pdf()],
    ['application/vnd.ms-excel', 'xls', xls()],
    ['application/msword', 'doc', doc()],
    [GROUPS.documents.xlsx, 'xlsx', office('xlsx', { isLate: true })],
    ['application/zip', 'zip', zip([{ name: 'a' }])],
    ['audio/ogg', 'ogg', files.ogg('opus')],
    ['application/vnd.rar', 'rar', files.rar5()],
    ['text/plain', 'txt', Buffer.from('Hello, world\n')],
    ['text/plain', 'txt', files.utf16('Hello')],
    ['application/json', 'json', Buffer.from('{"a": 1}')],
  ])('%s is detected and gets the extension %s', async (type, extension, content) => {
    expect(await inspect(null, content)).toMatchObject({ rejection: undefined, type, extension });
    expect(await inspect('1000012345', content)).toMatchObject({ rejection: undefined, type, extension });
  });

  test('that is not allowed is refused, and the refusal names the accepted types', async () => {
    const policy = parsePolicy('images');
    expect((await inspect(null, files.pdf(), policy)).rejection).toEqual({
      code: 'ERR_TYPE_NOT_ALLOWED',
      detail: 'It holds a PDF document. Accepted: images.',
    });
    expect((await inspect(null, files.noise(5000))).rejection?.detail).toMatch(/^The server does not recognise its type\./);
  });

  test('that starts as text and is none is refused', async () => {
    expect(await codeOf(null, Buffer.concat([Buffer.alloc(10_000, 'text '), files.noise(100)]))).toBe('ERR_TEXT_INVALID');
  });
});

describe('an extension listed as application/octet-stream', () => {
  const policy = parsePolicy('.dat=application/octet-stream');

  test.each<[what: string, content: Buffer]>([
    ['noise', files.noise(5000)],
    ['text', Buffer.from('ISO-10303-21;\nHEADER;\n')],
    ['a picture', files.png()],
    ['compressed data', Buffer.concat([Buffer.from([0x78, 0x01]), files.noise(500)])],
    ['zeros', Buffer.alloc(10_000)],
    ['a document of the old kind', doc()],
    ['a text that starts MZ', Buffer.from('MZ is how this text starts.\n')],
  ])('accepts %s', async (_, content) => {
    expect(await inspect('a.dat', content, policy)).toMatchObject({ rejection: undefined, type: 'application/octet-stream' });
  });

  test('does not accept an installer that looks like a document', async () => {
    expect(await codeOf('a.dat', msi(), policy)).toBe('ERR_ACTIVE_CONTENT');
  });
});

describe('files that are two formats at once', () => {
  test.each<[name: string, content: Buffer]>([
    ['a.png', Buffer.concat([files.png(), files.php])],
    ['a.gif', files.gif(jar())],
    ['a.pdf', Buffer.concat([files.pdf(), zip([{ name: 'a' }])])],
    ['a.jpg', zip([{ name: 'a' }], { prefix: files.jpeg() })],
  ])('%s counts as the format that it starts as', async (name, content) => {
    expect(await codeOf(name, content)).toBe('accepted');
  });

  test('a program with an archive behind it is no archive', async () => {
    expect(await codeOf('a.zip', zip([{ name: 'a' }], { prefix: files.exe() }))).toBe('ERR_TYPE_MISMATCH');
  });

  test('a web page that a PDF reader would open is no PDF', async () => {
    expect(await codeOf('a.pdf', files.pdf(files.html.toString()))).toBe('ERR_TYPE_MISMATCH');
  });

  test('a PDF behind an empty line is a PDF', async () => {
    expect(await codeOf('a.pdf', files.pdf('\r\n'))).toBe('accepted');
  });
});

describe('types that an operator lists one by one', () => {
  test.each<[entry: string, name: string, content: Buffer]>([
    ['.svg', 'a.svg', files.svg],
    ['.html', 'a.html', files.html],
    ['.exe', 'a.exe', files.exe()],
    ['.jar', 'a.jar', jar()],
    ['.msg', 'a.msg', msg()],
    ['.msi', 'a.msi', msi()],
    ['.sh', 'a.sh', files.shellScript],
    ['.jpg=application/octet-stream', 'a.jpg', files.noise(5000)],
    ['.backup=application/zip', 'a.backup', zip([{ name: 'a' }])],
    ['.rushes=video/x-matroska', 'a.rushes', files.ebml('matroska')],
  ])('%s is accepted', async (entry, name, content) => {
    expect(await codeOf(name, content, parsePolicy(entry))).toBe('accepted');
  });

  test('are compared with the content', async () => {
    expect(await codeOf('a.exe', files.elf(), parsePolicy('.exe'))).toBe('ERR_TYPE_MISMATCH');
    expect(await codeOf('a.svg', files.png(), parsePolicy('.svg'))).toBe('ERR_TEXT_INVALID');
    expect(await codeOf('a.backup', files.gzip(), parsePolicy('.backup=application/zip'))).toBe('ERR_TYPE_MISMATCH');
  });
});

test('every type that a policy may list can be detected, and every detectable type can be listed', () => {
  const listed = [...Object.values(GROUPS).flatMap((formats) => Object.values<string>(formats)), ...Object.values(SINGLE_FORMATS)];
  const binary = [...new Set(listed)].filter((type) => !isTextType(type) && type !== UNKNOWN_TYPE).sort();
  expect([...provableTypes()].sort()).toEqual(binary);
  for (const type of provableTypes()) expect(isRecognisable(type)).toBe(true);
});

describe('the early look', () => {
  const look = (name: string | null, head: Uint8Array, length: number | null, policy = DEFAULT_POLICY) =>
    checkHead(detector, { head, safeName: name, claimedType: null, length, policy });

  test('refuses by the first bytes only files that the whole inspection would refuse', async () => {
    const large = Buffer.concat([files.exe(), files.noise(100_000)]);
    expect((await look('a.jpg', large.subarray(0, HEAD_BYTES), 1e12))?.code).toBe('ERR_TYPE_MISMATCH');
    expect((await look('a.jpg', large.subarray(0, HEAD_BYTES), null))?.code).toBe('ERR_TYPE_MISMATCH');
    expect((await look('a.txt', large.subarray(0, 65_536), 1e12))?.code).toBe('ERR_TEXT_INVALID');
    expect((await look('a.exe', Buffer.alloc(0), 1e12))?.code).toBe('ERR_TYPE_NOT_ALLOWED');
    expect(await look('a.docx', office('docm').subarray(0, HEAD_BYTES), null)).toBeUndefined();
  });

  test('waits for enough bytes, unless no more follow', async () => {
    expect(await look('a.jpg', files.exe(), 1e12)).toBeUndefined();
    expect(await look('a.jpg', files.exe(), null)).toBeUndefined();
    expect((await look('a.jpg', files.exe(), files.exe().length))?.code).toBe('ERR_TYPE_MISMATCH');
  });

  test('does not refuse a text whose first bytes end within a character', async () => {
    const text = Buffer.from('世'.repeat(10_000));
    for (const cut of [HEAD_BYTES, HEAD_BYTES + 1, HEAD_BYTES + 2])
      expect(await look('a.txt', text.subarray(0, cut), text.length)).toBeUndefined();
    const wide = files.utf16('👍'.repeat(5000));
    for (const cut of [4100, 4101, 4102, 4103]) expect(await look('a.txt', wide.subarray(0, cut), wide.length)).toBeUndefined();
  });

  test.each(ACCEPTED)('never refuses %s at any number of bytes', async (name, content) => {
    const padded = Buffer.concat([content, Buffer.alloc(6000, 0x20)]);
    for (const known of [HEAD_BYTES, HEAD_BYTES + 1, 6000]) {
      const full = await inspectContent(checks, { name, content: padded });
      if (full.rejection === undefined) expect(await look(name, padded.subarray(0, known), padded.length)).toBeUndefined();
    }
  });

  test('the server and the browser refuse the same names', () => {
    expect(checkName(DEFAULT_POLICY, 'a.exe')?.code).toBe('ERR_TYPE_NOT_ALLOWED');
  });
});
