/** Formats without fixed bytes: streams that begin anywhere, and numbers that must be plausible. Judged by the first bytes alone. */

const STRUCTURES: Readonly<Record<string, (head: Buffer) => boolean>> = {
  'video/mp2t': isTransportStream,
  'video/mpeg': (head) => startsBehindZeros(head) || isTransportStream(head),
  'audio/mpeg': (head) => hasFrames(head, mpegFrame),
  'audio/aac': (head) => hasFrames(head, adtsFrame) || hasFrames(head, loasFrame),
  'application/mxf': (head) => head.includes(MXF_HEADER),
  'application/x-grib': (head) => head.subarray(0, 1024).includes('GRIB'),
  'application/x-bufr': (head) => head.subarray(0, 1024).includes('BUFR'),
  'application/x-matlab-data': isOldMatlab,
  'application/vnd.dbf': isTable,
  'model/stl': isStl,
};

/** Whether content that begins with these bytes has the structure of this type. */
export function readsAs(type: string, head: Uint8Array): boolean {
  const test = Object.hasOwn(STRUCTURES, type) ? STRUCTURES[type] : undefined;
  return test?.(Buffer.from(head.buffer, head.byteOffset, head.byteLength)) ?? false;
}

/** The types that are recognized by structure. */
export function structuredTypes(): readonly string[] {
  return Object.keys(STRUCTURES);
}

/** SMPTE 377-1: a run-in may come before the header's key. Only the first bytes are searched for it. */
const MXF_HEADER = Buffer.from('060e2b34020501010d010201', 'hex');

/** ISO 13818-2 5.2.3: any number of zeros may come before a start code: of a pack, a sequence or a packet of pictures. */
function startsBehindZeros(head: Buffer): boolean {
  const at = head.findIndex((byte) => byte !== 0);
  return at >= 2 && head[at] === 1 && [0xb3, 0xba, 0xe0].includes(head[at + 1] ?? 0);
}

/** Plain; with a time code before; with two kinds of error correction after. */
const PACKET_BYTES = [188, 192, 204, 208];
const MIN_PACKETS = 4;

/** Every packet has a sync byte at the same place. A recording need not begin with a complete packet. */
function isTransportStream(head: Buffer): boolean {
  return PACKET_BYTES.some((packetBytes) => {
    for (let start = 0; start < packetBytes && start + packetBytes * (MIN_PACKETS - 1) < head.length; start++) {
      let at = start;
      while (at < head.length && head[at] === 0x47) at += packetBytes;
      if (at >= head.length) return true;
    }
    return false;
  });
}

/** Anything may come before the first complete frame: padding, or the rest of the frame that a recording began in. */
const MIN_FRAMES = 3;

/** `lengthOf`: the length of the frame that begins at `at`; undefined when none does. */
function hasFrames(head: Buffer, lengthOf: (head: Buffer, at: number) => number | undefined): boolean {
  for (let start = 0; start + 8 < head.length; start++) {
    let at = start;
    for (let frames = 0; ; frames++) {
      if (frames === MIN_FRAMES) return true;
      const length = at + 8 <= head.length ? lengthOf(head, at) : undefined;
      if (length === undefined) break;
      at += length;
    }
  }
  return false;
}

/** kbit/s by index, for layers III and II of MPEG-1, and for both of MPEG-2 and 2.5. */
const LAYER3 = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const LAYER2 = [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384];
const LOW = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const SAMPLE_RATES = [44_100, 48_000, 32_000];

/** ISO 11172-3 2.4.1.3. */
function mpegFrame(head: Buffer, at: number): number | undefined {
  const header = head.readUInt32BE(at);
  const [version, layer, rateIndex, sampleIndex] = [(header >> 19) & 3, (header >> 17) & 3, (header >> 12) & 15, (header >> 10) & 3];
  if (header >>> 21 !== 0x7ff || version === 1 || (layer !== 1 && layer !== 2)) return undefined;
  const isFirst = version === 3;
  const kilobits = (isFirst ? (layer === 1 ? LAYER3 : LAYER2) : LOW)[rateIndex];
  const sampleRate = (SAMPLE_RATES[sampleIndex] ?? 0) / (isFirst ? 1 : version === 2 ? 2 : 4);
  if (!kilobits || sampleRate === 0) return undefined;
  const samplesPerBit = layer === 1 && !isFirst ? 72 : 144;
  return Math.floor((samplesPerBit * kilobits * 1000) / sampleRate) + ((header >> 9) & 1);
}

/** ISO 14496-3 1.A.2: sync word, layer 0, a known sample rate, the frame's length. */
function adtsFrame(head: Buffer, at: number): number | undefined {
  if ((head.readUInt16BE(at) & 0xfff6) !== 0xfff0 || ((head.readUInt8(at + 2) >> 2) & 15) > 12) return undefined;
  const length = (head.readUIntBE(at + 3, 3) >> 5) & 0x1fff;
  return length > 7 ? length : undefined;
}

/** ISO 14496-3 1.7.2: eleven bits of sync word, thirteen of length. */
function loasFrame(head: Buffer, at: number): number | undefined {
  const header = head.readUIntBE(at, 3);
  return header >> 13 === 0x2b7 && (header & 0x1fff) > 3 ? 3 + (header & 0x1fff) : undefined;
}

/** MATLAB 4: number type, rows, columns, an imaginary flag, length of the name; then the name, ended by a NUL. */
function isOldMatlab(head: Buffer): boolean {
  if (head.length < 22) return false;
  return [(at: number) => head.readUInt32LE(at), (at: number) => head.readUInt32BE(at)].some((number) => {
    const [kind, imaginary, nameBytes] = [number(0), number(12), number(16)];
    if (kind > 4052 || imaginary > 1 || nameBytes < 2 || nameBytes > 64 || head.length < 20 + nameBytes) return false;
    return /^[a-z]\w*\0$/i.test(head.toString('latin1', 20, 20 + nameBytes));
  });
}

/** dBASE and its successors: version, date, and a header whose length fits its fields of 32 bytes. */
function isTable(head: Buffer): boolean {
  if (head.length < 33) return false;
  const [version, month, day, headerBytes] = [head.readUInt8(0), head.readUInt8(2), head.readUInt8(3), head.readUInt16LE(8)];
  const isKnown = [0x02, 0x03, 0x04, 0x05, 0x30, 0x31, 0x32, 0x43, 0x63, 0x83, 0x8b, 0x8c, 0xcb, 0xe5, 0xf5, 0xfb].includes(version);
  return isKnown && month <= 12 && day <= 31 && headerBytes > 32 && head.readUInt16LE(10) > 0;
}

/** Text that begins with `solid`; or 80 bytes of anything, the number of triangles, and twelve numbers for each. */
function isStl(head: Buffer): boolean {
  if (/^\s*solid\b/i.test(head.toString('latin1', 0, 32))) return true;
  if (head.length < 84) return false;
  const triangles = Math.min(head.readUInt32LE(80), Math.floor((head.length - 84) / 50));
  for (let at = 84; at < 84 + triangles * 50; at += 50) {
    for (let number = 0; number < 12; number++) {
      const size = Math.abs(head.readFloatLE(at + number * 4));
      if (!(size < 1e12)) return false;
    }
  }
  return triangles > 0;
}
