/** Whether a VBA project holds code ([MS-OVBA]): a project of empty modules, as Office makes by itself, is no macro. */
import { setImmediate } from 'node:timers/promises';
import { BrokenContainer, readAt } from './byte-ranges.ts';
import type { CompoundEntry, CompoundFile } from './compound-file.ts';

/** Of one stream. A module of 64 KiB of lines, the most there may be, has some MiB. */
const MAX_STREAM_BYTES = 4 * 1024 * 1024;
/** Of all modules that hold no code: each has some lines of attributes. */
const MAX_EMPTY_BYTES = 4 * 1024 * 1024;
const MAX_MODULES = 4096;

type Streams = ReadonlyMap<string, CompoundEntry>;

/** Undefined where there is no project at all. One that cannot be read, or is too large to hold nothing, counts as one with code. */
export async function vbaCode(compound: CompoundFile): Promise<'none' | 'some' | undefined> {
  const storages = new Map<CompoundEntry | undefined, Map<string, CompoundEntry>>();
  const projects = new Set<CompoundEntry | undefined>();
  for (const entry of compound.entries) {
    const { key, isStorage, parent } = entry;
    // Excel 5 and 95 have a storage of that name, and only where there are modules.
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
  if (entry.size > MAX_STREAM_BYTES) throw new BrokenContainer('No module is so large.');
  return readAt(compound.stream(entry), 0, entry.size);
}

interface Module {
  name: string;
  /** Of its compressed source in its stream; what Office compiled of it stands before. */
  offset: number;
}

/** [MS-OVBA] 2.3.4.2: records of an id, a size and so many bytes, but PROJECTVERSION, which is two bytes longer than it says. */
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
    if (modules.length > MAX_MODULES) throw new BrokenContainer('No project has so many modules.');
    at += 6 + size;
  }
  return modules;
}

/** Anything but attributes, options, comments and empty lines. */
function hasSourceLines(source: string): boolean {
  return source.split(/\r\n?|\n/).some((line) => line.trim() !== '' && !/^\s*(?:attribute\s|option\s|'|rem(?:\s|$))/i.test(line));
}

/** The table of compiled lines. Office runs these where they are of its own version, also where the source was taken out. */
function hasCompiledLines(cache: Buffer): boolean {
  return (
    countsBehind(cache, Buffer.from('feca0100', 'hex')).some((count) => count !== 0) ||
    countsBehind(cache, Buffer.from('cafe0001', 'hex')).some((count) => count !== 0)
  );
}

/** The two bytes behind each place where these stand: the number of lines, in the order of bytes that the mark tells. */
function countsBehind(cache: Buffer, mark: Buffer): number[] {
  const counts: number[] = [];
  for (let at = cache.indexOf(mark); at !== -1 && at + 6 <= cache.length; at = cache.indexOf(mark, at + 1))
    counts.push(cache.readUInt16LE(at + 4));
  return counts;
}

const CHUNK_BYTES = 4096;

/** [MS-OVBA] 2.4.1, for all that is packed in a file together: a crafted project may name one stream thousands of times. */
class Unpacker {
  #left = MAX_EMPTY_BYTES;

  /** @throws BrokenContainer */
  unpack(container: Buffer): Buffer {
    if (container[0] !== 1) throw new BrokenContainer('It is not compressed as VBA is.');
    // Packed bytes count as well: those of a crafted one may make nothing.
    this.#left -= container.length;
    const chunks: Buffer[] = [];
    for (let at = 1; at + 2 <= container.length; ) {
      const header = container.readUInt16LE(at);
      if ((header & 0x7000) !== 0x3000) break;
      const end = at + (header & 0x0fff) + 3;
      const isPacked = (header & 0x8000) !== 0;
      const chunk = isPacked ? decompressChunk(container.subarray(at + 2, end)) : container.subarray(at + 2, at + 2 + CHUNK_BYTES);
      this.#left -= chunk.length;
      if (this.#left < 0) throw new BrokenContainer('No project without code is so large.');
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
      // The further on, the more bits say how far back, and the fewer how many.
      const offsetBits = Math.max(4, 32 - Math.clz32(length - 1));
      const count = (token & (0xffff >> offsetBits)) + 3;
      const back = (token >> (16 - offsetBits)) + 1;
      if (back > length) throw new BrokenContainer('It copies from before its beginning.');
      for (let copied = 0; copied < count && length < CHUNK_BYTES; copied++, length++) chunk[length] = chunk[length - back] ?? 0;
    }
  }
  return chunk.subarray(0, length);
}
