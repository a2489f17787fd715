/** What a ZIP archive would do when it is unpacked, as far as its directory shows, and whether it needs a password. */
import { constants, inflateRawSync } from 'node:zlib';
import type { Policy } from '../../../shared/policy.ts';
import { type ByteRanges, cachedRanges, readAt } from './byte-ranges.ts';
import { Links, leavesFolder } from './member-paths.ts';
import { RangeList } from './range-list.ts';
import { LOCAL_BYTES, packedContent, readZipDirectory, type ZipDirectory, type ZipEntry } from './zip-directory.ts';

/** Less than this is harmless at any ratio: a text of one repeated letter compresses a thousand to one. */
const HARMLESS_BYTES = 1024 ** 3;
/** The longest path on Linux; no system creates a longer link. */
const MAX_LINK_BYTES = 4096;
/** A complete operating system has about ten thousand. */
const MAX_LINKS = 20_000;
const SYMBOLIC_LINK = 0xa000;

export interface ZipFindings {
  isEncrypted: boolean;
  /** Why the archive is unsafe, for the sender. */
  unsafe: string | undefined;
}

/** @throws BrokenContainer */
export async function inspectZip(file: ByteRanges, policy: Policy): Promise<ZipFindings> {
  const directory = await readZipDirectory(file);
  const rules = new ZipRules(file, policy, directory);
  let isEncrypted = false;
  for await (const entries of directory.entries()) {
    isEncrypted ||= entries.some((entry) => entry.isEncrypted);
    const unsafe = rules.add(entries);
    if (unsafe !== undefined) return { isEncrypted, unsafe };
  }
  return { isEncrypted, unsafe: await rules.end() };
}

class ZipRules {
  readonly #file: ByteRanges;
  readonly #policy: Policy;
  readonly #directory: ZipDirectory;
  readonly #ranges = new RangeList();
  readonly #links: ZipEntry[] = [];
  #count = 0;
  #bytes = 0;

  constructor(file: ByteRanges, policy: Policy, directory: ZipDirectory) {
    this.#file = file;
    this.#policy = policy;
    this.#directory = directory;
  }

  add(entries: readonly ZipEntry[]): string | undefined {
    const { archiveRules, archiveMaxEntries, archiveMaxRatio } = this.#policy;
    const checksPaths = archiveRules.includes('paths');
    const checksLinks = archiveRules.includes('links');
    const checksRanges = archiveRules.includes('overlaps') && this.#directory.hasPositions;
    this.#count += entries.length;
    if (archiveRules.includes('entries') && this.#count > archiveMaxEntries) return tooManyEntries(archiveMaxEntries);
    for (const entry of entries) {
      if (checksPaths && (leavesFolder(entry.name) || (entry.otherName !== undefined && leavesFolder(entry.otherName)))) {
        return 'holds a file that would be unpacked outside of its folder';
      }
      if (checksLinks && (entry.unixMode & 0xf000) === SYMBOLIC_LINK) this.#links.push(entry);
      if (checksRanges) this.#ranges.add(entry.position, entry.position + LOCAL_BYTES + entry.compressedSize);
      this.#bytes += entry.size;
    }
    if (archiveRules.includes('ratio') && this.#bytes > HARMLESS_BYTES && this.#bytes > archiveMaxRatio * this.#file.length) {
      return `declares that it unpacks to more than ${archiveMaxRatio} times its size`;
    }
    if (this.#links.length > MAX_LINKS) return 'holds more links than can be checked';
    return undefined;
  }

  async end(): Promise<string | undefined> {
    // An entry beyond the directory's start would overlap it.
    this.#ranges.add(this.#directory.start, this.#directory.start + 1);
    if (await this.#ranges.overlap()) return 'holds entries that overlap';
    return this.#judgeLinks();
  }

  async #judgeLinks(): Promise<string | undefined> {
    const links = new Links();
    const file = cachedRanges(this.#file);
    for (const entry of this.#links) {
      if (entry.isEncrypted || entry.compressedSize > MAX_LINK_BYTES || entry.size > MAX_LINK_BYTES) continue;
      const target = await readLink(file, entry);
      if (target === undefined) return 'holds a link that cannot be read';
      const names = entry.otherName === undefined ? [entry.name] : [entry.name, entry.otherName];
      if (names.some((name) => !links.add(name, target))) return 'holds a link that leads out of its folder';
    }
    return links.areNested ? 'holds a link below another' : undefined;
  }
}

export function tooManyEntries(most: number): string {
  return `holds more than ${most.toLocaleString('en')} files`;
}

async function readLink(file: ByteRanges, entry: ZipEntry): Promise<string | undefined> {
  const packed = await packedContent(file, entry);
  if (packed === undefined) return undefined;
  const bytes = await readAt(file, packed.start, packed.start + packed.length);
  if (entry.method === 0) return bytes.toString('latin1');
  if (entry.method !== 8) return undefined;
  try {
    return inflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: MAX_LINK_BYTES }).toString('latin1');
  } catch {
    return undefined;
  }
}
