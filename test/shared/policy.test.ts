import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { GROUPS, isRecognisable, SINGLE_FORMATS, UNKNOWN_TYPE } from '../../shared/formats.ts';
import {
  acceptAttribute,
  allowedExtensions,
  checkLength,
  checkName,
  DEFAULT_ALLOW,
  describeAllowed,
  extensionOfType,
  parsePolicy,
  policyText,
  typeOfExtension,
} from '../../shared/policy.ts';

const standard = parsePolicy(DEFAULT_ALLOW);

test('the default policy accepts the files that people send, and nothing executable', () => {
  const extensions = allowedExtensions(standard);
  for (const taken of 'mp4 mov mkv webm avi mpg ts m4v wmv 3gp mxf jpg jpeg jfif png gif webp avif heic heif tif tiff bmp psd dng cr2 nef'.split(
    ' ',
  ))
    expect(extensions).toContain(taken);
  for (const taken of 'pdf doc docx xls xlsx ppt pptx odt ods odp rtf epub mp3 wav flac ogg m4a aac aiff opus'.split(' '))
    expect(extensions).toContain(taken);
  for (const taken of 'zip 7z rar gz tar tgz bz2 xz zst txt csv tsv md json log srt vtt'.split(' ')) expect(extensions).toContain(taken);
  for (const refused of 'exe dll msi bat cmd ps1 sh php js html htm svg xml jar apk docm xlsm pptm lnk iso'.split(' '))
    expect(extensions).not.toContain(refused);
});

test('a policy is plain frozen data that survives JSON and a structured clone', () => {
  expect(Object.isFrozen(standard)).toBe(true);
  for (const part of [standard.types, standard.groups, standard.singles]) expect(Object.isFrozen(part)).toBe(true);
  expect(JSON.parse(JSON.stringify(standard))).toEqual(standard);
  expect(structuredClone(standard)).toEqual(standard);
});

test('groups and entries combine, in any letter case and with spaces', () => {
  const policy = parsePolicy(' Images , .STEP=application/octet-stream,.svg = image/svg+xml,.parquet,');
  expect(typeOfExtension(policy, 'png')).toBe('image/png');
  expect(typeOfExtension(policy, 'step')).toBe('application/octet-stream');
  expect(typeOfExtension(policy, 'svg')).toBe('image/svg+xml');
  expect(typeOfExtension(policy, 'parquet')).toBe('application/vnd.apache.parquet');
  expect(typeOfExtension(policy, 'pdf')).toBeUndefined();
});

test('a later entry overrides an earlier one, and aliases of a type mean the same', () => {
  expect(typeOfExtension(parsePolicy('archives,.zip=application/octet-stream'), 'zip')).toBe('application/octet-stream');
  expect(typeOfExtension(parsePolicy('.mkv=video/x-matroska'), 'mkv')).toBe('video/matroska');
});

test.each([
  ['pictures', /“pictures” is neither a group \(images, documents, video, audio, archives, text, scans, data, disks\)/],
  ['images,jpg', /“jpg” is neither/],
  ['.jpg=', /“\.jpg=” is neither/],
  ['.jpg=image', /“\.jpg=image” is neither/],
  ['.j pg=image/jpeg', /“\.j pg=image\/jpeg” is neither/],
  ['constructor', /“constructor” is neither/],
  ['.__proto__=text/plain', /“\.__proto__=text\/plain” is neither/],
  ['.rvt', /“\.rvt” is not known. Write \.rvt=application\/octet-stream/],
  ['.foo=application/x-foo', /type application\/x-foo cannot be recognised. Write \.foo=application\/octet-stream/],
  ['', /The list allows no file type/],
  [' , ', /The list allows no file type/],
])('%j is refused with a sentence', (allow, sentence) => {
  expect(() => parsePolicy(allow)).toThrow(sentence);
});

test('property names of every object are not extensions', () => {
  for (const extension of ['constructor', '__proto__', 'toString']) expect(typeOfExtension(standard, extension)).toBeUndefined();
  expect(checkName(standard, 'x.constructor')?.code).toBe('ERR_TYPE_NOT_ALLOWED');
});

test('the text of a policy does not depend on the order of its entries, and changes with each rule', () => {
  const text = policyText(parsePolicy('images,text'));
  expect(policyText(parsePolicy('text, images'))).toBe(text);
  const others = [
    parsePolicy('images'),
    parsePolicy('images,text,.x=application/octet-stream'),
    parsePolicy('images,text', { allowEmpty: true }),
    parsePolicy('images,text', { allowEncrypted: true }),
    parsePolicy('images,text', { maxBytes: 5 }),
  ].map(policyText);
  expect(new Set([text, ...others]).size).toBe(6);
});

test('every format of the table can be detected, and an extension means the same in each group', () => {
  const all = [...Object.values(GROUPS).flatMap((formats) => Object.entries(formats)), ...Object.entries(SINGLE_FORMATS)];
  for (const [, type] of all) expect(isRecognisable(type)).toBe(true);
  const types = new Map(all);
  for (const [extension, type] of all) expect([extension, type]).toEqual([extension, types.get(extension)]);
  // `dcm` is in two groups: images, which had it first, and scans.
  expect(all.length - types.size).toBe(1);
  expect(Object.keys(GROUPS.images).filter((extension) => extension in GROUPS.scans)).toEqual(['dcm']);
});

test('the words of a group are extensions that a list may name', () => {
  for (const formats of Object.values(GROUPS)) {
    for (const extension of Object.keys(formats)) expect(() => parsePolicy(`.${extension}`)).not.toThrow();
  }
});

test('the default policy has no executable format and no disk image', () => {
  const runs = 'exe dll msi bat cmd com ps1 vbs sh py php js html htm svg xml sql jar apk docm xlsm pptm lnk reg scr blend pkl'.split(' ');
  for (const refused of [...runs, ...Object.keys(GROUPS.disks)]) expect(allowedExtensions(standard)).not.toContain(refused);
  for (const type of Object.values(standard.types)) expect(type).not.toBe(UNKNOWN_TYPE);
});

test('a description of the policy names the groups that it accepts whole', () => {
  expect(describeAllowed(standard)).toBe('images, documents, video, audio, archives, text, scans, data');
  expect(describeAllowed(parsePolicy('scans'))).toBe('scans');
  expect(describeAllowed(parsePolicy('images,.png=application/octet-stream'))).toMatch(/^\.jpg, \.jpeg, .* and more$/);
  expect(describeAllowed(parsePolicy('images,scans,.iso'))).toBe('images, scans, .iso');
});

describe('the policy on names', () => {
  test.each([
    'photo.jpg',
    'PHOTO.JPG',
    'archive.tar.gz',
    'a.b.c.pdf',
    'README',
    '1000012345',
    'Dr. Smith',
    'report;final.pdf',
    'x.php.jpg',
    'Node.js: a guide.pdf',
    'Example.com:Books.pdf',
  ])('%j is not refused', (name) => {
    expect(checkName(standard, name)).toBeUndefined();
  });

  test('a missing name is not refused', () => {
    expect(checkName(standard, null)).toBeUndefined();
  });

  test.each([
    'photo.jpg.php',
    'setup.exe',
    'page.html',
    'drawing.svg',
    'photo\u202egpj.exe',
    'photo.jpg:stream',
    'x.docm',
    'evil.php::$DATA',
  ])('%j is refused for its last extension, or because it hides that', (name) => {
    expect(checkName(standard, name)?.code).toMatch(/^ERR_(?:TYPE|NAME)_NOT_ALLOWED$/);
  });

  test.each(['shell.php;.jpg', 'shell.php%00.jpg', 'shell.php\0.jpg', 'shell.asp;.png', 'shell.PHP5 ;.jpg', 'run.exe:.jpg'])(
    '%j is refused because it hides its real extension',
    (name) => {
      expect(checkName(standard, name)?.code).toBe('ERR_NAME_NOT_ALLOWED');
    },
  );

  test('a refusal names the accepted types', () => {
    expect(checkName(parsePolicy('images,.step=application/octet-stream'), 'a.pdf')?.detail).toBe(
      '“a.pdf” is a .pdf file. Accepted: images, .step.',
    );
  });
});

test('a length is refused when it is zero or over the limit', () => {
  expect(checkLength(standard, 0)?.code).toBe('ERR_EMPTY');
  expect(checkLength(parsePolicy('text', { allowEmpty: true }), 0)).toBeUndefined();
  expect(checkLength(standard, Number.MAX_SAFE_INTEGER)).toBeUndefined();
  const small = parsePolicy('text', { maxBytes: 1024 });
  expect(checkLength(small, 1024)).toBeUndefined();
  expect(checkLength(small, 1025)).toEqual({ code: 'ERR_MAX_SIZE_EXCEEDED', detail: 'It has 1 KiB; at most 1 KiB are accepted.' });
});

test('the accept attribute of a file input lists the extensions', () => {
  expect(acceptAttribute(parsePolicy('.png,.pdf'))).toBe('.png,.pdf');
});

test('a type gets the usual extension', () => {
  expect(extensionOfType(standard, 'image/jpeg')).toBe('jpg');
  expect(extensionOfType(standard, 'video/quicktime')).toBe('mov');
  expect(extensionOfType(standard, 'text/plain')).toBe('txt');
  expect(extensionOfType(standard, 'text/html')).toBeNull();
});

test('the documentation lists the extensions of each group and the formats without a group', async () => {
  const page = await readFile(new URL('../../docs/policy.md', import.meta.url), 'utf8');
  for (const [name, formats] of Object.entries(GROUPS)) expect(page).toContain(`| \`${name}\` | ${Object.keys(formats).join(' ')} |`);
  expect(page.replaceAll(/\s+/g, ' ')).toContain(Object.keys(SINGLE_FORMATS).join(' '));
  expect(page).toContain(`\`${DEFAULT_ALLOW}\``);
});

test('the example policies are valid, and accept and refuse the extensions listed beside them', async () => {
  const page = await readFile(new URL('../../docs/policy.md', import.meta.url), 'utf8');
  const section = /## Example policies\n([\s\S]*?)\n## /.exec(page)?.[1] ?? '';
  const rows = [...section.matchAll(/^\| (.+?) \| `(.+?)` \| (.+?) \| (.+?) \|$/gm)].slice(1);
  expect(rows.length).toBeGreaterThanOrEqual(10);
  for (const [, reader, line = '', taken = '', refused = ''] of rows) {
    const extensions = allowedExtensions(parsePolicy(line));
    for (const extension of taken.split(' ')) expect([reader, extensions]).toEqual([reader, expect.arrayContaining([extension])]);
    for (const extension of refused.split(' '))
      expect([reader, extensions.includes(extension), extension]).toEqual([reader, false, extension]);
  }
});
