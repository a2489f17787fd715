/** Compound Files ([MS-CFB]): .doc, .xls, .ppt, .msg and encrypted Office files. */

export interface CompoundStream {
  name: string;
  content?: Buffer;
  /** Name of the storage it stands in, where not at the top. */
  inside?: string;
}

export interface CompoundOptions {
  /** 32 hex digits as stored. */
  classId?: string;
  /** Sectors between the streams and the directory, which then lies far from the beginning. */
  paddingSectors?: number;
}

const SECTOR = 512;
const NONE = 0xffffffff;
const CHAIN_END = 0xfffffffe;

export function compoundFile(streams: readonly CompoundStream[], options: CompoundOptions = {}): Buffer {
  const sectors: Buffer[] = [];
  const table: number[] = [];
  const append = (content: Buffer): number => {
    const first = sectors.length;
    const count = Math.max(1, Math.ceil(content.length / SECTOR));
    for (let index = 0; index < count; index++) {
      const sector = Buffer.alloc(SECTOR);
      content.copy(sector, 0, index * SECTOR, (index + 1) * SECTOR);
      sectors.push(sector);
      table.push(index === count - 1 ? CHAIN_END : first + index + 1);
    }
    return first;
  };

  const inner = streams.filter(({ inside }) => inside !== undefined);
  const storages = [...new Set(streams.map(({ inside }) => inside).filter((name) => name !== undefined))];
  const top = [...streams.filter(({ inside }) => inside === undefined).map(({ name }) => name), ...storages];
  const entries = [entry('Root Entry', 5, { child: top.length === 0 ? NONE : 1, classId: options.classId ?? '' })];
  // Siblings as a list that leans to the right: a valid search order does not matter to readers of all entries.
  top.forEach((name, index) => {
    const right = index + 1 < top.length ? index + 2 : NONE;
    const stream = streams.find((candidate) => candidate.name === name && candidate.inside === undefined);
    if (stream === undefined) {
      const child = top.length + 1 + inner.findIndex(({ inside }) => inside === name);
      entries.push(entry(name, 1, { right, child }));
    } else {
      const content = pad(stream.content);
      entries.push(entry(name, 2, { right, start: append(content), size: content.length }));
    }
  });
  for (const stream of inner) {
    const content = pad(stream.content);
    entries.push(entry(stream.name, 2, { start: append(content), size: content.length }));
  }
  if (options.paddingSectors) append(Buffer.alloc(options.paddingSectors * SECTOR));
  const directoryStart = append(Buffer.concat(entries));

  const perSector = SECTOR / 4;
  let fatSectors = 1;
  while ((table.length + fatSectors) / perSector > fatSectors) fatSectors++;
  if (fatSectors > 109) throw new Error('This builder writes no more than the 109 table sectors that the header lists.');
  const fatStart = sectors.length;
  for (let index = 0; index < fatSectors; index++) table.push(0xfffffffd);
  const fat = Buffer.alloc(fatSectors * SECTOR, 0xff);
  table.forEach((next, index) => void fat.writeUInt32LE(next, index * 4));

  const header = Buffer.alloc(SECTOR, 0xff);
  header.fill(0, 0, 76);
  Buffer.from('d0cf11e0a1b11ae1', 'hex').copy(header);
  header.writeUInt16LE(0x3e, 24);
  header.writeUInt16LE(3, 26);
  header.writeUInt16LE(0xfffe, 28);
  header.writeUInt16LE(9, 30);
  header.writeUInt16LE(6, 32);
  header.writeUInt32LE(fatSectors, 44);
  header.writeUInt32LE(directoryStart, 48);
  header.writeUInt32LE(4096, 56);
  header.writeUInt32LE(CHAIN_END, 60);
  header.writeUInt32LE(CHAIN_END, 68);
  for (let index = 0; index < fatSectors; index++) header.writeUInt32LE(fatStart + index, 76 + index * 4);
  return Buffer.concat([header, ...sectors, fat]);
}

/** Streams under 4096 bytes would live in the mini stream. */
function pad(content: Buffer = Buffer.alloc(0)): Buffer {
  return content.length >= 4096 ? content : Buffer.concat([content, Buffer.alloc(4096 - content.length)]);
}

function entry(
  name: string,
  kind: 1 | 2 | 5,
  fields: { right?: number; child?: number; start?: number; size?: number; classId?: string },
): Buffer {
  const bytes = Buffer.alloc(128);
  bytes.write(name, 0, 'utf16le');
  bytes.writeUInt16LE((name.length + 1) * 2, 64);
  bytes[66] = kind;
  bytes[67] = 1;
  bytes.writeUInt32LE(NONE, 68);
  bytes.writeUInt32LE(fields.right ?? NONE, 72);
  bytes.writeUInt32LE(fields.child ?? NONE, 76);
  Buffer.from(fields.classId ?? '', 'hex').copy(bytes, 80);
  bytes.writeUInt32LE(fields.start ?? CHAIN_END, 116);
  bytes.writeUInt32LE(fields.size ?? 0, 120);
  return bytes;
}

/** A Word document's first block: the magic number, and the flag of encryption. */
function wordBlock(isEncrypted: boolean): Buffer {
  const block = Buffer.alloc(4096);
  block.writeUInt16LE(0xa5ec, 0);
  block.writeUInt16LE(0xc1, 2);
  block.writeUInt16LE(isEncrypted ? 0x0300 : 0x0200, 10);
  return block;
}

export function doc(options: { isEncrypted?: boolean; hasMacros?: boolean; paddingSectors?: number } = {}): Buffer {
  const macros = options.hasMacros ? [{ name: '_VBA_PROJECT', inside: 'Macros' }] : [];
  const { paddingSectors = 0 } = options;
  return compoundFile([{ name: 'WordDocument', content: wordBlock(options.isEncrypted ?? false) }, { name: '1Table' }, ...macros], {
    paddingSectors,
  });
}

export function xls(options: { isEncrypted?: boolean } = {}): Buffer {
  const start = Buffer.from('0908100000060500bb0dcc07000000000600000', 'hex');
  const records = Buffer.concat([
    start.subarray(0, 4),
    Buffer.alloc(16),
    options.isEncrypted ? Buffer.from('2f00360001000100', 'hex') : Buffer.from('e1000200b004', 'hex'),
  ]);
  return compoundFile([{ name: 'Workbook', content: records }]);
}

export function ppt(options: { isEncrypted?: boolean } = {}): Buffer {
  return compoundFile([
    { name: 'PowerPoint Document' },
    { name: 'Current User' },
    ...(options.isEncrypted ? [{ name: 'EncryptedSummary' }] : []),
  ]);
}

export function msg(): Buffer {
  return compoundFile([{ name: '__properties_version1.0' }]);
}

export function msi(): Buffer {
  return compoundFile([{ name: '\u4840\u3f7f' }], { classId: '84100c0000000000c000000000000046', paddingSectors: 20 });
}

/** What Office makes of a .docx, .xlsx or .pptx with a password. */
export function encryptedOffice(): Buffer {
  return compoundFile([{ name: 'EncryptionInfo' }, { name: 'EncryptedPackage' }]);
}
