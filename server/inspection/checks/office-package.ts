/** ZIP archives that are documents: Office Open XML, OpenDocument, books, and similar ones. */
import { AmbiguousContainer, BrokenContainer, type ByteRanges, rangesOf, rangesWithin } from './byte-ranges.ts';
import { isCompoundFile } from './compound-file.ts';
import type { Contents, Findings } from './contents.ts';
import { TooMuchInside } from './inflate.ts';
import { BEGINNING_BYTES, ObjectSearch } from './object-search.ts';
import { baseName, isProgramName } from './packaged-program.ts';
import { decodeXml, isPlainXml, resolveReferences, textContent } from './xml-text.ts';
import { packedContent, readZipDirectory, type ZipEntry } from './zip-directory.ts';

const OOXML = 'application/vnd.openxmlformats-officedocument.';
const WORD = /^word\//;
const EXCEL = /^xl\//;
const POWERPOINT = /^ppt\//;

/** Office Open XML: type → folder of its main part. */
const OOXML_FOLDERS: readonly (readonly [type: string, folder: RegExp])[] = [
  [`${OOXML}wordprocessingml.document`, WORD],
  [`${OOXML}wordprocessingml.template`, WORD],
  ['application/vnd.ms-word.document.macroenabled.12', WORD],
  ['application/vnd.ms-word.template.macroenabled.12', WORD],
  [`${OOXML}spreadsheetml.sheet`, EXCEL],
  [`${OOXML}spreadsheetml.template`, EXCEL],
  ['application/vnd.ms-excel.sheet.macroenabled.12', EXCEL],
  ['application/vnd.ms-excel.template.macroenabled.12', EXCEL],
  ['application/vnd.ms-excel.sheet.binary.macroenabled.12', EXCEL],
  [`${OOXML}presentationml.presentation`, POWERPOINT],
  [`${OOXML}presentationml.slideshow`, POWERPOINT],
  [`${OOXML}presentationml.template`, POWERPOINT],
  ['application/vnd.ms-powerpoint.presentation.macroenabled.12', POWERPOINT],
  ['application/vnd.ms-powerpoint.slideshow.macroenabled.12', POWERPOINT],
  ['application/vnd.ms-powerpoint.template.macroenabled.12', POWERPOINT],
];

/** The encrypted form of each is a compound file, which does not show the type. */
export const PACKAGE_TYPES: readonly string[] = OOXML_FOLDERS.map(([type]) => type);

const LIST_OF_PARTS = '[content_types].xml';
const MANIFEST = 'meta-inf/manifest.xml';
const OPEN_DOCUMENT = ['text', 'spreadsheet', 'presentation', 'graphics'].flatMap((kind) => [kind, `${kind}-template`]);

/** Type → names that the archive must contain. */
const KINDS: readonly (readonly [type: string, marks: readonly RegExp[]])[] = [
  ...OOXML_FOLDERS.map(([type, folder]) => [type, [/^\[content_types\]\.xml$/, folder]] as const),
  ...OPEN_DOCUMENT.map((kind) => [`application/vnd.oasis.opendocument.${kind}`, [/^content\.xml$/, /^mimetype$/]] as const),
  ['application/epub+zip', [/^meta-inf\/container\.xml$/]],
  ['application/vnd.apple.pages', [/^index(?:\.xml|\.zip|\/document\.iwa)$/]],
  ['application/vnd.apple.numbers', [/^index(?:\.xml|\.zip|\/document\.iwa)$/]],
  ['application/vnd.apple.keynote', [/^index(?:\.xml|\.apxl|\.zip|\/document\.iwa)$/]],
  ['application/java-archive', [/^meta-inf\/manifest\.mf$/]],
  ['application/vnd.android.package-archive', [/^androidmanifest\.xml$/]],
];
/** Each pattern once, because each is tested against every part. */
const MARKS = [...new Map(KINDS.flatMap(([, marks]) => marks).map((mark) => [mark.source, mark])).values()];

const MAX_PARTS = 100_000;
/** For lists of parts and Basic modules: a few KiB in real documents. Larger ones are not read, and count as macros. */
const MAX_TEXT_BYTES = 4 * 1024 * 1024;

/** @throws BrokenContainer */
export async function readOfficePackage(file: ByteRanges): Promise<Contents> {
  const directory = await readZipDirectory(file);
  const parts: Part[] = [];
  const seen = new Set<string>();
  for await (const entries of directory.entries()) {
    for (const entry of entries) {
      const part = { entry, name: entry.name.replaceAll('\\', '/').toLowerCase() };
      for (const mark of MARKS) if (mark.test(part.name)) seen.add(mark.source);
      parts.push(part);
      if (parts.length > MAX_PARTS) throw new TooMuchInside('No document has so many parts.');
    }
  }
  const types = KINDS.filter(([, marks]) => marks.every((mark) => seen.has(mark.source))).map(([type]) => type);
  return { types: new Set(types), search: ({ inside }) => new PackageSearch(file, parts).run(inside) };
}

interface Part {
  readonly entry: ZipEntry;
  /** In lower case, with `/` between folders. */
  readonly name: string;
}

class PackageSearch {
  readonly #file: ByteRanges;
  readonly #parts: readonly Part[];
  readonly #objects: ObjectSearch;

  constructor(file: ByteRanges, parts: readonly Part[]) {
    this.#file = file;
    this.#parts = parts;
    this.#objects = new ObjectSearch(file.length);
  }

  async run(inside: boolean): Promise<Findings> {
    const objects = this.#objects;
    const manifest = await this.#textOf(this.#single(MANIFEST));
    const isEncrypted = this.#parts.some(({ entry }) => entry.isEncrypted) || manifest?.includes('encryption-data') === true;
    if (inside) {
      objects.program ??= this.#parts
        .flatMap(({ entry }) => [entry.name, entry.otherName ?? ''])
        .map(baseName)
        .find(isProgramName);
      const hasProject = await this.#searchParts();
      await this.#searchPartList(hasProject);
      await this.#searchBasic();
    }
    return { isEncrypted, hasMacros: objects.hasMacros, program: objects.program };
  }

  /** Searches the beginning of every part, and all of each OLE object. True when there is a VBA project. */
  async #searchParts(): Promise<boolean> {
    let hasProject = false;
    // In the order of their positions: the cache then has most of them already.
    for (const { entry, name } of this.#parts.toSorted((one, other) => one.entry.position - other.entry.position)) {
      const isProject = (await this.#searchPart(entry)) === 'project';
      hasProject ||= isProject;
      // Named like a project but not readable as one: another reader may read it.
      if (!isProject && /(?:^|\/)vbaproject\.bin$/.test(name)) this.#objects.hasMacros = true;
    }
    return hasProject;
  }

  async #searchPart(entry: ZipEntry): Promise<'project' | undefined> {
    const packed = await this.#packed(entry);
    if (packed === undefined) return undefined;
    const name = baseName(entry.name);
    if (entry.method === 0) return this.#objects.search(name, packed);
    const beginning = await this.#objects.inflater.beginning(packed, BEGINNING_BYTES);
    if (!isCompoundFile(beginning)) return this.#objects.search(name, rangesOf(beginning, this.#file.signal));
    const { bytes, isCut } = await this.#objects.inflater.object(packed, 'raw');
    return this.#objects.search(name, rangesOf(bytes, this.#file.signal), { isCut });
  }

  /** Office Open XML: one list tells the kind of each part, whatever its name is. */
  async #searchPartList(hasProject: boolean): Promise<void> {
    const part = this.#single(LIST_OF_PARTS);
    if (part === undefined || part.entry.isEncrypted) return;
    const text = await this.#textOf(part);
    if (text !== undefined && !isPlainXml(text)) throw new AmbiguousContainer('The list of parts is not in a form that all readers know.');
    const list = text === undefined ? '' : resolveReferences(text);
    const isMacro = text === undefined || /(?<!binary\.)macroenabled|macrosheet/i.test(list) || (!hasProject && /vbaproject/i.test(list));
    if (isMacro) this.#objects.hasMacros = true;
  }

  /** OpenDocument (part 2, 3.1): Basic modules are in libraries in `Basic/`, scripts in other languages in `Scripts/`. */
  async #searchBasic(): Promise<void> {
    if (this.#objects.hasMacros || !this.#parts.some(({ name }) => name === 'mimetype')) return;
    for (const part of this.#parts) {
      if (/(?:^|\/)scripts\/.*[^/]$/.test(part.name)) this.#objects.hasMacros = true;
      // The lists of a library's modules and dialogs contain no code.
      if (!/(?:^|\/)basic\/[^/]+\/[^/]+$/.test(part.name) || /\/(?:script|dialog)-lb\.xml$/.test(part.name)) continue;
      const text = await this.#textOf(part);
      if (text === undefined || hasBasic(text)) this.#objects.hasMacros = true;
      if (this.#objects.hasMacros) return;
    }
  }

  /** The only part of this name. Another reader might take the second one. */
  #single(name: string): Part | undefined {
    const [part, second] = this.#parts.filter((candidate) => candidate.name === name);
    if (second !== undefined) throw new BrokenContainer('A list exists twice.');
    return part;
  }

  async #packed(entry: ZipEntry): Promise<ByteRanges | undefined> {
    if (entry.isEncrypted || (entry.method !== 0 && entry.method !== 8)) return undefined;
    const packed = await packedContent(this.#file, entry);
    return packed === undefined ? undefined : rangesWithin(this.#file, packed.start, packed.length);
  }

  /** Undefined when the part is missing or cannot be read. */
  async #textOf(part: Part | undefined): Promise<string | undefined> {
    const packed = part === undefined ? undefined : await this.#packed(part.entry);
    if (part === undefined || packed === undefined || packed.length > MAX_TEXT_BYTES) return undefined;
    if (part.entry.method === 0) return decodeXml(Buffer.from(await packed.read(0, packed.length)));
    const { bytes, isCut } = await this.#objects.inflater.object(packed, 'raw', MAX_TEXT_BYTES);
    return isCut ? undefined : decodeXml(bytes);
  }
}

/** True for anything but comments, options and the empty `Sub Main` of a new module. */
function hasBasic(module: string): boolean {
  // LibreOffice declares no entities, which could contain lines.
  if (/<!ENTITY/.test(module)) return true;
  const lines = textContent(module).split(/\r\n?|\n/);
  return lines.some((line) => !/^ ?(?:rem(?: |$)|'|option |sub main ?(?:\(\))? ?$|end sub ?$|$)/i.test(line.replace(/\s+/g, ' ')));
}
