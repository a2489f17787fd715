/** Whether a VBA project contains code ([MS-OVBA]): Office itself writes projects with empty modules, which are no macros. */
import { setImmediate } from 'node:timers/promises';
import { BrokenContainer, readAt } from './byte-ranges.ts';
import type { CompoundEntry, CompoundFile } from './compound-file.ts';

/** Limit for one stream. A module of 64 KiB lines, the most that is possible, has a few MiB. */
const MAX_STREAM_BYTES = 4 * 1024 * 1024;
/** Limit for all modules without code: each has some lines of attributes. */
const MAX_EMPTY_BYTES = 4 * 1024 * 1024;
const MAX_MODULES = 4096;

type Streams = ReadonlyMap<string, CompoundEntry>;

/** Undefined without a project. A project that cannot be read, or is too large to be empty, counts as one with code. */
export async function vbaCode(compound: CompoundFile): Promise<'none' | 'some' | undefined> {
  const storages = new Map<CompoundEntry | undefined, Map<string, CompoundEntry>>();
  const projects = new Set<CompoundEntry | undefined>();
  for (const entry of compound.entries) {
    const { key, isStorage, parent } = entry;
    // Excel 5 and 95 have a storage of that name only if there are modules.
    if (key === '_VBA_PROJECT' && isStorage) return 'some';
    if (key === '_VBA_PROJECT' || (key === 'DIR' && parent?.key === 'VBA')) projects.add(parent);
    const streams = storages.get(parent) ?? new Map<string, CompoundEntry>();
    storages.set(parent, streams);
    if (!isStorage) streams.set(key, entry);
  }
  const unpacker = new Unpacker();
  for (const storage of projects) {
    await setImmediate();
    if (await hasCode(compound, storages.get(storage) ?? new Map(), unpacker)) return 'some';
  }
  return projects.size === 0 ? undefined : 'none';
}

async function hasCode(compound: CompoundFile, streams: Streams, unpacker: Unpacker): Promise<boolean> {
  try {
    const directory = streams.get('DIR');
    if (directory === undefined) return true;
    for (const { name, offset } of modulesOf(unpacker.unpack(await readStream(compound, directory)))) {
      const stream = streams.get(name.toUpperCase());
      if (stream === undefined) return true;
      const bytes = await readStream(compound, stream);
      const source = unpacker.unpack(bytes.subarray(offset)).toString('latin1');
      if (hasCompiledLines(bytes.subarray(0, offset)) || hasSourceLines(source)) return true;
    }
    return false;
  } catch (error) {
    if (error instanceof BrokenContainer) return true;
    throw error;
  }
}

async function readStream(compound: CompoundFile, entry: CompoundEntry): Promise<Buffer> {
  if (entry.size > MAX_STREAM_BYTES) throw new BrokenContainer('A module is too large.');
  return readAt(compound.stream(entry), 0, entry.size);
}

interface Module {
  name: string;
  /** Position of its compressed source in its stream; Office's compiled form comes before it. */
  offset: number;
}

/** [MS-OVBA] 2.3.4.2: records of an id, a size and a content. PROJECTVERSION is two bytes longer than its size. */
function modulesOf(directory: Buffer): Module[] {
  const modules: Module[] = [];
  let name = '';
  for (let at = 0; at + 6 <= directory.length; ) {
    const id = directory.readUInt16LE(at);
    const size = directory.readUInt32LE(at + 2) + (id === 0x0009 ? 2 : 0);
    const content = directory.subarray(at + 6, at + 6 + size);
    if (content.length < size) throw new BrokenContainer('A record is cut off.');
    // MODULESTREAMNAME: in the project's code page, then in UTF-16.
    if (id === 0x001a) name = content.toString('latin1');
    if (id === 0x0032) name = content.toString('utf16le');
    if (id === 0x0031 && size >= 4) modules.push({ name, offset: content.readUInt32LE(0) });
    if (modules.length > MAX_MODULES) throw new BrokenContainer('The project has too many modules.');
    at += 6 + size;
  }
  return modules;
}

/** True for anything but attributes, options, comments and empty lines. */
function hasSourceLines(source: string): boolean {
  return source.split(/\r\n?|\n/).some((line) => line.trim() !== '' && !/^\s*(?:attribute\s|option\s|'|rem(?:\s|$))/i.test(line));
}

/** The table of compiled lines. Office of the same version runs these, even if the source was removed. */
function hasCompiledLines(cache: Buffer): boolean {
  return (
    countsBehind(cache, Buffer.from('feca0100', 'hex')).some((count) => count !== 0) ||
    countsBehind(cache, Buffer.from('cafe0001', 'hex')).some((count) => count !== 0)
  );
}

/** The two bytes after each occurrence of the mark: the number of lines, in the byte order of the mark. */
function countsBehind(cache: Buffer, mark: Buffer): number[] {
  const counts: number[] = [];
  for (let at = cache.indexOf(mark); at !== -1 && at + 6 <= cache.length; at = cache.indexOf(mark, at + 1))
    counts.push(cache.readUInt16LE(at + 4));
  return counts;
}

const CHUNK_BYTES = 4096;

/** [MS-OVBA] 2.4.1, with one limit for everything packed in a file: a crafted project may name one stream thousands of times. */
class Unpacker {
  #left = MAX_EMPTY_BYTES;

  /** @throws BrokenContainer */
  unpack(container: Buffer): Buffer {
    if (container[0] !== 1) throw new BrokenContainer('The stream is not compressed VBA.');
    // Packed bytes count, too: in a crafted project they may unpack to nothing.
    this.#left -= container.length;
    const chunks: Buffer[] = [];
    for (let at = 1; at + 2 <= container.length; ) {
      const header = container.readUInt16LE(at);
      if ((header & 0x7000) !== 0x3000) break;
      const end = at + (header & 0x0fff) + 3;
      const isPacked = (header & 0x8000) !== 0;
      const chunk = isPacked ? decompressChunk(container.subarray(at + 2, end)) : container.subarray(at + 2, at + 2 + CHUNK_BYTES);
      this.#left -= chunk.length;
      if (this.#left < 0) throw new BrokenContainer('The project is too large to be without code.');
      chunks.push(chunk);
      at = end;
    }
    return Buffer.concat(chunks);
  }
}

function decompressChunk(packed: Buffer): Buffer {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  let length = 0;
  for (let at = 0; at < packed.length; ) {
    const flags = packed[at++] ?? 0;
    for (let bit = 0; bit < 8 && at < packed.length && length < CHUNK_BYTES; bit++) {
      if ((flags & (1 << bit)) === 0) {
        chunk[length++] = packed[at++] ?? 0;
        continue;
      }
      if (at + 2 > packed.length) return chunk.subarray(0, length);
      const token = packed.readUInt16LE(at);
      at += 2;
      // Further on, more bits are for the distance, and fewer for the length.
      const offsetBits = Math.max(4, 32 - Math.clz32(length - 1));
      const count = (token & (0xffff >> offsetBits)) + 3;
      const back = (token >> (16 - offsetBits)) + 1;
      if (back > length) throw new BrokenContainer('A token copies from before the start.');
      for (let copied = 0; copied < count && length < CHUNK_BYTES; copied++, length++) chunk[length] = chunk[length - back] ?? 0;
    }
  }
  return chunk.subarray(0, length);
}
