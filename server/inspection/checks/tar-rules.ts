/** What a tar archive would do when it is unpacked. */
import { setImmediate } from 'node:timers/promises';
import type { Policy } from '../../../shared/policy.ts';
import type { ByteRanges } from './byte-ranges.ts';
import { Links, leavesFolder } from './member-paths.ts';
import { type TarMember, tarMembers } from './tar-members.ts';
import { tooManyEntries } from './zip-rules.ts';

const MAX_LINKS = 100_000;

/** Why the archive is unsafe, for the sender. @throws BrokenContainer when a header is invalid */
export async function unsafeInTar(file: ByteRanges, policy: Policy): Promise<string | undefined> {
  const { archiveRules, archiveMaxEntries } = policy;
  const links = new Links();
  const checksPaths = archiveRules.includes('paths');
  const checksLinks = archiveRules.includes('links');
  let count = 0;
  for await (const some of tarMembers(file)) {
    await setImmediate();
    for (const member of some) {
      count++;
      if (count > archiveMaxEntries && archiveRules.includes('entries')) return tooManyEntries(archiveMaxEntries);
      if (checksPaths && member.names.some(leavesFolder)) return 'holds a file that would be unpacked outside of its folder';
      if (!checksLinks) continue;
      if (!addLinks(links, member)) return 'holds a link that leads out of its folder';
      if (links.count > MAX_LINKS) return 'holds more links than can be checked';
    }
  }
  return links.areNested ? 'holds a link below another' : undefined;
}

/** A hard link names another member; a symbolic link is relative to its own path. False when one leads out. */
function addLinks(links: Links, { names, kind, targets }: TarMember): boolean {
  if (kind === '1') return targets.every((target) => !leavesFolder(target) && names.every((name) => links.addHard(name, target)));
  return kind !== '2' || targets.every((target) => names.every((name) => links.add(name, target)));
}
