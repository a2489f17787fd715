/** What a container that a document may be in holds: told by its directory, and searched where that is asked for. */
import { type ByteRanges, cachedRanges } from './byte-ranges.ts';
import type { Contents } from './contents.ts';
import { readOfficePackage } from './office-package.ts';
import { readOldOffice } from './old-office.ts';

const ZIP_STARTS = ['PK\x03\x04', 'PK\x05\x06', 'PK\x07\x08'];

/** Of what starts like a container; undefined for all else. @throws BrokenContainer */
export async function readContents(file: ByteRanges & { readonly head: Uint8Array }): Promise<Contents | undefined> {
  const start = startOf(file.head);
  if (ZIP_STARTS.includes(start)) return readOfficePackage(cachedRanges(file));
  return startsLikeCompoundFile(file.head) ? readOldOffice(cachedRanges(file)) : undefined;
}

export function startsLikeCompoundFile(head: Uint8Array): boolean {
  return startOf(head) === '\xd0\xcf\x11\xe0';
}

function startOf(head: Uint8Array): string {
  return String.fromCharCode(...head.subarray(0, 4));
}
