/** Files of many formats, built byte by byte: small, but such as real programs write and real readers open or recognize. */
import { crc32, deflateSync, gzipSync } from 'node:zlib';
import { u16, u32 } from './little-endian.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

function u32be(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** The same bytes for the same seed, without a pattern (xorshift32). */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed >>> 0 || 1;
  for (let index = 0; index < length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = state & 0xff;
  }
  return bytes;
}

/** A grey square. */
export function png(side = 8): Buffer {
  const chunk = (type: string, content: Buffer) => {
    const body = Buffer.concat([latin1(type), content]);
    return Buffer.concat([u32be(content.length), body, u32be(crc32(body))]);
  };
  const rows = Buffer.alloc(side * (side + 1), 0x80);
  for (let row = 0; row < side; row++) rows[row * (side + 1)] = 0;
  return Buffer.concat([
    latin1('\x89PNG\r\n\x1a\n'),
    chunk('IHDR', Buffer.concat([u32be(side), u32be(side), Buffer.from([8, 0, 0, 0, 0])])),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** Header segments of a JFIF file, entropy-coded noise, end marker. */
export function jpeg(length = 600): Buffer {
  const start = Buffer.concat([
    latin1('\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00'),
    latin1('\xff\xdb\x00\x43\x00'),
    Buffer.alloc(64, 16),
    latin1('\xff\xc0\x00\x0b\x08\x00\x08\x00\x08\x01\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00'),
  ]);
  const coded = noise(Math.max(0, length - start.length - 2)).map((byte) => (byte === 0xff ? 0xfe : byte));
  return Buffer.concat([start, coded, latin1('\xff\xd9')]);
}

export function gif(after: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([
    latin1('GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;'),
    after,
  ]);
}

export function bmp(): Buffer {
  const pixels = Buffer.alloc(8 * 8 * 3, 0x40);
  return Buffer.concat([
    latin1('BM'),
    u32(54 + pixels.length),
    u32(0),
    u32(54),
    u32(40),
    u32(8),
    u32(8),
    u16(1),
    u16(24),
    u32(0),
    u32(pixels.length),
    u32(2835),
    u32(2835),
    u32(0),
    u32(0),
    pixels,
  ]);
}

/** As libtiff writes it: the directory comes after the pixels, beyond the first bytes that are read. */
export function tiff(pixelBytes = 20_000): Buffer {
  const tag = (id: number, type: number, value: number) => Buffer.concat([u16(id), u16(type), u32(1), u32(value)]);
  const tags = [
    tag(256, 4, 200),
    tag(257, 4, 100),
    tag(258, 3, 8),
    tag(259, 3, 1),
    tag(262, 3, 1),
    tag(273, 4, 8),
    tag(279, 4, pixelBytes),
  ];
  return Buffer.concat([latin1('II*\x00'), u32(8 + pixelBytes), Buffer.alloc(pixelBytes, 0x33), u16(tags.length), ...tags, u32(0)]);
}

export function webp(): Buffer {
  const body = Buffer.concat([latin1('WEBPVP8 '), u32(100), noise(100)]);
  return Buffer.concat([latin1('RIFF'), u32(body.length), body]);
}

function box(type: string, ...content: Buffer[]): Buffer {
  const body = Buffer.concat([latin1(type), ...content]);
  return Buffer.concat([u32be(body.length + 4), body]);
}

/** The box of MP4, MOV, HEIC, AVIF, M4A, 3GP and CR3. */
export function bmff(majorBrand: string, compatible: readonly string[] = [], contentBytes = 500): Buffer {
  return Buffer.concat([
    box('ftyp', latin1(majorBrand), u32be(512), latin1(compatible.join(''))),
    box('moov', box('mvhd', Buffer.alloc(100))),
    box('mdat', noise(contentBytes)),
  ]);
}

/** QuickTime without a file type box, as old cameras write it. */
export function oldMov(): Buffer {
  return Buffer.concat([box('wide'), box('mdat', noise(400)), box('moov', box('mvhd', Buffer.alloc(100)))]);
}

export function ebml(docType: 'matroska' | 'webm'): Buffer {
  const name = latin1(docType);
  const content = Buffer.concat([
    latin1('\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82'),
    Buffer.from([0x80 | name.length]),
    name,
  ]);
  return Buffer.concat([
    latin1('\x1a\x45\xdf\xa3'),
    Buffer.from([0x80 | content.length]),
    content,
    latin1('\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff'),
    noise(300),
  ]);
}

export function riff(form: string, id = 'RIFF'): Buffer {
  const body = Buffer.concat([
    latin1(form),
    latin1('fmt '),
    u32(16),
    u16(1),
    u16(2),
    u32(48_000),
    u32(192_000),
    u16(4),
    u16(16),
    latin1('data'),
    u32(400),
    noise(400),
  ]);
  return Buffer.concat([latin1(id), u32(id === 'RIFF' ? body.length : 0xffffffff), body]);
}

/** A frame header of 128 kbit/s and noise, after an ID3 tag of this many bytes (many, if it has a cover picture). */
export function mp3(tagBytes: number | null): Buffer {
  const frame = Buffer.concat([latin1('\xff\xfb\x90\x44'), Buffer.alloc(413, 0x55)]);
  if (tagBytes === null) return Buffer.concat([frame, frame, frame]);
  const size = Buffer.from([(tagBytes >> 21) & 0x7f, (tagBytes >> 14) & 0x7f, (tagBytes >> 7) & 0x7f, tagBytes & 0x7f]);
  return Buffer.concat([latin1('ID3\x03\x00\x00'), size, Buffer.alloc(tagBytes), frame, frame]);
}

export function ogg(codec: 'vorbis' | 'opus' | 'theora'): Buffer {
  const packet = { vorbis: '\x01vorbis', opus: 'OpusHead', theora: '\x80theora' }[codec];
  const content = Buffer.concat([latin1(packet), Buffer.alloc(22)]);
  return Buffer.concat([
    latin1('OggS\x00\x02'),
    Buffer.alloc(8),
    u32(7),
    u32(0),
    u32(0),
    Buffer.from([1, content.length]),
    content,
    noise(200),
  ]);
}

export function flac(): Buffer {
  return Buffer.concat([latin1('fLaC\x80\x00\x00\x22'), Buffer.alloc(34), noise(200)]);
}

export function transportStream(packets = 40): Buffer {
  return Buffer.concat(Array.from({ length: packets }, (_, index) => Buffer.concat([latin1('G\x40\x11\x10'), noise(184, index + 1)])));
}

export function programStream(): Buffer {
  return Buffer.concat([latin1('\x00\x00\x01\xba\x44\x00\x04\x00\x04\x01\x01\x89\xc3\xf8'), noise(500)]);
}

export function asf(): Buffer {
  const header = Buffer.from('3026b2758e66cf11a6d900aa0062ce6c', 'hex');
  return Buffer.concat([header, u32(30), u32(0), u32(0), latin1('\x01\x02'), noise(400)]);
}

export function mxf(): Buffer {
  return Buffer.concat([Buffer.from('060e2b34020501010d0102010102040083000070', 'hex'), noise(400)]);
}

export function pdf(before = ''): Buffer {
  return latin1(
    `${before}%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n`,
  );
}

export function rtf(): Buffer {
  return latin1('{\\rtf1\\ansi\\deff0 {\\fonttbl {\\f0 Times;}}\\f0\\fs24 Hello\\par }');
}

/** A member of a tar archive; `v7` is the format before the magic number. */
export function tar(kind: 'ustar' | 'v7' = 'ustar'): Buffer {
  const header = Buffer.alloc(512);
  header.write('hello.txt', 0, 'latin1');
  header.write('0000644\0', 100, 'latin1');
  header.write('0001750\0', 108, 'latin1');
  header.write('0001750\0', 116, 'latin1');
  header.write('00000000005\0', 124, 'latin1');
  header.write('14723456701\0', 136, 'latin1');
  header.write('        ', 148, 'latin1');
  header.write('0', 156, 'latin1');
  if (kind === 'ustar') header.write('ustar\x0000', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  const content = Buffer.alloc(512);
  content.write('hello');
  return Buffer.concat([header, content, Buffer.alloc(1024)]);
}

export function gzip(content: Buffer = noise(300)): Buffer {
  return gzipSync(content);
}

/** A 7-Zip archive whose list of files is plain, or encrypted with AES. */
export function sevenZip(isEncrypted = false): Buffer {
  const packed = noise(100);
  const header = isEncrypted
    ? Buffer.from('17060001096400070b0100012406f107010a5307c1a9d0c8a3f0c7b60c5b0a01', 'hex')
    : Buffer.from('0104060001096400070b01000100010c6400080a01000000000000', 'hex');
  const next = Buffer.alloc(20);
  next.writeBigUInt64LE(BigInt(packed.length), 0);
  next.writeBigUInt64LE(BigInt(header.length), 8);
  next.writeUInt32LE(crc32(header), 16);
  return Buffer.concat([Buffer.from('377abcaf271c0004', 'hex'), u32(crc32(next)), next, packed, header]);
}

export function rar4(encrypted: 'no' | 'names' | 'content' = 'no'): Buffer {
  const main = Buffer.concat([u16(0xcf90), Buffer.from([0x73]), u16(encrypted === 'names' ? 0x80 : 0), u16(13), Buffer.alloc(6)]);
  const content = noise(50);
  const name = latin1('hello.txt');
  const fields = Buffer.concat([
    u32(content.length),
    u32(60),
    Buffer.from([2]),
    u32(0),
    u32(0),
    Buffer.from([29, 0x33]),
    u16(name.length),
    u32(0x20),
    name,
  ]);
  const file = Buffer.concat([u16(0), Buffer.from([0x74]), u16(encrypted === 'content' ? 0x8004 : 0x8000), u16(7 + fields.length), fields]);
  return Buffer.concat([latin1('Rar!\x1a\x07\x00'), main, file, content, Buffer.from('c43d7b00400700', 'hex')]);
}

export function rar5(encrypted: 'no' | 'names' | 'content' = 'no'): Buffer {
  const header = (...body: number[]) => Buffer.concat([u32(0), Buffer.from([body.length, ...body])]);
  const content = noise(50);
  const name = [...latin1('a.txt')];
  const extra = encrypted === 'content' ? [4, 1, 0, 0, 15] : [];
  const hasExtra = extra.length === 0 ? [2] : [3, extra.length];
  return Buffer.concat([
    latin1('Rar!\x1a\x07\x01\x00'),
    encrypted === 'names' ? header(4, 0, 0, 0, 15, ...noise(16)) : header(1, 0, 0),
    header(2, ...hasExtra, content.length, 0, 60, 0, 0x80, 0, name.length, ...name, ...extra),
    content,
    header(5, 0, 0),
  ]);
}

/** A Windows program's headers. */
export function exe(): Buffer {
  const bytes = Buffer.alloc(1024);
  bytes.write('MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff', 0, 'latin1');
  bytes.writeUInt32LE(0x80, 0x3c);
  bytes.write('This program cannot be run in DOS mode.', 0x4e, 'latin1');
  bytes.write('PE\0\0\x64\x86\x02\x00', 0x80, 'latin1');
  bytes.writeUInt16LE(0xf0, 0x94);
  bytes.writeUInt16LE(0x22, 0x96);
  bytes.writeUInt16LE(0x20b, 0x98);
  return bytes;
}

/** A Linux program's headers (x86-64). */
export function elf(): Buffer {
  const bytes = Buffer.alloc(512);
  bytes.write('\x7fELF\x02\x01\x01', 0, 'latin1');
  bytes.writeUInt16LE(2, 16);
  bytes.writeUInt16LE(0x3e, 18);
  bytes.writeUInt32LE(1, 20);
  bytes.writeUInt16LE(64, 52);
  return bytes;
}

export const html: Buffer = latin1('<!DOCTYPE html>\n<html><body><script>alert(document.domain)</script></body></html>\n');
export const php: Buffer = latin1('<?php system($_GET["c"]); ?>\n');
export const shellScript: Buffer = latin1('#!/bin/sh\nrm -rf "$HOME"\n');
export const svg: Buffer = latin1('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>\n');

export function utf16(text: string, order: 'le' | 'be' = 'le'): Buffer {
  const bytes = Buffer.from(`\ufeff${text}`, 'utf16le');
  return order === 'le' ? bytes : bytes.swap16();
}
