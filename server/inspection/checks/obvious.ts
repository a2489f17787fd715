import type { Detection } from '../detector.ts';

interface Signature {
  ext: string;
  mime: string;
  /** What the content starts with; `?` stands for any byte. */
  start: string;
}

/**
 * Formats that a few fixed bytes prove, those that file-type goes by too. A comparison is no parser: it needs no
 * other thread, and saves most small files the way there and back.
 */
const SIGNATURES: readonly Signature[] = [
  { ext: 'jpg', mime: 'image/jpeg', start: '\xff\xd8\xff\xe0' },
  { ext: 'jpg', mime: 'image/jpeg', start: '\xff\xd8\xff\xe1' },
  { ext: 'jpg', mime: 'image/jpeg', start: '\xff\xd8\xff\xdb' },
  { ext: 'png', mime: 'image/png', start: '\x89PNG\r\n\x1a\n\0\0\0\rIHDR' },
  { ext: 'gif', mime: 'image/gif', start: 'GIF89a' },
  { ext: 'webp', mime: 'image/webp', start: 'RIFF????WEBP' },
  { ext: 'pdf', mime: 'application/pdf', start: '%PDF-' },
  { ext: 'flac', mime: 'audio/flac', start: 'fLaC' },
  { ext: 'wav', mime: 'audio/wav', start: 'RIFF????WAVE' },
  { ext: 'avi', mime: 'video/vnd.avi', start: 'RIFF????AVI ' },
  { ext: 'gz', mime: 'application/gzip', start: '\x1f\x8b\x08' },
  { ext: '7z', mime: 'application/x-7z-compressed', start: '7z\xbc\xaf\x27\x1c' },
  { ext: 'zst', mime: 'application/zstd', start: '\x28\xb5\x2f\xfd' },
];

/** What this content obviously is, where that is the type that is expected; undefined leaves it to the detector. */
export function obviously(head: Uint8Array, expected: string): Detection | undefined {
  for (const { ext, mime, start } of SIGNATURES) if (mime === expected && startsWith(head, start)) return { ext, mime };
  return undefined;
}

function startsWith(head: Uint8Array, start: string): boolean {
  if (head.length < start.length) return false;
  for (let index = 0; index < start.length; index++) {
    if (start[index] !== '?' && start.charCodeAt(index) !== head[index]) return false;
  }
  return true;
}
