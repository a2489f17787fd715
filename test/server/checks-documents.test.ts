// Checks of documents: variants of each format, macros, and embedded programs, in samples built by the formats' specifications.
import { afterAll, describe, expect, test } from 'vitest';
import { createDefaultChecks } from '../../server/inspection/checks/default-checks.ts';
import { Detector } from '../../server/inspection/detector.ts';
import { GROUPS } from '../../shared/formats.ts';
import { parsePolicy } from '../../shared/policy.ts';
import { compoundFile, doc, msg, ppt, xls } from '../support/compound-fixtures.ts';
import {
  MACRO,
  nativeObject,
  packageObject,
  packageStream,
  rtfWithObject,
  rtfWithPackage,
  vbaProject,
  vbaStreams,
} from '../support/embedded-fixtures.ts';
import * as files from '../support/fixtures.ts';
import { createInspector } from '../support/inspect-both.ts';
import { inspectContent } from '../support/inspect-content.ts';
import { basicLibrary, epub, office, openDocument, unicodePath, zip } from '../support/zip-fixtures.ts';

const detector = new Detector({ timeLimitMs: 30_000 });
const checks = createDefaultChecks(detector);
const { inspect, codeOf } = createInspector(detector);
afterAll(() => detector.close());

const lower = (name: string) => name.toLowerCase();
const upper = (name: string) => name.toUpperCase();

describe('a variant of a format', () => {
  test.each<[name: string, content: Buffer, type: string]>([
    ['lower.doc', doc({ spelling: lower }), 'application/msword'],
    ['upper.doc', doc({ spelling: upper }), 'application/msword'],
    ['upper.xls', xls({ spelling: upper }), 'application/vnd.ms-excel'],
    ['excel5.xls', xls({ stream: 'Book' }), 'application/vnd.ms-excel'],
    ['excel5-lower.xls', xls({ stream: 'book' }), 'application/vnd.ms-excel'],
    ['lower.ppt', ppt({ spelling: lower }), 'application/vnd.ms-powerpoint'],
    ['a.dot', doc(), 'application/msword'],
    ['a.xlt', xls(), 'application/vnd.ms-excel'],
    ['a.pps', ppt(), 'application/vnd.ms-powerpoint'],
    ['a.pot', ppt(), 'application/vnd.ms-powerpoint'],
    ['a.dotx', office('dotx'), GROUPS.documents.dotx],
    ['a.xltx', office('xltx'), GROUPS.documents.xltx],
    ['a.ppsx', office('ppsx'), GROUPS.documents.ppsx],
    ['a.potx', office('potx'), GROUPS.documents.potx],
    ['show.pptx', office('ppsx'), GROUPS.documents.pptx],
    ['late.dotx', office('dotx', { isLate: true }), GROUPS.documents.dotx],
    ['a.ott', openDocument('text-template'), GROUPS.documents.ott],
    ['a.ots', openDocument('spreadsheet-template'), GROUPS.documents.ots],
    ['a.otp', openDocument('presentation-template'), GROUPS.documents.otp],
    ['a.odg', openDocument('graphics'), GROUPS.documents.odg],
    ['a.otg', openDocument('graphics-template'), GROUPS.documents.otg],
    ['lines.pdf', files.pdf('\r\n\r\n'), 'application/pdf'],
    ['spaces.pdf', files.pdf('   '), 'application/pdf'],
    ['printer.pdf', files.pdf('\x1b%-12345X@PJL JOB\r\n@PJL ENTER LANGUAGE=PDF\r\n'), 'application/pdf'],
    ['mailed.pdf', files.pdf(`${'X-Header: value\r\n'.repeat(58)}\r\n`), 'application/pdf'],
  ])('%s is accepted', async (name, content, type) => {
    expect(await inspect(name, content)).toMatchObject({ rejection: undefined, type });
  });

  test('a PDF that starts beyond the first 1024 bytes is no PDF, nor is one in a program or a page', async () => {
    expect(await codeOf('a.pdf', files.pdf('\r\n'.repeat(600)))).toBe('ERR_TYPE_MISMATCH');
    expect(await codeOf('a.pdf', Buffer.concat([files.elf(), files.pdf()]))).toBe('ERR_TYPE_MISMATCH');
    expect(await codeOf('a.pdf', files.pdf(files.html.toString()))).toBe('ERR_TYPE_MISMATCH');
  });

  test('a binary workbook may be listed, and obeys the macro rule, since its name does not tell', async () => {
    const policy = parsePolicy('.xlsb');
    expect(await codeOf('a.xlsb', office('xlsb'), policy)).toBe('accepted');
    const withMacros = office('xlsb', { members: [{ name: 'xl/vbaProject.bin', content: vbaProject({ code: MACRO }) }] });
    expect(await codeOf('a.xlsb', withMacros, policy)).toBe('ERR_MACRO');
    expect(await codeOf('a.xlsb', withMacros, parsePolicy('.xlsb', { allowMacros: true }))).toBe('accepted');
  });
});

const project = { name: 'word/vbaProject.bin', content: vbaProject({ code: MACRO }) };
const wordMacros = vbaStreams({ code: MACRO, inside: 'Macros' });
const excelMacros = vbaStreams({ code: MACRO, inside: '_VBA_PROJECT_CUR' });
const declared = (type: string, part: string) => `<Override PartName="/${part}" ContentType="${type}"/>`;
/** A workbook whose list of parts is in UTF-16, big-endian if swapped, with a byte order mark if marked. */
function inUtf16(encoding: 'utf16le' | 'swapped' | 'marked' | 'swapped-marked', type: string): Buffer {
  const list = `<?xml version="1.0" encoding="UTF-16"?><Types>${declared(type, 'xl/a.xml')}</Types>`;
  const content = Buffer.from(encoding.endsWith('marked') ? `\ufeff${list}` : list, 'utf16le');
  if (encoding.startsWith('swapped')) content.swap16();
  return zip([
    { name: '[Content_Types].xml', content },
    { name: 'xl/workbook.xml', content: '<workbook/>' },
  ]);
}
const ole = (content: Buffer, name = 'word/embeddings/oleObject1.bin') => office('docx', { members: [{ name, content }] });

describe('macros', () => {
  test.each<[name: string, content: Buffer]>([
    ['a.docx', office('docm')],
    ['a.xlsx', office('xlsm')],
    ['a.pptx', office('pptm')],
    ['hidden.docx', office('docx', { members: [project] })],
    ['empty.docx', office('docx', { members: [{ name: 'word/vbaProject.bin' }] })],
    ['renamed.docx', office('docx', { members: [{ ...project, name: 'word/media/image1.png' }] })],
    ['stored.docx', office('docx', { members: [{ ...project, isStored: true }] })],
    ['declared.docx', office('docx', { types: declared('application/vnd.ms-office.vbaProject', 'word/x.bin') })],
    ['excel4.xlsx', office('xlsx', { types: declared('application/vnd.ms-excel.macrosheet+xml', 'xl/macrosheets/sheet1.xml') })],
    ['reference.xlsx', office('xlsx', { types: declared('application/vnd.ms-excel.macr&#111;sheet+xml', 'xl/a.xml') })],
    ['hexadecimal.xlsx', office('xlsx', { types: declared('application/vnd.ms-excel.&#x6D;acrosheet+xml', 'xl/a.xml') })],
    ['quotes.xlsx', office('xlsx', { types: "<a:Override\n ContentType = 'application/vnd.ms-excel.intlmacrosheet+xml'/>" })],
    ...(['utf16le', 'swapped', 'marked', 'swapped-marked'] as const).map((encoding): [string, Buffer] => [
      `${encoding}.xlsx`,
      inUtf16(encoding, 'application/vnd.ms-excel.macrosheet+xml'),
    ]),
    ['late.docx', office('docm', { isLate: true })],
    ['a.dotx', office('docm')],
    ['a.doc', doc({ streams: wordMacros })],
    ['upper.doc', doc({ streams: wordMacros, spelling: upper })],
    ['stomped.doc', doc({ streams: vbaStreams({ code: MACRO, isStomped: true, inside: 'Macros' }) })],
    [
      'unreadable.doc',
      doc({ streams: wordMacros.map((stream) => (stream.name === 'dir' ? { ...stream, content: Buffer.alloc(50) } : stream)) }),
    ],
    ['without-module.doc', doc({ streams: wordMacros.filter(({ name }) => name !== 'ThisDocument') })],
    ['long.doc', doc({ streams: vbaStreams({ code: `${"' A comment.\r\n".repeat(2000)}${MACRO}`, inside: 'Macros' }) })],
    ['a.xls', xls({ streams: excelMacros })],
    ['a.xlt', xls({ streams: excelMacros })],
    ['excel4.xls', xls({ sheets: [0, 1] })],
    ['excel5.xls', xls({ stream: 'Book', sheets: [6] })],
    ['excel95.xls', xls({ stream: 'Book', streams: [{ name: 'Module1', inside: '_VBA_PROJECT' }] })],
    ['a.ppt', ppt({ objects: [vbaProject({ code: MACRO })] })],
    ['compressed.ppt', ppt({ objects: [vbaProject({ code: MACRO })], areCompressed: true })],
    ['hidden.ppt', ppt({ objects: [vbaProject({ code: MACRO })], areCompressed: true, areHidden: true })],
    ['a.pps', ppt({ objects: [vbaProject({ code: MACRO })], areCompressed: true })],
    ['sheet.ppt', ppt({ objects: [xls({ streams: excelMacros })], areCompressed: true })],
    ['sheet.doc', doc({ streams: vbaStreams({ code: MACRO, inside: 'ObjectPool/_1234/_VBA_PROJECT_CUR' }) })],
    ['sheet.docx', ole(xls({ streams: excelMacros }), 'word/embeddings/Sheet1.xls')],
    ['a.odt', openDocument('text', { members: basicLibrary('Sub AutoOpen\n  MsgBox "Hello"\nEnd Sub') })],
    ['a.ods', openDocument('spreadsheet', { members: basicLibrary('Function f\n  f = 1\nEnd Function') })],
    ['a.otp', openDocument('presentation-template', { members: basicLibrary('Sub AutoOpen\n  MsgBox "Hello"\nEnd Sub') })],
    ['line.odt', openDocument('text', { members: basicLibrary('REM A comment.&#10;MsgBox 1') })],
    ['data.odt', openDocument('text', { members: basicLibrary('<![CDATA[MsgBox 1]]>') })],
    ['open-data.odt', openDocument('text', { members: basicLibrary('<![CDATA[MsgBox 1') })],
    ['entity.odt', openDocument('text', { members: basicLibrary('<!DOCTYPE a [<!ENTITY b "&#10;MsgBox 1">]>REM &b;') })],
    ['locked.odt', openDocument('text', { members: [{ name: 'Basic/Standard/Module1.pba', content: files.noise(200) }] })],
    ['python.odt', openDocument('text', { members: [{ name: 'Scripts/python/a.py', content: 'import os' }] })],
    ['sheet.rtf', rtfWithObject({ className: 'Excel.Sheet.8', content: xls({ streams: excelMacros }) })],
  ])('are refused in %s', async (name, content) => {
    expect(await codeOf(name, content)).toBe('ERR_MACRO');
  });

  test.each([
    ['another document type', '<!DOCTYPE Types [<!ENTITY a "macro">]><Types/>'],
    ['an encoding in which letters have other bytes', '<?xml version="1.0" encoding="utf-7"?><Types/>'],
    ['four bytes a letter', Buffer.from('\ufeff\0<\0T\0', 'utf16le')],
  ])('a list of parts with %s is refused', async (_, content) => {
    const members = [
      { name: '[Content_Types].xml', content },
      { name: 'xl/workbook.xml', content: '<workbook/>' },
    ];
    expect(await codeOf('a.xlsx', zip(members))).toBe('ERR_UNINSPECTABLE');
  });

  test('a Basic module of tags that are not closed, or of spaces, takes no long time', async () => {
    for (const [content, code] of [
      ['<'.repeat(2_000_000), 'ERR_MACRO'],
      ['<![CDATA['.repeat(200_000), 'ERR_MACRO'],
      [`Sub Main${' '.repeat(2_000_000)}x`, 'ERR_MACRO'],
      [`Sub Main${' '.repeat(2_000_000)}`, 'accepted'],
    ] as const) {
      expect(await codeOf('a.odt', openDocument('text', { members: [{ name: 'Basic/Standard/Module1.xml', content }] }))).toBe(code);
    }
  });

  const emptyProject = vbaProject({ code: "Option Explicit\r\n\r\n' Nothing here.\r\n" });
  const noProject = vbaProject();

  test.each<[name: string, content: Buffer]>([
    ['a.docx', office('docx', { members: [{ name: 'word/vbaProject.bin', content: noProject }] })],
    ['a.doc', doc({ streams: vbaStreams({ inside: 'Macros' }) })],
    ['a.xls', xls({ streams: vbaStreams({ inside: '_VBA_PROJECT_CUR' }) })],
    ['a.ppt', ppt({ objects: [noProject], areCompressed: true })],
    ['a.odt', openDocument('text', { members: basicLibrary('REM  *****  BASIC  *****\n\nSub Main\n\nEnd Sub\n') })],
    ['list.odt', openDocument('text', { members: basicLibrary('').slice(0, 2) })],
    ['folder.odt', openDocument('text', { members: [{ name: 'Scripts/' }] })],
  ])('an empty project in %s is no macro', async (name, content) => {
    expect(await codeOf(name, content)).toBe('accepted');
  });

  test('count when only compiled lines have them, whatever the source says', async () => {
    expect(await codeOf('a.ppt', ppt({ objects: [emptyProject] }))).toBe('ERR_MACRO');
  });

  test('are found in a UTF-16 list of parts', async () => {
    const types = files.utf16('<Types><Override ContentType="application/vnd.ms-office.vbaProject"/></Types>');
    const content = zip([{ name: '[Content_Types].xml', content: types }, { name: 'word/document.xml' }]);
    expect(await codeOf('a.docx', content)).toBe('ERR_MACRO');
  });

  test('count as present in a list of parts too large to read', async () => {
    const content = zip([{ name: '[Content_Types].xml', content: Buffer.alloc(8 * 1024 * 1024, 32) }, { name: 'word/document.xml' }]);
    expect(await codeOf('a.docx', content)).toBe('ERR_MACRO');
  });

  test('are not searched for in a document with two lists of parts, which is refused', async () => {
    const list = { name: '[Content_Types].xml', content: '<Types/>' };
    expect(await codeOf('a.docx', zip([list, { name: 'word/document.xml' }, list]))).toBe('ERR_UNINSPECTABLE');
  });

  test('are accepted under the extension for macros, when an operator lists it', async () => {
    const policy = parsePolicy('documents,.docm');
    expect(await codeOf('a.docm', office('docm'), policy)).toBe('accepted');
    expect(await codeOf('late.docm', office('docm', { isLate: true }), policy)).toBe('accepted');
    expect(await codeOf('a.docx', office('docm'), policy)).toBe('ERR_MACRO');
  });

  test('are accepted in old and OpenDocument files when an operator allows them', async () => {
    const policy = parsePolicy('documents', { allowMacros: true });
    expect(await codeOf('a.doc', doc({ streams: wordMacros }), policy)).toBe('accepted');
    expect(await codeOf('a.ppt', ppt({ objects: [vbaProject({ code: MACRO })] }), policy)).toBe('accepted');
    expect(await codeOf('a.odt', openDocument('text', { members: basicLibrary('Print 1') }), policy)).toBe('accepted');
    expect(await codeOf('a.docx', office('docm'), policy)).toBe('ERR_MACRO');
  });
});

const program = packageObject('setup.exe', files.exe());
const renamed = packageObject('holiday.jpg', files.exe());

/** With a number that no linker writes, and that Windows does not read. */
const patched = Buffer.concat([Buffer.from('MZ\xff\xff', 'latin1'), files.exe().subarray(4)]);

describe('programs in documents', () => {
  test.each<[name: string, content: Buffer]>([
    ['a.docx', office('docx', { members: [{ name: 'word/media/setup.exe', content: files.exe() }] })],
    ['a.xlsx', office('xlsx', { members: [{ name: 'run.BAT' }] })],
    ['a.odt', openDocument('text', { members: [{ name: 'x.ps1' }] })],
    ['packaged.docx', ole(program)],
    ['renamed.docx', ole(renamed)],
    ['elsewhere.docx', ole(program, 'customXml/item1.xml')],
    [
      'far.docx',
      ole(
        compoundFile([{ name: 'Contents', content: files.noise(200_000) }, packageStream('setup.exe', files.exe())], {
          paddingSectors: 900,
        }),
      ),
    ],
    ['bare.docx', ole(files.exe())],
    ['picture.docx', office('docx', { members: [{ name: 'word/media/image1.png', content: files.exe() }] })],
    ['stored.docx', office('docx', { members: [{ name: 'word/media/image1.png', content: files.exe(), isStored: true }] })],
    ['linux.pptx', office('pptx', { members: [{ name: 'ppt/media/image1.png', content: files.elf() }] })],
    ['patched.docx', office('docx', { members: [{ name: 'word/media/image1.png', content: patched }] })],
    ['other-name.docx', office('docx', { members: [{ name: 'word/a.txt', extraField: unicodePath('word/a.exe') }] })],
    ['shortcut.docx', ole(packageObject('calc.lnk', Buffer.from('4c0000000114020000000000c000000000000046', 'hex')))],
    ['native.docx', ole(nativeObject(files.exe()))],
    ['nested.docx', ole(compoundFile([{ name: 'CONTENTS', content: program }]))],
    ['a.doc', doc({ streams: [packageStream('setup.exe', files.exe(), 'ObjectPool/_1234')] })],
    ['renamed.doc', doc({ streams: [packageStream('a.txt', files.exe(), 'ObjectPool/_1234')] })],
    ['large.doc', doc({ streams: [packageStream('setup.exe', files.noise(100_000), 'ObjectPool/_1234')] })],
    ['upper.doc', doc({ streams: [packageStream('setup.exe', files.exe(), 'ObjectPool/_1234')], spelling: upper })],
    ['a.xls', xls({ streams: [packageStream('run.vbs', Buffer.from('MsgBox 1'), 'MBD00112233')] })],
    ['a.ppt', ppt({ objects: [program] })],
    ['compressed.ppt', ppt({ objects: [doc(), program], areCompressed: true })],
    ['hidden.ppt', ppt({ objects: [program], areHidden: true })],
    ['object.odt', openDocument('text', { members: [{ name: 'Object 1', content: program }] })],
    ['picture.ods', openDocument('spreadsheet', { members: [{ name: 'Pictures/1.png', content: files.exe() }] })],
    ['a.rtf', rtfWithPackage('setup.exe', files.exe())],
    ['renamed.rtf', rtfWithPackage('a.txt', files.exe())],
    [
      'object.rtf',
      rtfWithObject({ className: 'Word.Document.8', content: doc({ streams: [packageStream('a.exe', files.exe(), 'ObjectPool/_1')] }) }),
    ],
    ['spaced.rtf', rtfWithPackage('setup.exe', files.exe(), (digits) => digits.toUpperCase().replace(/./g, '$& \n'))],
    ['words.rtf', rtfWithPackage('setup.exe', files.exe(), (digits) => digits.replace(/.{8}/g, '$&{\\object }\\par\\fs24 '))],
    [
      'binary.rtf',
      rtfWithPackage('setup.exe', files.exe(), (digits) => `\\bin${digits.length / 2} ${Buffer.from(digits, 'hex').toString('latin1')}`),
    ],
  ])('are refused in %s', async (name, content) => {
    expect(await codeOf(name, content)).toBe('ERR_ACTIVE_CONTENT');
  });

  test('and objects of which a document has two of one name are refused', async () => {
    const twice = [1, 2].map((byte) => ({ name: byte === 1 ? 'Data' : 'DATA', content: Buffer.alloc(10, byte) }));
    for (const content of [doc({ streams: twice }), ole(compoundFile(twice))]) {
      const name = content.subarray(0, 2).toString() === 'PK' ? 'a.docx' : 'a.doc';
      expect(await codeOf(name, content)).toBe('ERR_UNINSPECTABLE');
    }
  });

  test('and parts of another name in their own header are refused', async () => {
    const content = office('docx', { members: [{ name: 'word/a.txt', content: 'a' }] });
    content.write('b', content.indexOf('word/a.txt') + 5);
    expect(await codeOf('a.docx', content)).toBe('ERR_UNINSPECTABLE');
  });

  test('are refused in messages that an operator lists', async () => {
    const policy = parsePolicy('.msg');
    expect(await codeOf('a.msg', msg(), policy)).toBe('accepted');
    expect(await codeOf('a.msg', msg(files.exe()), policy)).toBe('ERR_ACTIVE_CONTENT');
  });

  test('are named in the sentence of the refusal', async () => {
    expect((await inspect('a.doc', doc({ streams: [packageStream('setup.exe', files.exe(), 'ObjectPool/_1')] }))).rejection?.detail).toBe(
      '“a.doc” holds a program (“setup.exe”).',
    );
  });

  const named = compoundFile([
    { name: 'Workbook', content: Buffer.concat([Buffer.alloc(600), Buffer.from('EXCEL.EXE\0C:\\Office\\EXCEL.EXE\0')]) },
    { name: '\x01CompObj', content: Buffer.from('EXCEL.EXE\0') },
  ]);

  test.each<[name: string, content: Buffer]>([
    ['workbook.docx', ole(office('xlsx'), 'word/embeddings/Workbook1.xlsx')],
    ['old.docx', ole(xls())],
    ['named.docx', ole(named)],
    ['broken.docx', ole(Buffer.concat([Buffer.from('d0cf11e0a1b11ae1', 'hex'), Buffer.alloc(600), Buffer.from('EXCEL.EXE\0')]))],
    ['lines.docx', office('docx', { members: [{ name: 'customXml/item1.xml', content: `MZ${'is how\n'.repeat(60)}` }] })],
    ['line.docx', office('docx', { members: [{ name: 'customXml/item1.xml', content: `MZ${' '.repeat(61)}\n${' '.repeat(99)}` }] })],
    ['packaged.docx', ole(packageObject('notes.txt', Buffer.from('MZ is how this text starts.')))],
    [
      'letters.docx',
      office('docx', { members: [{ name: 'customXml/item1.xml', content: 'MZ is how this text starts, and how it goes on.' }] }),
    ],
    ['a.doc', doc({ streams: [packageStream('notes.txt', Buffer.from('text'), 'ObjectPool/_1234')] })],
    ['a.xls', xls({ streams: [{ name: 'Native', inside: 'MBD1', content: named }] })],
    ['a.ppt', ppt({ objects: [doc(), xls()], areCompressed: true })],
    ['a.odt', openDocument('text', { members: [{ name: 'Object 1', content: xls() }] })],
    ['a.rtf', rtfWithPackage('notes.txt', Buffer.from('setup.exe'))],
    ['picture.rtf', Buffer.from(`{\\rtf1 {\\pict\\wmetafile8 ${files.exe().toString('hex')}} setup.exe}`)],
    ['cut.rtf', rtfWithPackage('notes.txt', Buffer.from('text')).subarray(0, 150)],
    ['a.epub', epub()],
  ])('are not found in %s', async (name, content) => {
    expect(await codeOf(name, content)).toBe('accepted');
  });

  test('are found in RTF however it is cut into pieces', async () => {
    const content = rtfWithPackage('setup.exe', files.exe());
    for (const chunkBytes of [1, 2, 3, 7, 64, 1000]) {
      const outcome = await inspectContent(checks, { name: 'a.rtf', content, chunkBytes });
      expect([chunkBytes, outcome.rejection?.code]).toEqual([chunkBytes, 'ERR_ACTIVE_CONTENT']);
    }
  });
});

describe('the effort for a document', () => {
  test('is bounded for parts that all name the same packed bytes', async () => {
    const object = compoundFile([{ name: 'Contents', content: Buffer.alloc(4 * 1024 * 1024) }]);
    const members = Array.from({ length: 40 }, (_, index) => ({ name: `word/embeddings/o${index}.bin`, content: object }));
    const { rejection } = await inspect('a.docx', office('docx', { members }));
    expect(rejection).toMatchObject({ code: 'ERR_UNINSPECTABLE', detail: '“a.docx” holds more than can be inspected.' });
  });

  test('is bounded for a project that names one module again and again', async () => {
    const many = vbaStreams({ code: '', inside: 'Macros', modules: 4000, moduleBytes: 100_000 });
    expect(await codeOf('a.doc', doc({ streams: many }))).toBe('ERR_MACRO');
  });

  test('is bounded for parts that all name one object', async () => {
    const list = compoundFile(Array.from({ length: 3000 }, (_, index) => ({ name: `s${index}`, content: Buffer.from('x') })));
    const [first, ...others] = Array.from({ length: 60 }, (_, index) => ({ name: `word/o${index}.bin`, isStored: true }));
    const members = [{ ...first, name: 'word/o.bin', content: list }, ...others.map((member) => ({ ...member, sameAs: 'word/o.bin' }))];
    expect(await codeOf('a.docx', office('docx', { members }))).toBe('ERR_UNINSPECTABLE');
  });

  test('is enough for objects that do not compress', async () => {
    const object = compoundFile([{ name: 'Contents', content: files.noise(2 * 1024 * 1024) }]);
    const members = Array.from({ length: 10 }, (_, index) => ({ name: `word/embeddings/o${index}.bin`, content: object }));
    expect(await codeOf('a.docx', office('docx', { members }))).toBe('accepted');
  });

  test('does not reach an object whose directory lies beyond its unpacked bytes, which is refused', async () => {
    const far = compoundFile([packageStream('setup.exe', files.exe())], { paddingSectors: 13_000 });
    const cut = Buffer.concat([far, Buffer.alloc(14 * 1024 * 1024)]);
    expect(await codeOf('near.docx', ole(cut))).toBe('ERR_ACTIVE_CONTENT');
    // The object's own table says that the directory starts in a sector 20 MiB on.
    const header = Buffer.from(far);
    header.writeUInt32LE(40_000, 48);
    expect(await codeOf('far.docx', ole(Buffer.concat([header, Buffer.alloc(14 * 1024 * 1024)])))).toBe('ERR_UNINSPECTABLE');
  });
});

test('stays without an exception for any cut and any flipped byte', async () => {
  const samples: [string, Buffer][] = [
    ['a.docx', office('docx', { members: [project, { name: 'word/embeddings/oleObject1.bin', content: program }] })],
    ['a.doc', doc({ streams: [...wordMacros, packageStream('a.txt', files.noise(5000), 'ObjectPool/_1')] })],
    ['a.xls', xls({ streams: excelMacros, sheets: [0, 1, 2] })],
    ['a.ppt', ppt({ objects: [program, vbaProject({ code: MACRO })], areCompressed: true })],
    ['a.odt', openDocument('text', { members: basicLibrary('Print 1') })],
    ['a.rtf', rtfWithObject({ className: 'Excel.Sheet.8', content: xls({ streams: excelMacros }) })],
  ];
  for (const [name, content] of samples) {
    for (let round = 0; round < 60; round++) {
      const random = files.noise(16, round * 7919 + content.length);
      const broken = Buffer.from(content.subarray(0, round % 3 === 0 ? 16 + (random.readUInt32LE(0) % content.length) : content.length));
      for (let flips = 0; flips < 6; flips++)
        broken[8 + ((random.readUInt16LE(flips * 2) * 31) % Math.max(1, broken.length - 8))] = random[flips] ?? 0;
      await inspectContent(checks, { name, content: broken });
    }
  }
});
