/** Compound files: Word, Excel and PowerPoint up to 2003, Outlook messages, installers, and Office files with a password. */
import { type ByteRanges, rangesOf, rangesWithin, readAt } from './byte-ranges.ts';
import { type CompoundFile, readCompoundFile } from './compound-file.ts';
import type { Contents, Findings } from './contents.ts';
import { readWorkbookGlobals } from './excel-records.ts';
import { ObjectSearch } from './object-search.ts';
import { PACKAGE_TYPES } from './office-package.ts';
import { powerPointObjects } from './powerpoint-objects.ts';

/** {000C1084-0000-0000-C000-000000000046} */
const INSTALLER_CLASS = '84100c0000000000c000000000000046';

/** @throws BrokenContainer */
export async function readOldOffice(file: ByteRanges): Promise<Contents> {
  const compound = await readCompoundFile(file);
  const { top } = compound;
  const types = new Set<string>();
  if (top.has('ENCRYPTEDPACKAGE')) for (const type of PACKAGE_TYPES) types.add(type);
  if (top.has('WORDDOCUMENT')) types.add('application/msword');
  if (top.has('WORKBOOK') || top.has('BOOK')) types.add('application/vnd.ms-excel');
  if (top.has('POWERPOINT DOCUMENT')) types.add('application/vnd.ms-powerpoint');
  if (top.has('__PROPERTIES_VERSION1.0')) types.add('application/vnd.ms-outlook');
  if (compound.classId === INSTALLER_CLASS) types.add('application/x-msi');
  return { types, search: (options) => search(file, compound, options) };
}

async function search(file: ByteRanges, compound: CompoundFile, { inside }: { inside: boolean }): Promise<Findings> {
  const streamOf = (name: string): ByteRanges | undefined => {
    const entry = compound.top.get(name);
    return entry === undefined || entry.isStorage ? undefined : compound.stream(entry);
  };
  const objects = new ObjectSearch(file.length);
  let isEncrypted = compound.top.has('ENCRYPTEDPACKAGE');

  const word = streamOf('WORDDOCUMENT');
  // [MS-DOC] FibBase: bit 8 of the flags at 10.
  const fib = word === undefined ? Buffer.alloc(0) : await readAt(word, 0, 12);
  isEncrypted ||= fib.length === 12 && (fib.readUInt16LE(10) & 0x0100) !== 0;

  for (const workbook of [streamOf('WORKBOOK'), streamOf('BOOK')]) {
    if (workbook === undefined) continue;
    const globals = await readWorkbookGlobals(workbook);
    isEncrypted ||= globals.isEncrypted;
    objects.hasMacros ||= globals.hasMacroSheets;
  }

  const slides = streamOf('POWERPOINT DOCUMENT');
  if (slides !== undefined) isEncrypted ||= compound.top.has('ENCRYPTEDSUMMARY');
  if (slides !== undefined && inside) {
    for (const { start, length, isCompressed } of await powerPointObjects(slides, streamOf('CURRENT USER'))) {
      const stored = rangesWithin(slides, start, length);
      if (!isCompressed) await objects.search('an embedded object', stored);
      else {
        const { bytes, isCut } = await objects.inflater.object(stored, 'zlib');
        await objects.search('an embedded object', rangesOf(bytes, file.signal), { isCut });
      }
    }
  }
  if (inside) await objects.searchCompound(compound, 1);
  return { isEncrypted, hasMacros: objects.hasMacros, program: objects.program };
}
