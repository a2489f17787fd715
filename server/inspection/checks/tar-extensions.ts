/** What stands before a member of a tar archive and changes it: records of POSIX pax, and long names of GNU. */
import { AmbiguousContainer } from './byte-ranges.ts';
import { textAt } from './tar-header.ts';

/** Sparse files have another name in their header, so that programs that do not know them write no wrong file. */
const NAMES = new Set(['path', 'GNU.sparse.name']);

/** Readers differ in which of several names they prefer, so each counts. */
export class TarExtensions {
  readonly names: Set<string> = new Set<string>();
  readonly targets: Set<string> = new Set<string>();
  size: number | undefined;
  /** Whether there is one of Solaris's own, `X`, which has the form of `x`. */
  isOld = false;

  /**
   * `x` or `X` pax records of the next member, `g` of all that follow, `L` its long name, `K` its long target.
   * @throws AmbiguousContainer when readers do not agree on the meaning
   */
  add(kind: string, content: Buffer): void {
    // Some readers drop the size then, or take it for that of the extension.
    if (this.size !== undefined) throw new AmbiguousContainer('Something stands between a size and its member.');
    // An old long name, which is a file to most readers.
    if (kind === 'N') throw new AmbiguousContainer('A name has an old form.');
    this.isOld ||= kind === 'X';
    if (kind === 'L') this.names.add(textAt(content, 0, content.length));
    else if (kind === 'K') this.targets.add(textAt(content, 0, content.length));
    else for (const [key, value] of paxRecords(content)) this.#addRecord(kind, key, value);
  }

  #addRecord(kind: string, key: string, value: string): void {
    if (!NAMES.has(key) && key !== 'linkpath' && key !== 'size') return;
    // No program gives all members one name, one target or one size, and readers differ in how long that holds.
    if (kind === 'g') throw new AmbiguousContainer('A record for all members names one.');
    if (key === 'size') {
      if (kind === 'X') throw new AmbiguousContainer('A size has an old form.');
      const size = /^\d+$/.test(value) ? Number(value) : Number.NaN;
      if (Number.isNaN(size) || (this.size ?? size) !== size) throw new AmbiguousContainer('A size is invalid.');
      this.size = size;
      return;
    }
    // Readers end a name at a NUL, or not; an empty one deletes what stands before, or not.
    if (value === '' || value.includes('\0')) throw new AmbiguousContainer('A name is invalid.');
    (key === 'linkpath' ? this.targets : this.names).add(value);
  }
}

/** POSIX pax: lines of "length key=value"; the length includes itself. @throws AmbiguousContainer when a line has another form */
function* paxRecords(content: Buffer): Generator<[key: string, value: string]> {
  for (let at = 0; at < content.length; ) {
    // Some programs fill up with NULs.
    if (content[at] === 0 && content.subarray(at).every((byte) => byte === 0)) return;
    const space = content.indexOf(0x20, at);
    const digits = space === -1 ? '' : content.toString('latin1', at, Math.min(space, at + 20));
    const end = at + Number(digits);
    const equals = content.indexOf(0x3d, space);
    const isLine = /^\d+$/.test(digits) && end <= content.length && content[end - 1] === 0x0a && equals > space + 1 && equals < end;
    const key = isLine ? content.toString('latin1', space + 1, equals) : '';
    if (!isLine || key.includes('\0')) throw new AmbiguousContainer('A record is invalid.');
    yield [key, content.toString('latin1', equals + 1, end - 1)];
    at = end;
  }
}
