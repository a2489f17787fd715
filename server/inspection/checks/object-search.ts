/** Looks for programs and macros in the objects of a document: parts of a package, streams, OLE objects, and objects in these. */
import { setImmediate } from 'node:timers/promises';
import { BrokenContainer, type ByteRanges, rangesOf, readAt } from './byte-ranges.ts';
import { type CompoundFile, isCompoundFile, readCompoundFile } from './compound-file.ts';
import { Inflater, TooMuchInside } from './inflate.ts';
import { isProgram, isProgramName, readPackage } from './packaged-program.ts';
import { vbaCode } from './vba-project.ts';

/** So much of each piece tells whether it is a program or has objects of its own. */
export const BEGINNING_BYTES = 64;
/** A name, two paths and the first bytes of a packaged file. */
const PACKAGE_BYTES = 16 * 1024;
/** An object in an object in a document: nobody opens more by a click. */
const MAX_DEPTH = 3;
/** Reading what an entry of a compound file names takes about as long as unpacking so much. */
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
   * A part or an object of any kind. `isCut`: there is more of it than can be read.
   * @throws TooMuchInside when what would have to be read to tell is not there
   */
  async look(name: string, content: ByteRanges, options: { isCut?: boolean; depth?: number } = {}): Promise<'project' | undefined> {
    const { isCut = false, depth = 1 } = options;
    // Pieces from memory or a cache are read without letting the event loop go on.
    if (++this.#pieces % PIECES_BETWEEN_YIELDS === 0) await setImmediate();
    const beginning = await readAt(content, 0, BEGINNING_BYTES);
    if (isProgram(beginning)) this.program ??= name;
    if (!isCompoundFile(beginning) || depth > MAX_DEPTH) return undefined;
    try {
      return await this.lookInside(await readCompoundFile(content), depth);
    } catch (error) {
      if (!(error instanceof BrokenContainer) || error instanceof TooMuchInside) throw error;
      // What is broken by itself opens nowhere.
      if (isCut) throw new TooMuchInside('An object is too large to be looked into.');
      return undefined;
    }
  }

  /** Each stream of a compound file. `project`: there is a VBA project, with code or without. */
  async lookInside(compound: CompoundFile, depth: number): Promise<'project' | undefined> {
    this.inflater.spend(compound.entries.length * ENTRY_COST_BYTES);
    const code = await vbaCode(compound);
    this.hasMacros ||= code === 'some';
    for (const entry of compound.entries) {
      if (entry.isStorage) continue;
      const content = compound.stream(entry);
      if (entry.key === '\u0001OLE10NATIVE') await this.#lookIntoPackage(content, depth);
      else await this.look(entry.name, content, { depth: depth + 1 });
    }
    return code === undefined ? undefined : 'project';
  }

  async #lookIntoPackage(content: ByteRanges, depth: number): Promise<void> {
    // The size of what follows stands before it ([MS-OLEDS] 2.3.6).
    const bytes = await readAt(content, 4, 4 + PACKAGE_BYTES);
    await this.lookAtNative(bytes, content.signal, depth);
  }

  /** What an OLE object's server keeps: a packaged file, or anything else. */
  async lookAtNative(bytes: Buffer, signal: AbortSignal, depth = 1, isCut = false): Promise<void> {
    const packaged = readPackage(bytes);
    if (packaged === undefined) {
      await this.look('an embedded object', rangesOf(bytes, signal), { depth: depth + 1, isCut });
      return;
    }
    this.program ??= packaged.names.find(isProgramName);
    if (isProgram(packaged.beginning)) this.program ??= packaged.names[0];
  }
}
