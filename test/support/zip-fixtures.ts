/** ZIP archives and the documents that are made of them. */
import { crc32, deflateRawSync } from 'node:zlib';

export interface ZipMember {
  name: string;
  content?: Buffer | string;
  isStored?: boolean;
  isEncrypted?: boolean;
}

export interface ZipOptions {
  /** What stands before the archive: a picture, a self-extracting program. */
  prefix?: Buffer;
  comment?: Buffer;
  /** A 64-bit end record too; the other one then says "see there", or, as Info-ZIP's does for a stream, the same. */
  zip64?: 'needed' | 'redundant';
}

export function zip(members: readonly ZipMember[], options: ZipOptions = {}): Buffer {
  const prefix = options.prefix ?? Buffer.alloc(0);
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, content = '', isStored = false, isEncrypted = false } of members) {
    const raw = Buffer.from(content);
    const packed = isStored ? raw : deflateRawSync(raw);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(isEncrypted ? 1 : 0, 2);
    fields.writeUInt16LE(isStored ? 0 : 8, 4);
    fields.writeUInt32LE(crc32(raw), 10);
    fields.writeUInt32LE(packed.length, 14);
    fields.writeUInt32LE(raw.length, 18);
    fields.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), fields, Buffer.from(name), packed]);
    const entry = Buffer.alloc(14);
    entry.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00', 'latin1'), fields, entry, Buffer.from(name)]));
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

const MAIN_PARTS = {
  docx: ['word/document.xml', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml'],
  xlsx: ['xl/workbook.xml', 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml'],
  pptx: ['ppt/presentation.xml', 'application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml'],
  docm: ['word/document.xml', 'application/vnd.ms-word.document.macroEnabled.main+xml'],
  xlsm: ['xl/workbook.xml', 'application/vnd.ms-excel.sheet.macroEnabled.main+xml'],
  pptm: ['ppt/presentation.xml', 'application/vnd.ms-powerpoint.presentation.macroEnabled.main+xml'],
} as const;

export interface OfficeOptions {
  /** `[Content_Types].xml` behind the rest, and far from the beginning. */
  isLate?: boolean;
  members?: readonly ZipMember[];
}

export function office(kind: keyof typeof MAIN_PARTS, options: OfficeOptions = {}): Buffer {
  const [part, type] = MAIN_PARTS[kind];
  const types = `<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/${part}" ContentType="${type}"/></Types>`;
  const folder = part.slice(0, part.indexOf('/'));
  const contentTypes: ZipMember = { name: '[Content_Types].xml', content: types };
  const rest: ZipMember[] = [
    { name: '_rels/.rels', content: '<Relationships/>' },
    { name: part, content: '<document/>' },
    ...(options.isLate ? [{ name: `${folder}/media/image1.png`, content: Buffer.alloc(20_000, 7), isStored: true }] : []),
    ...(kind.endsWith('m') ? [{ name: `${folder}/vbaProject.bin`, content: Buffer.alloc(2000) }] : []),
    ...(options.members ?? []),
  ];
  return zip(options.isLate ? [...rest, contentTypes] : [contentTypes, ...rest]);
}

export interface OpenDocumentOptions {
  /** The type's member behind the rest, as some tools pack it again. */
  isLate?: boolean;
  hasMacros?: boolean;
  isEncrypted?: boolean;
}

export function openDocument(kind: 'text' | 'spreadsheet' | 'presentation', options: OpenDocumentOptions = {}): Buffer {
  const mimetype: ZipMember = { name: 'mimetype', content: `application/vnd.oasis.opendocument.${kind}`, isStored: true };
  const manifest = `<manifest:manifest>${options.isEncrypted ? '<manifest:encryption-data/>' : ''}</manifest:manifest>`;
  const rest: ZipMember[] = [
    { name: 'content.xml', content: '<office:document-content/>' },
    ...(options.hasMacros ? [{ name: 'Basic/Standard/Module1.xml', content: '<script:module/>' }] : []),
    { name: 'META-INF/manifest.xml', content: manifest },
  ];
  return zip(options.isLate ? [...rest, mimetype] : [mimetype, ...rest]);
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
