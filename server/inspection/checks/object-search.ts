/** Searches the objects of a document for programs and macros: parts of a package, streams, OLE objects, and objects inside those. */
import { setImmediate } from 'node:timers/promises';
import { AmbiguousContainer, BrokenContainer, type ByteRanges, rangesOf, readAt } from './byte-ranges.ts';
import { type CompoundFile, isCompoundFile, readCompoundFile } from './compound-file.ts';
import { Inflater, TooMuchInside } from './inflate.ts';
import { isProgram, isProgramName, readPackage } from './packaged-program.ts';
import { vbaCode } from './vba-project.ts';

/** Enough bytes to recognize a program, or a piece with objects of its own. */
export const BEGINNING_BYTES = 64;
/** A name, two paths and the first bytes of a packaged file. */
const PACKAGE_BYTES = 16 * 1024;
/** An object in an object in a document: no program opens deeper ones on a click. */
const MAX_DEPTH = 3;
/** Reading an entry of a compound file takes about as long as unpacking this many bytes. */
const ENTRY_COST_BYTES = 2048;
const PIECES_BETWEEN_YIELDS = 16;

export class ObjectSearch {
  hasMacros = false;
  /** The name of the first program found. */
  program: string | undefined;
  readonly inflater: Inflater;
  #pieces = 0;

  constructor(documentBytes: number) {
    this.inflater = new Inflater(documentBytes);
  }

  /**
   * Searches a part or an object of any kind. `isCut`: only its beginning could be read.
   * @throws TooMuchInside when the part of it that would decide could not be read
   */
  async search(name: string, content: ByteRanges, options: { isCut?: boolean; depth?: number } = {}): Promise<'project' | undefined> {
    const { isCut = false, depth = 1 } = options;
    // Reads from memory or a cache do not let the event loop run.
    if (++this.#pieces % PIECES_BETWEEN_YIELDS === 0) await setImmediate();
    const beginning = await readAt(content, 0, BEGINNING_BYTES);
    if (isProgram(beginning)) this.program ??= name;
    if (!isCompoundFile(beginning) || depth > MAX_DEPTH) return undefined;
    try {
      return await this.searchCompound(await readCompoundFile(content), depth);
    } catch (error) {
      if (!(error instanceof BrokenContainer) || error instanceof TooMuchInside || error instanceof AmbiguousContainer) throw error;
      // No program opens a broken object.
      if (isCut) throw new TooMuchInside('An object is too large to be inspected.');
      return undefined;
    }
  }

  /** Searches each stream of a compound file. `project`: it has a VBA project, with or without code. */
  async searchCompound(compound: CompoundFile, depth: number): Promise<'project' | undefined> {
    this.inflater.spend(compound.entries.length * ENTRY_COST_BYTES);
    const code = await vbaCode(compound);
    this.hasMacros ||= code === 'some';
    for (const entry of compound.entries) {
      if (entry.isStorage) continue;
      const content = compound.stream(entry);
      if (entry.key === '\u0001OLE10NATIVE') await this.#searchPackage(content, depth);
      else await this.search(entry.name, content, { depth: depth + 1 });
    }
    return code === undefined ? undefined : 'project';
  }

  async #searchPackage(content: ByteRanges, depth: number): Promise<void> {
    // The first four bytes are the size of the rest ([MS-OLEDS] 2.3.6).
    const bytes = await readAt(content, 4, 4 + PACKAGE_BYTES);
    await this.searchNative(bytes, content.signal, depth);
  }

  /** Searches the native data of an OLE object: a packaged file, or anything else. */
  async searchNative(bytes: Buffer, signal: AbortSignal, depth = 1, isCut = false): Promise<void> {
    const packaged = readPackage(bytes);
    if (packaged === undefined) {
      await this.search('an embedded object', rangesOf(bytes, signal), { depth: depth + 1, isCut });
      return;
    }
    this.program ??= packaged.names.find(isProgramName);
    if (isProgram(packaged.beginning)) this.program ??= packaged.names[0];
  }
}
