/** ZIP archives, and documents made of them. */
import { crc32, deflateRawSync } from 'node:zlib';
import { MACRO, vbaProject } from './embedded-fixtures.ts';

export interface ZipMember {
  name: string;
  content?: Buffer | string;
  isStored?: boolean;
  isEncrypted?: boolean;
  /** Unix mode, with the kind: 0o120777 for a link. */
  unixMode?: number;
  /** The declared size, if it is false. */
  size?: number;
  /** The position in the directory, if it is false. */
  position?: number;
  /** Another member, whose bytes the directory names for this one, which has none of its own. */
  sameAs?: string;
  /** Extra fields of its entry in the directory. */
  extraField?: Buffer;
}

export interface ZipOptions {
  /** Bytes before the archive: a picture, a self-extracting program. */
  prefix?: Buffer;
  comment?: Buffer;
  /** Adds a 64-bit end record; the other record then refers to it, or has the same values, as Info-ZIP writes it for a stream. */
  zip64?: 'needed' | 'redundant';
}

export function zip(members: readonly ZipMember[], options: ZipOptions = {}): Buffer {
  const prefix = options.prefix ?? Buffer.alloc(0);
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  const known = new Map<string, { fields: Buffer; offset: number }>();
  let offset = 0;
  for (const member of members) {
    const { name, content = '', isStored = false, isEncrypted = false } = member;
    const same = member.sameAs === undefined ? undefined : known.get(member.sameAs);
    if (same !== undefined) {
      directory.push(directoryEntry(member, same.fields, same.offset));
      continue;
    }
    const raw = Buffer.from(content);
    const packed = isStored ? raw : deflateRawSync(raw);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(isEncrypted ? 1 : 0, 2);
    fields.writeUInt16LE(isStored ? 0 : 8, 4);
    fields.writeUInt32LE(crc32(raw), 10);
    fields.writeUInt32LE(packed.length, 14);
    fields.writeUInt32LE(member.size ?? raw.length, 18);
    fields.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), fields, Buffer.from(name), packed]);
    directory.push(directoryEntry(member, fields, member.position ?? offset));
    known.set(name, { fields, offset });
    locals.push(local);
    offset += local.length;
  }
  const list = Buffer.concat(directory);
  const comment = options.comment ?? Buffer.alloc(0);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(Math.min(members.length, 0xffff), 8);
  end.writeUInt16LE(options.zip64 === 'needed' ? 0xffff : members.length, 10);
  end.writeUInt32LE(options.zip64 === 'needed' ? 0xffffffff : list.length, 12);
  end.writeUInt32LE(options.zip64 === 'needed' ? 0xffffffff : offset, 16);
  end.writeUInt16LE(comment.length, 20);
  const large = options.zip64 ? end64(members.length, list.length, offset, prefix.length) : Buffer.alloc(0);
  return Buffer.concat([prefix, ...locals, list, large, end, comment]);
}

function directoryEntry({ name, unixMode = 0, extraField = Buffer.alloc(0) }: ZipMember, fields: Buffer, position: number): Buffer {
  const rest = Buffer.alloc(14);
  rest.writeUInt16LE(unixMode, 8);
  rest.writeUInt32LE(position, 10);
  const listed = Buffer.from(fields);
  listed.writeUInt16LE(Buffer.byteLength(name), 22);
  listed.writeUInt16LE(extraField.length, 24);
  return Buffer.concat([Buffer.from('PK\x01\x02\x14\x03', 'latin1'), listed, rest, Buffer.from(name), extraField]);
}

function end64(count: number, size: number, offset: number, prefixBytes: number): Buffer {
  const record = Buffer.alloc(56);
  record.write('PK\x06\x06', 0, 'latin1');
  record.writeBigUInt64LE(44n, 4);
  record.writeBigUInt64LE(BigInt(count), 24);
  record.writeBigUInt64LE(BigInt(count), 32);
  record.writeBigUInt64LE(BigInt(size), 40);
  record.writeBigUInt64LE(BigInt(offset), 48);
  const locator = Buffer.alloc(20);
  locator.write('PK\x06\x07', 0, 'latin1');
  locator.writeBigUInt64LE(BigInt(prefixBytes + offset + size), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([record, locator]);
}

/** Another name of a member, as Info-ZIP writes it for a name that is not ASCII. */
export function unicodePath(name: string): Buffer {
  const header = Buffer.alloc(9);
  header.writeUInt16LE(0x7075, 0);
  header.writeUInt16LE(5 + Buffer.byteLength(name), 2);
  header[4] = 1;
  return Buffer.concat([header, Buffer.from(name)]);
}

/** An archive of `count` empty files, built without one buffer for each name. `backwards`: the directory lists the last file first. */
export function zipOfMany(count: number, options: { backwards?: boolean } = {}): Buffer {
  const nameBytes = 12;
  const local = Buffer.alloc(30 + nameBytes);
  local.write('PK\x03\x04\x14', 0, 'latin1');
  local.writeUInt16LE(nameBytes, 26);
  const entry = Buffer.alloc(46 + nameBytes);
  entry.write('PK\x01\x02\x14\x03\x14', 0, 'latin1');
  entry.writeUInt16LE(nameBytes, 28);
  const locals = Buffer.alloc(count * local.length);
  const directory = Buffer.alloc(count * entry.length);
  for (let index = 0; index < count; index++) {
    const name = `f/${String(index).padStart(nameBytes - 2, '0')}`;
    local.write(name, 30, 'latin1');
    entry.write(name, 46, 'latin1');
    entry.writeUInt32LE(index * local.length, 42);
    local.copy(locals, index * local.length);
    entry.copy(directory, (options.backwards ? count - 1 - index : index) * entry.length);
  }
  const end = Buffer.from(`504b050600000000${'ffffffff'.repeat(3)}0000`, 'hex');
  return Buffer.concat([locals, directory, end64(count, directory.length, locals.length, 0), end]);
}

/** `docx` and similar: kind → main part and its type. */
const MAIN_PARTS = {
  docx: ['word/document.xml', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml'],
  xlsx: ['xl/workbook.xml', 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml'],
  pptx: ['ppt/presentation.xml', 'application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml'],
  dotx: ['word/document.xml', 'application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml'],
  xltx: ['xl/workbook.xml', 'application/vnd.openxmlformats-officedocument.spreadsheetml.template.main+xml'],
  ppsx: ['ppt/presentation.xml', 'application/vnd.openxmlformats-officedocument.presentationml.slideshow.main+xml'],
  potx: ['ppt/presentation.xml', 'application/vnd.openxmlformats-officedocument.presentationml.template.main+xml'],
  xlsb: ['xl/workbook.bin', 'application/vnd.ms-excel.sheet.binary.macroEnabled.main'],
  docm: ['word/document.xml', 'application/vnd.ms-word.document.macroEnabled.main+xml'],
  xlsm: ['xl/workbook.xml', 'application/vnd.ms-excel.sheet.macroEnabled.main+xml'],
  pptm: ['ppt/presentation.xml', 'application/vnd.ms-powerpoint.presentation.macroEnabled.main+xml'],
} as const;

export interface OfficeOptions {
  /** Puts `[Content_Types].xml` after the other parts, far from the start. */
  isLate?: boolean;
  members?: readonly ZipMember[];
  /** More lines for the list of parts: `<Override …/>`. */
  types?: string;
}

export function office(kind: keyof typeof MAIN_PARTS, options: OfficeOptions = {}): Buffer {
  const [part, type] = MAIN_PARTS[kind];
  const types = `<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/${part}" ContentType="${type}"/>${options.types ?? ''}</Types>`;
  const folder = part.slice(0, part.indexOf('/'));
  const contentTypes: ZipMember = { name: '[Content_Types].xml', content: types };
  const rest: ZipMember[] = [
    { name: '_rels/.rels', content: '<Relationships/>' },
    { name: part, content: '<document/>' },
    ...(options.isLate ? [{ name: `${folder}/media/image1.png`, content: Buffer.alloc(20_000, 7), isStored: true }] : []),
    ...(kind.endsWith('m') ? [{ name: `${folder}/vbaProject.bin`, content: vbaProject({ code: MACRO }) }] : []),
    ...(options.members ?? []),
  ];
  return zip(options.isLate ? [...rest, contentTypes] : [contentTypes, ...rest]);
}

export interface OpenDocumentOptions {
  /** Puts the `mimetype` member after the others, as some tools do when they pack again. */
  isLate?: boolean;
  isEncrypted?: boolean;
  members?: readonly ZipMember[];
}

export function openDocument(kind: string, options: OpenDocumentOptions = {}): Buffer {
  const mimetype: ZipMember = { name: 'mimetype', content: `application/vnd.oasis.opendocument.${kind}`, isStored: true };
  const manifest = `<manifest:manifest>${options.isEncrypted ? '<manifest:encryption-data/>' : ''}</manifest:manifest>`;
  const rest: ZipMember[] = [
    { name: 'content.xml', content: '<office:document-content/>' },
    ...(options.members ?? []),
    { name: 'META-INF/manifest.xml', content: manifest },
  ];
  return zip(options.isLate ? [...rest, mimetype] : [mimetype, ...rest]);
}

/** A library of Basic in an OpenDocument file, as LibreOffice writes it: its lists and one module. */
export function basicLibrary(lines: string): ZipMember[] {
  const doctype =
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE script:module PUBLIC "-//OpenOffice.org//DTD OfficeDocument 1.0//EN" "module.dtd">\n';
  return [
    { name: 'Basic/script-lc.xml', content: '<library:libraries><library:library library:name="Standard"/></library:libraries>' },
    { name: 'Basic/Standard/script-lb.xml', content: '<library:library library:name="Standard"><library:element/></library:library>' },
    {
      name: 'Basic/Standard/Module1.xml',
      content: `${doctype}<script:module script:name="Module1" script:language="StarBasic">${lines}</script:module>`,
    },
  ];
}

export function epub(): Buffer {
  return zip([
    { name: 'mimetype', content: 'application/epub+zip', isStored: true },
    { name: 'META-INF/container.xml', content: '<container/>' },
    { name: 'OEBPS/script.js', content: 'void 0' },
  ]);
}

export function jar(): Buffer {
  return zip([
    { name: 'META-INF/MANIFEST.MF', content: 'Manifest-Version: 1.0\nMain-Class: A\n' },
    { name: 'A.class', content: Buffer.from('cafebabe0000003d', 'hex') },
  ]);
}
