/** Reads the directory of a Compound File ([MS-CFB]): what .doc, .xls, .ppt, .msg and encrypted Office files are made of. */
import { BrokenContainer, type ByteRanges, readAt } from './zip-directory.ts';

export interface CompoundEntry {
  readonly name: string;
  /** Directly below the root, not inside an embedded document. */
  readonly isTop: boolean;
  readonly start: number;
  readonly size: number;
}

export interface CompoundFile {
  /** The class of the root, 32 hex digits as stored: which program the file belongs to. */
  readonly classId: string;
  readonly entries: readonly CompoundEntry[];
  /** The first bytes of a stream of 4096 or more; shorter ones live elsewhere and are not read. */
  readBeginning(entry: CompoundEntry, maxBytes: number): Promise<Buffer>;
}

const HEADER_BYTES = 512;
const ENTRY_BYTES = 128;
const MINI_STREAM_LIMIT = 4096;
/** 8192 entries at least. Documents have tens; only crafted files have more. */
const MAX_DIRECTORY_SECTORS = 2048;
/** Enough for 8 GiB of 512-byte sectors. */
const MAX_DIFAT_SECTORS = 1024;
const LAST_REGULAR_SECTOR = 0xfffffffa;

/** @throws BrokenContainer */
export async function readCompoundFile(file: ByteRanges): Promise<CompoundFile> {
  const header = await readAt(file, 0, HEADER_BYTES);
  if (header.length < HEADER_BYTES) throw new BrokenContainer('The header is cut off.');
  const shift = header.readUInt16LE(30);
  if (shift !== 9 && shift !== 12) throw new BrokenContainer('The sector size is none there is.');
  const sectors = new Sectors(file, header, 1 << shift);
  const directory = await sectors.chain(header.readUInt32LE(48), MAX_DIRECTORY_SECTORS);
  const raw: Buffer[] = [];
  for (let at = 0; at + ENTRY_BYTES <= directory.length; at += ENTRY_BYTES) raw.push(directory.subarray(at, at + ENTRY_BYTES));
  if (raw[0]?.[66] !== 5) throw new BrokenContainer('The directory has no root.');
  const top = siblings(raw, raw[0].readUInt32LE(76));
  const entries = raw
    .map((entry, index) => ({
      name: entry.toString('utf16le', 0, Math.max(0, Math.min(64, entry.readUInt16LE(64)) - 2)),
      isTop: top.has(index),
      start: entry.readUInt32LE(116),
      size: entry.readUInt32LE(120),
      isUsed: entry[66] === 1 || entry[66] === 2,
    }))
    .filter(({ isUsed }) => isUsed);
  return {
    classId: raw[0].toString('hex', 80, 96),
    entries,
    readBeginning: async (entry, maxBytes) =>
      entry.size < MINI_STREAM_LIMIT ? Buffer.alloc(0) : (await sectors.read(entry.start)).subarray(0, maxBytes),
  };
}

/** The entries of one storage: a binary tree by name. Crafted trees may run in circles. */
function siblings(raw: readonly Buffer[], root: number): Set<number> {
  const seen = new Set<number>();
  const open = [root];
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    const entry = raw[index];
    if (entry === undefined || seen.has(index)) continue;
    seen.add(index);
    open.push(entry.readUInt32LE(68), entry.readUInt32LE(72));
  }
  return seen;
}

class Sectors {
  readonly #file: ByteRanges;
  readonly #size: number;
  readonly #cache = new Map<number, Buffer>();
  #difatSector: number;
  #difatSectorsRead = 0;
  /** Sector numbers of the FAT, in order, as far as needed yet. */
  readonly #fat: number[] = [];

  constructor(file: ByteRanges, header: Buffer, size: number) {
    this.#file = file;
    this.#size = size;
    this.#difatSector = header.readUInt32LE(68);
    for (let at = 76; at < HEADER_BYTES; at += 4) this.#fat.push(header.readUInt32LE(at));
  }

  async read(sector: number): Promise<Buffer> {
    const start = (sector + 1) * this.#size;
    return readAt(this.#file, start, start + this.#size);
  }

  async chain(first: number, maxSectors: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let sector = first; sector <= LAST_REGULAR_SECTOR && parts.length < maxSectors; sector = await this.#next(sector)) {
      const part = await this.read(sector);
      if (part.length < this.#size) throw new BrokenContainer('The directory is cut off.');
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  async #next(sector: number): Promise<number> {
    const perSector = this.#size / 4;
    const fatSector = await this.#fatSector(Math.floor(sector / perSector));
    const cached = this.#cache.get(fatSector);
    const table = cached ?? (await this.read(fatSector));
    if (cached === undefined) this.#cache.set(fatSector, table);
    if (table.length < this.#size) throw new BrokenContainer('The sector table is cut off.');
    return table.readUInt32LE((sector % perSector) * 4);
  }

  /** The header lists 109; a chain of further sectors lists the rest, each ending in the number of the next. */
  async #fatSector(index: number): Promise<number> {
    while (index >= this.#fat.length) {
      if (this.#difatSector > LAST_REGULAR_SECTOR || this.#difatSectorsRead++ >= MAX_DIFAT_SECTORS) break;
      const list = await this.read(this.#difatSector);
      if (list.length < this.#size) break;
      for (let at = 0; at < this.#size - 4; at += 4) this.#fat.push(list.readUInt32LE(at));
      this.#difatSector = list.readUInt32LE(this.#size - 4);
    }
    const sector = this.#fat[index];
    if (sector === undefined || sector > LAST_REGULAR_SECTOR) throw new BrokenContainer('The sector table is broken.');
    return sector;
  }
}
