/** Corrects what the detectors say where they see too little or judge by too few bytes. */
import type { Detection } from '../detector.ts';

const PLAIN_MP4 = /^(?:iso[m2-9]|mp4[12]|avc1|dash|mmp4|MSNV)$/;
const HEIC_BRAND = /^(?:hei[cxms]|hev[cxms])$/;
const AVIF_BRAND = /^avi[fs]$/;
/** `ftyp` boxes are longer only in files made to waste our time. */
const MAX_BRANDS = 64;

export function refine(head: Uint8Array, found: Detection): Detection {
  if (found.ext === undefined) {
    const ext = missedFormat(head);
    return ext === undefined ? found : { ...found, ext };
  }
  if (isDoubtful(head, found)) return found.magic === undefined ? {} : { magic: found.magic };
  if (ascii(head, 4, 4) === 'ftyp') return refineBrand(head, found);
  return found;
}

/** Either byte order, each also as BigTIFF. */
const TIFF_STARTS = ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'];

/** Formats that file-type does not know, or whose proof lies beyond the head: a TIFF's directory is mostly at its end. */
function missedFormat(head: Uint8Array): string | undefined {
  const start = ascii(head, 0, 4);
  if (TIFF_STARTS.includes(start)) return 'tif';
  if (start === 'IIRO' || start === 'IIRS' || start === 'MMOR') return 'orf';
  if ((start === 'RF64' || start === 'BW64') && ascii(head, 8, 4) === 'WAVE') return 'wav';
  if (start === '\x89HDF') return 'hdf5';
  if (/^(?:skip|pnot)$/.test(ascii(head, 4, 4))) return 'mov';
  // Versions 2 to 4. What follows the tag is hidden by padding, or unknown.
  if (isId3(head)) return 'id3';
  return undefined;
}

function isId3(head: Uint8Array): boolean {
  return ascii(head, 0, 3) === 'ID3' && [2, 3, 4].includes(head[3] ?? 0);
}

/** Two or three bytes that a text may start with are no proof where libmagic reads a text. */
function isDoubtful(head: Uint8Array, found: Detection): boolean {
  if (found.ext === 'mp3' && ascii(head, 0, 3) === 'ID3') return !isId3(head);
  return found.magic?.startsWith('text/') === true && found.ext !== 'ps' && found.ext !== 'xml';
}

/** The brand that counts may stand among the compatible ones: AVIF under `mif1`, HEIC under a vendor's own. */
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
  return found;
}

function ascii(bytes: Uint8Array, offset: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(offset, offset + length));
}
