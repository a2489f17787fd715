/** Reads Compound Files ([MS-CFB]), the container of .doc, .xls, .ppt, .msg, embedded objects and encrypted Office files. */
import { AmbiguousContainer, BrokenContainer, type ByteRanges, numbersIn, readAt } from './byte-ranges.ts';

export interface CompoundEntry {
  readonly name: string;
  /** In upper case, because names are compared without case ([MS-CFB] 2.6.4). */
  readonly key: string;
  readonly isStorage: boolean;
  /** The storage that contains the entry, or the root; undefined when no storage lists it. */
  readonly parent: CompoundEntry | undefined;
  readonly start: number;
  readonly size: number;
}

export interface CompoundFile {
  /** The class id of the root, 32 hex digits as stored: the program that the file belongs to. */
  readonly classId: string;
  /** All entries but the root. */
  readonly entries: readonly CompoundEntry[];
  /** Entries directly below the root, by name in upper case. */
  readonly top: ReadonlyMap<string, CompoundEntry>;
  /** The content of a stream, by ranges, wherever its sectors are. */
  stream(entry: CompoundEntry): ByteRanges;
}

const HEADER_BYTES = 512;
const ENTRY_BYTES = 128;
const MINI_STREAM_BYTES = 4096;
const MINI_SECTOR_BYTES = 64;
/** At least 65,536 entries: a document with thousands of formulas has about ten thousand. */
const MAX_DIRECTORY_SECTORS = 16_384;
/** Enough for 8 GiB in sectors of 512 bytes. */
const MAX_DIFAT_SECTORS = 1024;
const LAST_REGULAR_SECTOR = 0xfffffffa;

export function isCompoundFile(start: Buffer): boolean {
  return start.length >= 8 && start.readUInt32BE(0) === 0xd0cf11e0 && start.readUInt32BE(4) === 0xa1b11ae1;
}

/** @throws BrokenContainer */
export async function readCompoundFile(file: ByteRanges): Promise<CompoundFile> {
  const header = await readAt(file, 0, HEADER_BYTES);
  if (header.length < HEADER_BYTES) throw new BrokenContainer('The header is cut off.');
  const shift = header.readUInt16LE(30);
  if (shift !== 9 && shift !== 12) throw new BrokenContainer('The sector size is unknown.');
  const sectors = new Sectors(file, header, 1 << shift);
  const directory = await sectors.readAll(header.readUInt32LE(48), MAX_DIRECTORY_SECTORS);
  const root = directory.subarray(0, ENTRY_BYTES);
  if (root[66] !== 5) throw new BrokenContainer('The directory has no root.');
  const entries = readEntries(directory, shift === 12);
  const [rootEntry, ...others] = entries;
  if (rootEntry === undefined) throw new BrokenContainer('The directory has no root.');
  const used = others.filter((entry) => entry !== undefined);
  refuseSameNames(used);
  const mini = new MiniSectors(sectors, header.readUInt32LE(60), new Chain(sectors, rootEntry.start), rootEntry.size);
  return {
    classId: root.toString('hex', 80, 96),
    entries: used,
    top: new Map(used.filter(({ parent }) => parent === rootEntry).map((entry) => [entry.key, entry])),
    stream: ({ start, size }) => ({
      length: size,
      signal: file.signal,
      read: size < MINI_STREAM_BYTES ? mini.reader(start) : new Chain(sectors, start).read,
    }),
  };
}

/** By number; undefined for an unused entry. An entry belongs to the storage whose tree lists it. */
function readEntries(directory: Buffer, hasLongSizes: boolean): (CompoundEntry | undefined)[] {
  const links: { left: number; right: number; child: number }[] = [];
  const entries: (Omit<CompoundEntry, 'parent'> & { parent: CompoundEntry | undefined })[] = [];
  const isUsed: boolean[] = [];
  for (let at = 0; at + ENTRY_BYTES <= directory.length; at += ENTRY_BYTES) {
    const nameBytes = Math.max(0, Math.min(64, directory.readUInt16LE(at + 64)) - 2);
    const name = directory.toString('utf16le', at, at + nameBytes);
    const kind = directory[at + 66];
    isUsed.push(kind === 1 || kind === 2 || kind === 5);
    links.push({
      left: directory.readUInt32LE(at + 68),
      right: directory.readUInt32LE(at + 72),
      child: directory.readUInt32LE(at + 76),
    });
    // Files of version 3 may have garbage in the upper half.
    const upper = hasLongSizes ? directory.readUInt32LE(at + 124) : 0;
    entries.push({
      name,
      key: name.toUpperCase(),
      isStorage: kind !== 2,
      parent: undefined,
      start: directory.readUInt32LE(at + 116),
      size: directory.readUInt32LE(at + 120) + upper * 2 ** 32,
    });
  }
  // Crafted trees may have cycles: each entry is visited once.
  const seen = new Set<number>([0]);
  for (const [index, storage] of entries.entries()) {
    if (!storage.isStorage || isUsed[index] !== true) continue;
    const open = [links[index]?.child];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const link = links[next];
      const entry = entries[next];
      if (link === undefined || entry === undefined || seen.has(next)) continue;
      seen.add(next);
      entry.parent = storage;
      open.push(link.left, link.right);
    }
  }
  return entries.map((entry, index) => (isUsed[index] === true ? entry : undefined));
}

/** Two entries of one storage have different names ([MS-CFB] 2.6.4). Readers would differ in which of two they open. */
function refuseSameNames(entries: readonly CompoundEntry[]): void {
  const storages = new Map<CompoundEntry, Set<string>>();
  for (const { key, parent } of entries) {
    if (parent === undefined) continue;
    const keys = storages.get(parent) ?? new Set();
    if (keys.has(key)) throw new AmbiguousContainer('Two entries have the same name.');
    storages.set(parent, keys.add(key));
  }
}

class Sectors {
  readonly size: number;
  /** Upper bound of the number of sectors. */
  readonly count: number;
  readonly #file: ByteRanges;
  readonly #tables = new Map<number, Buffer>();
  #difatSector: number;
  #difatSectorsRead = 0;
  /** Sector numbers of the FAT, in order, as far as they were needed. */
  readonly #fat: number[] = [];

  constructor(file: ByteRanges, header: Buffer, size: number) {
    this.#file = file;
    this.size = size;
    this.count = Math.ceil(file.length / size);
    this.#difatSector = header.readUInt32LE(68);
    this.#fat.push(...numbersIn(header, 76, HEADER_BYTES));
  }

  /** Reads this many consecutive sectors, or fewer bytes at the end of the file. */
  read(sector: number, count = 1): Promise<Buffer> {
    const start = (sector + 1) * this.size;
    return readAt(this.#file, start, start + count * this.size);
  }

  async readAll(first: number, maxSectors: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let sector = first; sector <= LAST_REGULAR_SECTOR; sector = await this.next(sector)) {
      if (parts.length >= maxSectors) throw new BrokenContainer('The directory has no end.');
      const part = await this.read(sector);
      if (part.length < this.size) throw new BrokenContainer('The directory is cut off.');
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  /** Same as `next`, if its part of the table was read before. */
  nextAtHand(sector: number): number | undefined {
    const perSector = this.size / 4;
    const fatSector = this.#fat[Math.floor(sector / perSector)];
    return fatSector === undefined ? undefined : this.#tables.get(fatSector)?.readUInt32LE((sector % perSector) * 4);
  }

  /** The next sector in the chain, or a number beyond all sectors. */
  async next(sector: number): Promise<number> {
    const perSector = this.size / 4;
    const fatSector = await this.#fatSector(Math.floor(sector / perSector));
    const table = this.#tables.get(fatSector) ?? (await this.read(fatSector));
    if (table.length < this.size) throw new BrokenContainer('The sector table is cut off.');
    this.#tables.set(fatSector, table);
    return table.readUInt32LE((sector % perSector) * 4);
  }

  /** The header lists 109 sectors of the table; a chain of other sectors lists the rest, each ending with the number of the next. */
  async #fatSector(index: number): Promise<number> {
    while (index >= this.#fat.length) {
      if (this.#difatSector > LAST_REGULAR_SECTOR || this.#difatSectorsRead++ >= MAX_DIFAT_SECTORS) break;
      const list = await this.read(this.#difatSector);
      if (list.length < this.size) break;
      this.#fat.push(...numbersIn(list, 0, this.size - 4));
      this.#difatSector = list.readUInt32LE(this.size - 4);
    }
    const sector = this.#fat[index];
    if (sector === undefined || sector > LAST_REGULAR_SECTOR) throw new BrokenContainer('The sector table is broken.');
    return sector;
  }
}

/** The sectors of one stream, followed as far as they are read. */
class Chain {
  readonly #sectors: Sectors;
  readonly #known: number[] = [];
  #next: number;

  constructor(sectors: Sectors, first: number) {
    this.#sectors = sectors;
    this.#next = first;
  }

  /** Shorter when the chain or the file ends. @throws BrokenContainer when the sector table cannot be read */
  readonly read = async (start: number, end: number): Promise<Buffer> => {
    const { size } = this.#sectors;
    const parts: Buffer[] = [];
    const last = await this.#follow(Math.ceil(end / size));
    for (let index = Math.floor(start / size); index < last; ) {
      const sector = this.#known[index] ?? 0;
      let count = 1;
      while (index + count < last && this.#known[index + count] === sector + count) count++;
      const part = await this.#sectors.read(sector, count);
      parts.push(part);
      index += count;
      if (part.length < count * size) break;
    }
    const skip = start % size;
    return Buffer.concat(parts).subarray(skip, skip + end - start);
  };

  /** How many of the first `count` sectors exist. A chain with more sectors than the file is a cycle. */
  async #follow(count: number): Promise<number> {
    const most = Math.min(count, this.#sectors.count);
    while (this.#known.length < most && this.#next <= LAST_REGULAR_SECTOR) {
      this.#known.push(this.#next);
      // Does not await a known part of the table: a gigabyte has two million sectors.
      this.#next = this.#sectors.nextAtHand(this.#next) ?? (await this.#sectors.next(this.#next));
    }
    return Math.min(most, this.#known.length);
  }
}

/** Streams under 4096 bytes: in sectors of 64 bytes, inside a stream of the root, with a table of their own. */
class MiniSectors {
  readonly #sectors: Sectors;
  readonly #tableStart: number;
  readonly #container: Chain;
  readonly #size: number;
  #table: Promise<Buffer> | undefined;

  constructor(sectors: Sectors, tableStart: number, container: Chain, size: number) {
    this.#sectors = sectors;
    this.#tableStart = tableStart;
    this.#container = container;
    this.#size = size;
  }

  reader(first: number) {
    return async (start: number, end: number): Promise<Buffer> => {
      this.#table ??= this.#sectors.readAll(this.#tableStart, MAX_DIRECTORY_SECTORS);
      const table = await this.#table;
      const parts: Buffer[] = [];
      let sector = first;
      for (let at = 0; at < end; at += MINI_SECTOR_BYTES) {
        const from = sector * MINI_SECTOR_BYTES;
        if (sector > LAST_REGULAR_SECTOR || from >= this.#size) break;
        parts.push(await this.#container.read(from, Math.min(from + MINI_SECTOR_BYTES, this.#size)));
        sector = sector * 4 + 4 <= table.length ? table.readUInt32LE(sector * 4) : LAST_REGULAR_SECTOR + 1;
      }
      return Buffer.concat(parts).subarray(start, end);
    };
  }
}
