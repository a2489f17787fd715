/** Where the members of an archive would land when it is unpacked into a folder. */

/** Absolute, from a drive of Windows, or with a step up, also as Windows reads it: `..` with spaces behind. */
const LEAVES = /^[\\/]+[^\\/]|^[a-z]:|(?:^|[\\/])\.\. *(?:[\\/]|$)/i;
const DRIVE_OR_ROOT = /^(?:[\\/]|[a-z]:)/i;

/**
 * Whether a member's name leads out of the folder. Unpackers differ in what they make of a step up in the middle, and no
 * program writes one: each counts.
 */
export function leavesFolder(name: string): boolean {
  return LEAVES.test(name);
}

/**
 * Links that stay inside, taken together: each goes up only first, and no further than its own folder is deep; and none
 * stands below another, where "up" would lead from elsewhere.
 */
export class Links {
  readonly #names = new Set<string>();

  /** A symbolic link. False where it leads out. */
  add(name: string, target: string): boolean {
    this.#names.add(pathOf(name).join('/'));
    if (DRIVE_OR_ROOT.test(target)) return false;
    const steps = pathOf(target);
    const up = steps.findIndex((step) => step !== '..');
    const ups = up === -1 ? steps.length : up;
    return ups <= pathOf(name).length - 1 && !steps.slice(ups).includes('..');
  }

  /** Whether one of them stands below another. */
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

/** In lower case: many file systems see no difference. */
function pathOf(name: string): string[] {
  return name
    .toLowerCase()
    .split(/[\\/]+/)
    .filter((step) => step !== '' && step !== '.');
}
