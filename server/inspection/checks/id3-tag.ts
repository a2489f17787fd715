/** ID3v2: a tag before sound, which may contain a cover of any size. */

const HEADER_BYTES = 10;
const FOOTER_FLAG = 0x10;

/** Bytes of the tag that the content begins with; the sound comes after it. 0 without a tag. */
export function id3TagBytes(head: Uint8Array): number {
  const [i, d, three, version = 0, , flags = 0, ...size] = head.subarray(0, HEADER_BYTES);
  const isTag = i === 0x49 && d === 0x44 && three === 0x33 && version >= 2 && version <= 4;
  // Seven bits a byte, so that the size contains no sync word.
  if (!isTag || size.length < 4 || size.some((byte) => byte > 0x7f)) return 0;
  const contentBytes = size.reduce((sum, byte) => sum * 128 + byte, 0);
  return HEADER_BYTES + contentBytes + ((flags & FOOTER_FLAG) === 0 ? 0 : HEADER_BYTES);
}
