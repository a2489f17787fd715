/** Compound Files ([MS-CFB]), built by the specification: .doc, .xls, .ppt, .msg, embedded objects and encrypted Office files. */
import { deflateSync } from 'node:zlib';

export interface CompoundStream {
  name: string;
  content?: Buffer;
  /** The storages that contain it, outermost first, separated by `/`; absent: at the top. */
  inside?: string;
}

export interface CompoundOptions {
  /** 32 hex digits as stored. */
  classId?: string;
  /** Sectors between the streams and the directory, which is then far from the start. */
  paddingSectors?: number;
}

const SECTOR = 512;
const MINI_SECTOR = 64;
const MINI_LIMIT = 4096;
const NONE = 0xffffffff;
const CHAIN_END = 0xfffffffe;

interface Node {
  name: string;
  kind: 1 | 2 | 5;
  children: Node[];
  content: Buffer;
  index: number;
  /** The number of the next sibling. */
  right: number;
  start: number;
  size: number;
}

export function compoundFile(streams: readonly CompoundStream[], options: CompoundOptions = {}): Buffer {
  const root = node('Root Entry', 5);
  for (const { name, inside, content } of streams) {
    let storage = root;
    for (const step of inside?.split('/') ?? []) {
      const known = storage.children.find((child) => child.name === step);
      storage.children.push(...(known === undefined ? [node(step, 1)] : []));
      storage = known ?? (storage.children.at(-1) as Node);
    }
    storage.children.push(node(name, 2, content));
  }
  const nodes = numbered(root);

  const sectors = new SectorWriter(SECTOR);
  const mini = new SectorWriter(MINI_SECTOR);
  for (const entry of nodes) {
    if (entry.kind !== 2) continue;
    entry.size = entry.content.length;
    if (entry.size > 0) entry.start = (entry.size < MINI_LIMIT ? mini : sectors).append(entry.content);
  }
  root.size = mini.bytes.length;
  if (root.size > 0) root.start = sectors.append(mini.bytes);
  const miniTable = mini.table();
  const miniTableStart = miniTable.length > 0 ? sectors.append(miniTable) : CHAIN_END;
  if (options.paddingSectors) sectors.append(Buffer.alloc(options.paddingSectors * SECTOR));
  const directory = Buffer.concat(nodes.map((entry) => directoryEntry(entry, entry === root ? (options.classId ?? '') : '')));
  const directoryStart = sectors.append(directory);

  const { fatStart, fatSectors } = sectors.appendFat();
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
  header.writeUInt32LE(MINI_LIMIT, 56);
  header.writeUInt32LE(miniTableStart, 60);
  header.writeUInt32LE(Math.ceil(miniTable.length / SECTOR), 64);
  header.writeUInt32LE(CHAIN_END, 68);
  for (let index = 0; index < fatSectors; index++) header.writeUInt32LE(fatStart + index, 76 + index * 4);
  return Buffer.concat([header, sectors.bytes]);
}

function node(name: string, kind: Node['kind'], content: Buffer = Buffer.alloc(0)): Node {
  return { name, kind, children: [], content, index: 0, right: NONE, start: kind === 1 ? 0 : CHAIN_END, size: 0 };
}

/** Each storage, then its entries, in the order of the specification: by length, then by name in upper case. */
function numbered(root: Node): Node[] {
  const nodes: Node[] = [root];
  for (let at = 0; at < nodes.length; at++) {
    const { children } = nodes[at] as Node;
    children.sort((a, b) => a.name.length - b.name.length || (a.name.toUpperCase() < b.name.toUpperCase() ? -1 : 1));
    for (const child of children) child.index = nodes.push(child) - 1;
  }
  for (const { children } of nodes) for (const [at, child] of children.entries()) child.right = children[at + 1]?.index ?? NONE;
  return nodes;
}

function directoryEntry(entry: Node, classId: string): Buffer {
  const bytes = Buffer.alloc(128);
  bytes.write(entry.name, 0, 'utf16le');
  bytes.writeUInt16LE((entry.name.length + 1) * 2, 64);
  bytes[66] = entry.kind;
  bytes[67] = 1;
  bytes.writeUInt32LE(NONE, 68);
  // Siblings as a tree with right branches only.
  bytes.writeUInt32LE(entry.right, 72);
  bytes.writeUInt32LE(entry.children[0]?.index ?? NONE, 76);
  Buffer.from(classId, 'hex').copy(bytes, 80);
  bytes.writeUInt32LE(entry.start, 116);
  bytes.writeUInt32LE(entry.size, 120);
  return bytes;
}

class SectorWriter {
  readonly #size: number;
  readonly #sectors: Buffer[] = [];
  readonly #next: number[] = [];

  constructor(size: number) {
    this.#size = size;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#sectors);
  }

  /** The number of its first sector. */
  append(content: Buffer): number {
    const first = this.#next.length;
    const count = Math.ceil(content.length / this.#size);
    this.#sectors.push(content, Buffer.alloc(count * this.#size - content.length));
    for (let index = 1; index <= count; index++) this.#next.push(index === count ? CHAIN_END : first + index);
    return first;
  }

  table(): Buffer {
    const table = Buffer.alloc(Math.ceil((this.#next.length * 4) / SECTOR) * SECTOR, 0xff);
    this.#next.forEach((next, index) => void table.writeUInt32LE(next, index * 4));
    return table;
  }

  appendFat(): { fatStart: number; fatSectors: number } {
    const perSector = SECTOR / 4;
    let fatSectors = 1;
    while ((this.#next.length + fatSectors) / perSector > fatSectors) fatSectors++;
    if (fatSectors > 109) throw new Error('The file needs more than the 109 table sectors that the header lists.');
    const fatStart = this.#next.length;
    for (let index = 0; index < fatSectors; index++) this.#next.push(0xfffffffd);
    this.#sectors.push(this.table());
    return { fatStart, fatSectors };
  }
}

/** A Word document's first block: the magic number, and the flag of encryption. */
function wordBlock(isEncrypted: boolean): Buffer {
  const block = Buffer.alloc(4096);
  block.writeUInt16LE(0xa5ec, 0);
  block.writeUInt16LE(0xc1, 2);
  block.writeUInt16LE(isEncrypted ? 0x0300 : 0x0200, 10);
  return block;
}

export interface OldOfficeOptions {
  isEncrypted?: boolean;
  /** Streams besides its own: a VBA project, embedded objects. */
  streams?: readonly CompoundStream[];
  paddingSectors?: number;
  /** The case of its stream names. */
  spelling?: (name: string) => string;
}

function oldOffice(own: readonly CompoundStream[], { streams = [], paddingSectors = 0, spelling = String }: OldOfficeOptions): Buffer {
  const spelt = [...own, ...streams].map(({ name, inside, ...rest }) => ({
    ...rest,
    name: spelling(name),
    ...(inside === undefined ? {} : { inside: spelling(inside) }),
  }));
  return compoundFile(spelt, { paddingSectors });
}

export function doc(options: OldOfficeOptions = {}): Buffer {
  const own = [
    { name: 'WordDocument', content: wordBlock(options.isEncrypted ?? false) },
    { name: '1Table', content: Buffer.alloc(5000, 1) },
  ];
  return oldOffice(own, options);
}

export interface WorkbookOptions extends OldOfficeOptions {
  /** The kinds of sheets that its globals list ([MS-XLS] 2.4.28): 0 a worksheet, 1 Excel 4.0 macros, 2 a chart, 6 a module. */
  sheets?: readonly number[];
  /** `Book`, the name in Excel 5 and 95. */
  stream?: string;
}

export function xls(options: WorkbookOptions = {}): Buffer {
  const { isEncrypted = false, sheets = [0], stream = 'Workbook' } = options;
  const record = (type: number, content: Buffer) => {
    const header = Buffer.alloc(4);
    header.writeUInt16LE(type, 0);
    header.writeUInt16LE(content.length, 2);
    return Buffer.concat([header, content]);
  };
  const content = Buffer.concat([
    record(0x0809, Buffer.from('00060500bb0dcc070000000006000000', 'hex')),
    ...(isEncrypted ? [record(0x002f, Buffer.from('010001000100', 'hex'))] : []),
    record(0x00e1, Buffer.from('b004', 'hex')),
    ...sheets.map((kind, index) => record(0x0085, Buffer.from([0, 0, 0, 0, 0, kind, 6, 0, ...Buffer.from(`Sheet${index}`)]))),
    record(0x00fc, Buffer.alloc(8)),
    record(0x000a, Buffer.alloc(0)),
  ]);
  return oldOffice([{ name: stream, content }], options);
}

export interface PresentationOptions extends OldOfficeOptions {
  /** OLE objects and the VBA project, each a compound file. */
  objects?: readonly Buffer[];
  areCompressed?: boolean;
  /** Only the document's own directory leads to the objects: they come after a record with a false, larger length. */
  areHidden?: boolean;
}

/** [MS-PPT]: one stream of records, and another with the position of the last edit. */
export function ppt(options: PresentationOptions = {}): Buffer {
  const { isEncrypted = false, objects = [], areCompressed = false, areHidden = false } = options;
  const records: Buffer[] = [pptRecord(0x03e8, pptRecord(0x03e9, Buffer.alloc(40)), 0xf)];
  const at = () => Buffer.concat(records).length;
  const offsets = [0];
  if (areHidden) {
    // PowerPoint uses offsets; a reader that goes from record to record gets lost here.
    const rubbish = pptRecord(0x0fff, Buffer.alloc(16));
    rubbish.writeUInt32LE(0x7fffffff, 4);
    records.push(rubbish);
  }
  for (const object of objects) {
    offsets.push(at());
    const size = Buffer.alloc(4);
    size.writeUInt32LE(object.length);
    records.push(areCompressed ? pptRecord(0x1011, Buffer.concat([size, deflateSync(object)]), 0x10) : pptRecord(0x1011, object));
  }
  const directory = Buffer.alloc(4 + offsets.length * 4);
  directory.writeUInt32LE(((offsets.length << 20) | 1) >>> 0, 0);
  offsets.forEach((offset, index) => void directory.writeUInt32LE(offset, 4 + index * 4));
  const directoryAt = at();
  records.push(pptRecord(0x1772, directory));
  const edit = Buffer.alloc(28);
  edit.writeUInt32LE(directoryAt, 12);
  edit.writeUInt32LE(1, 16);
  const editAt = at();
  records.push(pptRecord(0x0ff5, edit));
  const user = Buffer.alloc(20);
  user.writeUInt32LE(20, 0);
  user.writeUInt32LE(0xe391c05f, 4);
  user.writeUInt32LE(editAt, 8);
  const own = [
    { name: 'PowerPoint Document', content: Buffer.concat(records) },
    { name: 'Current User', content: pptRecord(0x0ff6, user) },
    ...(isEncrypted ? [{ name: 'EncryptedSummary', content: Buffer.alloc(100, 9) }] : []),
  ];
  return oldOffice(own, options);
}

/** `version`: the version in the lowest four bits, the instance above. */
function pptRecord(type: number, content: Buffer, version = 0): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16LE(version, 0);
  header.writeUInt16LE(type, 2);
  header.writeUInt32LE(content.length, 4);
  return Buffer.concat([header, content]);
}

export function msg(attachment: Buffer = Buffer.from('text')): Buffer {
  return compoundFile([
    { name: '__properties_version1.0', content: Buffer.alloc(32) },
    { name: '__substg1.0_37010102', inside: '__attach_version1.0_#00000000', content: attachment },
  ]);
}

export function msi(): Buffer {
  return compoundFile([{ name: '\u4840\u3f7f' }], { classId: '84100c0000000000c000000000000046', paddingSectors: 20 });
}

/** A .docx, .xlsx or .pptx as Office encrypts it with a password. */
export function encryptedOffice(): Buffer {
  return compoundFile([
    { name: 'EncryptionInfo', content: Buffer.alloc(200, 4) },
    { name: 'EncryptedPackage', content: Buffer.alloc(5000, 5) },
  ]);
}
