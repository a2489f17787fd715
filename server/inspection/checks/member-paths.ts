/** Where the members of an archive would be written when it is unpacked into a folder. Names are in Latin-1, byte for byte. */
import { isUtf8 } from 'node:buffer';

/** Absolute, on a Windows drive, or with a step up, also in the form of Windows: `..` followed by spaces. */
const LEAVES = /^[\\/]+[^\\/]|^[a-z]:|(?:^|[\\/])\.\. *(?:[\\/]|$)/i;
const DRIVE_OR_ROOT = /^(?:[\\/]|[a-z]:)/i;

/**
 * Whether a member's name leads out of the folder. Unpackers differ in how they treat a step up in the middle of a name, and no program
 * writes one, so each step up counts.
 */
export function leavesFolder(name: string): boolean {
  return LEAVES.test(name);
}

/**
 * Links that stay inside the folder, also in combination: each goes up only at its start, no further than its own folder is deep; and
 * none is below another, where "up" would lead from somewhere else.
 */
export class Links {
  /** Path → target. */
  readonly #links = new Map<string, string>();

  /** Adds a symbolic link. False when it leads out. */
  add(name: string, target: string): boolean {
    this.#links.set(pathOf(name).join('/'), target);
    if (DRIVE_OR_ROOT.test(target)) return false;
    const steps = pathOf(target);
    const up = steps.findIndex((step) => step !== '..');
    const ups = up === -1 ? steps.length : up;
    return ups <= pathOf(name).length - 1 && !steps.slice(ups).includes('..');
  }

  /** Adds a hard link, which is a symbolic one when its target is. False when it leads out. */
  addHard(name: string, target: string): boolean {
    const path = pathOf(target).join('/');
    if (this.#isBelowLink(path)) return false;
    const symbolic = this.#links.get(path);
    return symbolic === undefined || this.add(name, symbolic);
  }

  /** Whether a link is below another. */
  get areNested(): boolean {
    for (const path of this.#links.keys()) if (this.#isBelowLink(path)) return true;
    return false;
  }

  get count(): number {
    return this.#links.size;
  }

  #isBelowLink(path: string): boolean {
    if (this.#links.size === 0) return false;
    for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) if (this.#links.has(path.slice(0, at))) return true;
    return false;
  }
}

const STEP_UP = /^\.\. *$/;
/** Marks of direction and joiners, which HFS+ ignores in names. */
const IGNORED = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g;

/** The steps of a path, the same for all spellings that some file system takes for one name. */
function pathOf(name: string): string[] {
  return spelling(name)
    .split(/[\\/]+/)
    .map((step) => (STEP_UP.test(step) ? '..' : step.replace(/[. ]+$/, '') || step.replace(/^\. *$/, '')))
    .filter((step) => step !== '');
}

/** Without regard to case, to composed and decomposed letters, and to what HFS+ ignores. */
function spelling(name: string): string {
  if (!/[\x80-\xff]/.test(name)) return name.toLowerCase();
  const bytes = Buffer.from(name, 'latin1');
  // In another encoding, each byte counts as itself.
  const text = isUtf8(bytes) ? bytes.toString() : name;
  // Upper case joins letters that lower case does not: `ß` and `ss`, `ſ` and `s`.
  return text.replace(IGNORED, '').normalize('NFD').toUpperCase().toLowerCase().normalize('NFD');
}
