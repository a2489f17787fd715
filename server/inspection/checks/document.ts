/** The contents of a container that may be a document, read from its directory, and searched on demand. */
import { type ByteRanges, cachedRanges } from './byte-ranges.ts';
import type { Contents } from './contents.ts';
import { readOfficePackage } from './office-package.ts';
import { readOldOffice } from './old-office.ts';

const ZIP_STARTS = ['PK\x03\x04', 'PK\x05\x06', 'PK\x07\x08'];

/** Undefined for content that does not start like a container. @throws BrokenContainer */
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
