/** Corrects the detectors where they see too little, or judge by too few bytes. */
import type { Detection } from '../detector.ts';
import { isRunning } from './evidence.ts';
import { id3TagBytes } from './id3-tag.ts';
import { TIFF } from './signatures.ts';

/** Pictures in the container of MP4, in any coding, by the later editions of ISO 23008-12. */
const HEIF_BRAND = /^(?:mi[afp][123f]|m[is]f[123]|avc[is]|vvi[cs]|evb[is]|jpeg|jpgs|j2k[is]|unif|1pic)$/;
const PLAIN_MP4 = /^(?:iso[m2-9]|mp4[12]|avc1|dash|mmp4|MSNV)$/;
const HEIC_BRAND = /^(?:hei[cxms]|hev[cxms])$/;
const AVIF_BRAND = /^avi[fs]$/;
/** The first field of a tar archive, which no program's header looks like. */
const FILE_NAME = /^[^\p{Cc}]+\0*$/u;
/** Only crafted files have longer `ftyp` boxes. */
const MAX_BRANDS = 64;

export function refine(head: Uint8Array, found: Detection): Detection {
  if (found.ext === undefined) {
    const ext = missedFormat(head) ?? (isLatePdf(head) && !isRunning(found) ? 'pdf' : undefined);
    return ext === undefined ? found : { ...found, ext };
  }
  if (isDoubtful(head, found)) return found.magic === undefined ? {} : { magic: found.magic };
  if (ascii(head, 4, 4) === 'ftyp') return refineBrand(head, found);
  return found;
}

/** Formats that file-type does not know, or whose mark is beyond the head: a TIFF's directory is mostly at its end. */
function missedFormat(head: Uint8Array): string | undefined {
  const start = ascii(head, 0, 4);
  if (TIFF.includes(start)) return 'tif';
  if (start === 'IIRO' || start === 'IIRS' || start === 'MMOR') return 'orf';
  if (/^(?:skip|pnot|styp)$/.test(ascii(head, 4, 4))) return 'mov';
  return undefined;
}

/** Readers accept a header anywhere in the first 1024 bytes (ISO 32000-1, annex H): after empty lines, or printer commands. */
function isLatePdf(head: Uint8Array): boolean {
  return /%PDF-[12]\.\d/.test(ascii(head, 0, 1024));
}

/** Two or three bytes prove nothing when a text, or the name of the first file in a tar archive, may start with them. */
function isDoubtful(head: Uint8Array, found: Detection): boolean {
  if (found.ext === 'mp3' && ascii(head, 0, 3) === 'ID3') return id3TagBytes(head) === 0;
  if (found.magic === 'application/x-tar' && FILE_NAME.test(ascii(head, 0, 100))) return true;
  return found.magic?.startsWith('text/') === true && found.ext !== 'ps' && found.ext !== 'xml';
}

/** The brand that counts may be among the compatible ones: AVIF under `mif1`, HEIC under a vendor's brand. */
function refineBrand(head: Uint8Array, found: Detection): Detection {
  const major = ascii(head, 8, 4);
  if (!(found.ext === 'mp4' && !PLAIN_MP4.test(major)) && !(found.ext === 'heic' && /^m[is]f1$/.test(major))) return found;
  const size = new DataView(head.buffer, head.byteOffset, head.byteLength).getUint32(0);
  const end = Math.min(size, head.length, 16 + 4 * MAX_BRANDS);
  for (let at = 16; at + 4 <= end; at += 4) {
    const brand = ascii(head, at, 4);
    if (AVIF_BRAND.test(brand)) return { ...found, ext: 'avif', mime: 'image/avif' };
    if (HEIC_BRAND.test(brand)) return { ...found, ext: 'heic', mime: 'image/heic' };
  }
  if (found.ext === 'mp4' && HEIC_BRAND.test(major)) return { ...found, ext: 'heic', mime: 'image/heic' };
  if (found.ext === 'mp4' && HEIF_BRAND.test(major)) return { ...found, ext: 'heif', mime: 'image/heif' };
  return found;
}

function ascii(bytes: Uint8Array, offset: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(offset, offset + length));
}
