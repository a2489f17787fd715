/** What a container holds, by its directory: the kinds of Office and OpenDocument files, their macros and passwords. */
import { type CompoundEntry, readCompoundFile } from './compound-file.ts';
import { BrokenContainer, type ByteRanges, readBeginning, type ZipEntry, zipEntries } from './zip-directory.ts';

/** What a directory told. */
export interface Contents {
  /** Media types that the content can pass for. */
  readonly types: ReadonlySet<string>;
  readonly hasMacros: boolean;
  readonly isEncrypted: boolean;
  /** The name of a program inside, where a document holds one. */
  readonly program?: string;
}

const OOXML = 'application/vnd.openxmlformats-officedocument.';
const WORD = `${OOXML}wordprocessingml.document`;
const EXCEL = `${OOXML}spreadsheetml.sheet`;
const POWERPOINT = `${OOXML}presentationml.presentation`;

/** Type → what must be in the archive. */
const KINDS: readonly (readonly [type: string, marks: readonly RegExp[]])[] = [
  [WORD, [/^\[content_types\]\.xml$/, /^word\//]],
  [EXCEL, [/^\[content_types\]\.xml$/, /^xl\//]],
  [POWERPOINT, [/^\[content_types\]\.xml$/, /^ppt\//]],
  ['application/vnd.ms-word.document.macroenabled.12', [/^\[content_types\]\.xml$/, /^word\//]],
  ['application/vnd.ms-excel.sheet.macroenabled.12', [/^\[content_types\]\.xml$/, /^xl\//]],
  ['application/vnd.ms-powerpoint.presentation.macroenabled.12', [/^\[content_types\]\.xml$/, /^ppt\//]],
  ['application/epub+zip', [/^meta-inf\/container\.xml$/]],
  ['application/vnd.apple.pages', [/^index(?:\.xml|\.zip|\/document\.iwa)$/]],
  ['application/vnd.apple.numbers', [/^index(?:\.xml|\.zip|\/document\.iwa)$/]],
  ['application/vnd.apple.keynote', [/^index(?:\.xml|\.apxl|\.zip|\/document\.iwa)$/]],
  ['application/java-archive', [/^meta-inf\/manifest\.mf$/]],
  ['application/vnd.android.package-archive', [/^androidmanifest\.xml$/]],
  ['application/vnd.oasis.opendocument.text', [/^content\.xml$/, /^mimetype$/]],
  ['application/vnd.oasis.opendocument.spreadsheet', [/^content\.xml$/, /^mimetype$/]],
  ['application/vnd.oasis.opendocument.presentation', [/^content\.xml$/, /^mimetype$/]],
  ['application/vnd.oasis.opendocument.graphics', [/^content\.xml$/, /^mimetype$/]],
];

const PROGRAM = /\.(?:exe|dll|scr|com|pif|bat|cmd|ps1|vbs|vbe|js|jse|wsf|hta|msi|jar|lnk|cpl|sh|php|elf)$/i;
/** An embedded object of any kind keeps the name of the file it was, ended by a NUL. */
const EMBEDDED_PROGRAM = /\.(?:exe|dll|scr|com|pif|bat|cmd|ps1|vbs|vbe|js|jse|wsf|hta|msi|jar|lnk|cpl)\0/i;
/** Parts that tell what else there is: in real documents a few KiB. More than this cannot be told, and counts as macros. */
const MAX_PART_BYTES = 256 * 1024;
const MAX_PART_TEXT_BYTES = 4 * 1024 * 1024;
/** The names stand near the beginning. Inflated, at most 4 MiB. */
const EMBEDDED_BYTES = 4096;
const EMBEDDED_TEXT_BYTES = 4 * 1024 * 1024 + 1024 * 1024;
const EMBEDDED_SEARCHED_BYTES = 256 * 1024;
const MAX_EMBEDDED = 64;
const MAX_PARTS = 100_000;

const ZIP_STARTS = ['PK\x03\x04', 'PK\x05\x06', 'PK\x07\x08'];

export function startsLikeCompoundFile(head: Uint8Array): boolean {
  return startOf(head) === '\xd0\xcf\x11\xe0';
}

function startOf(head: Uint8Array): string {
  return String.fromCharCode(...head.subarray(0, 4));
}

/** What the directory tells of that which starts like a container; undefined for all else. @throws BrokenContainer */
export async function readContents(file: ByteRanges & { readonly head: Uint8Array }): Promise<Contents | undefined> {
  if (ZIP_STARTS.includes(startOf(file.head))) return readOfficeZip(file);
  return startsLikeCompoundFile(file.head) ? readOldOffice(file) : undefined;
}

async function readOfficeZip(file: ByteRanges): Promise<Contents> {
  const seen = new Set<RegExp>();
  const parts: ZipEntry[] = [];
  const embedded: ZipEntry[] = [];
  let program: string | undefined;
  let hasMacros = false;
  let isEncrypted = false;
  let count = 0;
  for await (const entry of zipEntries(file)) {
    if (++count > MAX_PARTS) throw new BrokenContainer('No document has so many parts.');
    const name = entry.name.toLowerCase();
    for (const [, marks] of KINDS) for (const mark of marks) if (mark.test(name)) seen.add(mark);
    isEncrypted ||= entry.isEncrypted;
    // Basic and scripts of OpenDocument, in their folders.
    hasMacros ||= /(?:^|\/)vbaproject\.bin$|^(?:basic|scripts)\/./.test(name);
    if (PROGRAM.test(name)) program ??= baseName(entry.name);
    if (name === '[content_types].xml' || name === 'meta-inf/manifest.xml') parts.push(entry);
    else if (/\/embeddings\//.test(name) && embedded.length < MAX_EMBEDDED) embedded.push(entry);
  }
  // A second list would be for other readers than us.
  if (parts.length > 2) throw new BrokenContainer('The list of parts stands twice.');
  for (const part of parts) {
    const text = await readXml(file, part);
    hasMacros ||= text === undefined || /vbaproject|macroenabled|macrosheet/i.test(text);
    isEncrypted ||= text?.includes('encryption-data') === true;
  }
  for (const entry of embedded) program ??= await embeddedProgram(file, entry);
  const types = KINDS.filter(([, marks]) => marks.every((mark) => seen.has(mark))).map(([type]) => type);
  return { types: new Set(types), hasMacros, isEncrypted, ...(program === undefined ? {} : { program }) };
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

async function readXml(file: ByteRanges, part: ZipEntry): Promise<string | undefined> {
  if (part.compressedSize > MAX_PART_BYTES) return undefined;
  const bytes = await readBeginning(file, part, MAX_PART_BYTES, MAX_PART_TEXT_BYTES);
  if (bytes === undefined) return part.isEncrypted ? '' : undefined;
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return bytes.toString('utf16le');
  if (bytes[0] === 0xfe && bytes[1] === 0xff)
    return bytes
      .subarray(0, bytes.length & ~1)
      .swap16()
      .toString('utf16le');
  return bytes.toString('latin1');
}

async function embeddedProgram(file: ByteRanges, entry: ZipEntry): Promise<string | undefined> {
  const bytes = await readBeginning(file, entry, EMBEDDED_BYTES, EMBEDDED_TEXT_BYTES);
  if (bytes === undefined) return undefined;
  const text = bytes.toString('latin1', 0, EMBEDDED_SEARCHED_BYTES);
  if (text.startsWith('MZ') || text.startsWith('\x7fELF')) return baseName(entry.name);
  const match = EMBEDDED_PROGRAM.exec(text);
  if (match === null) return undefined;
  const stem = /[\w .()-]*$/.exec(text.slice(Math.max(0, match.index - 100), match.index))?.[0] ?? '';
  return stem + match[0].slice(0, -1);
}

/** {000C1084-0000-0000-C000-000000000046} */
const INSTALLER_CLASS = '84100c0000000000c000000000000046';

async function readOldOffice(file: ByteRanges): Promise<Contents> {
  const compound = await readCompoundFile(file);
  const top = new Map(compound.entries.filter(({ isTop }) => isTop).map((entry) => [entry.name, entry]));
  const types = new Set<string>();
  let isEncrypted = top.has('EncryptedPackage');
  if (isEncrypted) for (const [type] of KINDS) if (/openxmlformats|macroenabled/.test(type)) types.add(type);

  const word = top.get('WordDocument');
  if (word !== undefined) {
    types.add('application/msword');
    isEncrypted ||= isEncryptedWord(await compound.readBeginning(word, 12));
  }
  const workbook: CompoundEntry | undefined = top.get('Workbook') ?? top.get('Book');
  if (workbook !== undefined) {
    types.add('application/vnd.ms-excel');
    isEncrypted ||= isEncryptedExcel(await compound.readBeginning(workbook, 512));
  }
  if (top.has('PowerPoint Document')) {
    types.add('application/vnd.ms-powerpoint');
    isEncrypted ||= top.has('EncryptedSummary');
  }
  if (top.has('__properties_version1.0')) types.add('application/vnd.ms-outlook');
  if (compound.classId === INSTALLER_CLASS) types.add('application/x-msi');
  const hasMacros = compound.entries.some(({ name }) => name === '_VBA_PROJECT' || name === '_VBA_PROJECT_CUR');
  return { types, hasMacros, isEncrypted };
}

/** [MS-DOC] FibBase: bit 8 of the flags at 10. */
function isEncryptedWord(fib: Buffer): boolean {
  return fib.length >= 12 && (fib.readUInt16LE(10) & 0x0100) !== 0;
}

/** [MS-XLS]: a FilePass record among the first, behind the beginning of the file. */
function isEncryptedExcel(records: Buffer): boolean {
  for (let at = 0; at + 4 <= records.length; at += 4 + records.readUInt16LE(at + 2)) {
    if (records.readUInt16LE(at) === 0x002f) return true;
  }
  return false;
}
