/** Where the members of an archive would be written when it is unpacked into a folder. */

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
  readonly #names = new Set<string>();

  /** Adds a symbolic link. False when it leads out. */
  add(name: string, target: string): boolean {
    this.#names.add(pathOf(name).join('/'));
    if (DRIVE_OR_ROOT.test(target)) return false;
    const steps = pathOf(target);
    const up = steps.findIndex((step) => step !== '..');
    const ups = up === -1 ? steps.length : up;
    return ups <= pathOf(name).length - 1 && !steps.slice(ups).includes('..');
  }

  /** Whether a link is below another. */
  get areNested(): boolean {
    for (const name of this.#names) {
      for (let at = name.indexOf('/'); at !== -1; at = name.indexOf('/', at + 1)) if (this.#names.has(name.slice(0, at))) return true;
    }
    return false;
  }

  get count(): number {
    return this.#names.size;
  }
}

/** In lower case, because many file systems ignore case. */
function pathOf(name: string): string[] {
  return name
    .toLowerCase()
    .split(/[\\/]+/)
    .filter((step) => step !== '' && step !== '.');
}
