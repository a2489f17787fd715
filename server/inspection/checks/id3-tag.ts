/** ID3v2: a tag in front of sound, with a cover in it as large as it likes. */

const HEADER_BYTES = 10;
const FOOTER_FLAG = 0x10;

/** Bytes of the tag that content begins with: what it is comes behind. 0 where there is none. */
export function id3TagBytes(head: Uint8Array): number {
  const [i, d, three, version = 0, , flags = 0, ...size] = head.subarray(0, HEADER_BYTES);
  const isTag = i === 0x49 && d === 0x44 && three === 0x33 && version >= 2 && version <= 4;
  // Seven bits a byte, so that no sync word is among them.
  if (!isTag || size.length < 4 || size.some((byte) => byte > 0x7f)) return 0;
  const contentBytes = size.reduce((sum, byte) => sum * 128 + byte, 0);
  return HEADER_BYTES + contentBytes + ((flags & FOOTER_FLAG) === 0 ? 0 : HEADER_BYTES);
}
