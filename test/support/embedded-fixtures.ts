/** Embedded contents of documents: VBA projects ([MS-OVBA]), packaged files and OLE objects ([MS-OLEDS]). */
import { type CompoundStream, compoundFile } from './compound-fixtures.ts';
import { u16, u32 } from './little-endian.ts';

export interface ProjectOptions {
  /** Source lines of its only module, without attributes; none: an empty module. */
  code?: string;
  /** The source is removed and Office's compiled form is left: the trick called VBA stomping. */
  isStomped?: boolean;
  /** The storages around it. Word: `Macros`, Excel: `_VBA_PROJECT_CUR`; none if the project is a file of its own. */
  inside?: string;
  /** How often the project lists its only module. */
  modules?: number;
  /** Bytes of comments at the start of the module. */
  moduleBytes?: number;
}

export const MACRO = 'Sub AutoOpen()\r\n  MsgBox "Hello"\r\nEnd Sub\r\n';
const ATTRIBUTES =
  'Attribute VB_Name = "ThisDocument"\r\nAttribute VB_Base = "1Normal.ThisDocument"\r\nAttribute VB_Creatable = False\r\nAttribute VB_Exposed = True\r\n';

export function vbaStreams({ code = '', isStomped = false, inside, modules = 1, moduleBytes = 0 }: ProjectOptions = {}): CompoundStream[] {
  const storage = inside === undefined ? 'VBA' : `${inside}/VBA`;
  const cache = Buffer.concat([
    Buffer.alloc(200, 0x16),
    Buffer.from('feca0100', 'hex'),
    u16(code.split('\r\n').length - 1),
    Buffer.alloc(60),
  ]);
  const comment = `' ${'A comment. '.repeat(80)}\r\n`;
  const comments = comment.repeat(Math.ceil(moduleBytes / comment.length));
  const source = packVba(Buffer.from(ATTRIBUTES + comments + (isStomped ? '' : code), 'latin1'));
  const module = Buffer.concat([
    record(0x0019, Buffer.from('ThisDocument')),
    record(0x001a, Buffer.from('ThisDocument')),
    record(0x0032, Buffer.from('ThisDocument', 'utf16le')),
    record(0x0031, u32(cache.length)),
    record(0x0022, Buffer.alloc(0)),
    record(0x002b, Buffer.alloc(0)),
  ]);
  const directory = Buffer.concat([
    record(0x0001, u32(1)),
    record(0x0003, u16(1252)),
    record(0x0004, Buffer.from('Project')),
    // Two bytes longer than its size.
    Buffer.concat([u16(0x0009), u32(4), u32(1), u16(2)]),
    record(0x000f, u16(1)),
    ...Array.from({ length: modules }, () => module),
    record(0x0010, Buffer.alloc(0)),
  ]);
  return [
    { name: 'PROJECT', content: Buffer.from('ID="{}"\r\n'), ...(inside === undefined ? {} : { inside }) },
    { name: '_VBA_PROJECT', inside: storage, content: Buffer.from('cc61b20000030000', 'hex') },
    { name: 'dir', inside: storage, content: packVba(directory) },
    { name: 'ThisDocument', inside: storage, content: Buffer.concat([cache, source]) },
  ];
}

export function vbaProject(options: ProjectOptions = {}): Buffer {
  return compoundFile(vbaStreams(options));
}

/** [MS-OVBA] 2.4.1: literals, and copies of earlier bytes. */
function packVba(content: Buffer): Buffer {
  const chunks: Buffer[] = [Buffer.from([1])];
  for (let start = 0; start < content.length; start += 4096) {
    const packed = packChunk(content.subarray(start, start + 4096));
    chunks.push(u16(0xb000 | (packed.length + 2 - 3)), packed);
  }
  return Buffer.concat(chunks);
}

function packChunk(chunk: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < chunk.length; ) {
    let flags = 0;
    const tokens: Buffer[] = [];
    for (let bit = 0; bit < 8 && at < chunk.length; bit++) {
      const offsetBits = Math.max(4, Math.ceil(Math.log2(at)));
      const [back, count] = longestMatch(chunk, at, (0xffff >> offsetBits) + 3);
      if (count < 3) {
        tokens.push(chunk.subarray(at, at + 1));
        at++;
        continue;
      }
      flags |= 1 << bit;
      tokens.push(u16(((back - 1) << (16 - offsetBits)) | (count - 3)));
      at += count;
    }
    parts.push(Buffer.from([flags]), ...tokens);
  }
  return Buffer.concat(parts);
}

function longestMatch(chunk: Buffer, at: number, most: number): [back: number, count: number] {
  let best: [number, number] = [0, 0];
  for (let from = 0; from < at; from++) {
    let count = 0;
    while (count < most && at + count < chunk.length && chunk[from + count] === chunk[at + count]) count++;
    if (count > best[1]) best = [at - from, count];
  }
  return best;
}

/** A file as the Object Packager packs it, without the size in front. */
function packaged(name: string, content: Buffer): Buffer {
  const text = (value: string) => Buffer.from(`${value}\0`, 'latin1');
  const temporary = text(`C:\\Users\\me\\AppData\\Local\\Temp\\${name}`);
  return Buffer.concat([
    u16(2),
    text(name),
    text(`C:\\Users\\me\\Desktop\\${name}`),
    Buffer.from([0, 0, 3, 0]),
    u32(temporary.length),
    temporary,
    u32(content.length),
    content,
  ]);
}

/** A stream with the native data of an OLE object, after its size. */
function nativeStream(content: Buffer, inside?: string): CompoundStream {
  return {
    name: '\x01Ole10Native',
    content: Buffer.concat([u32(content.length), content]),
    ...(inside === undefined ? {} : { inside }),
  };
}

export function packageStream(name: string, content: Buffer, inside?: string): CompoundStream {
  return nativeStream(packaged(name, content), inside);
}

/** A packaged file as an embedded object: a compound file. */
export function packageObject(name: string, content: Buffer): Buffer {
  return compoundFile([packageStream(name, content), { name: '\x01CompObj', content: Buffer.from('0100feff030a0000ffffffff', 'hex') }]);
}

/** An object of another program, with its bytes unchanged. */
export function nativeObject(content: Buffer): Buffer {
  return compoundFile([nativeStream(content)]);
}

/** An RTF document with an object. `spelling` is how its digits are written: with spaces, lines or words between them. */
export function rtfWithObject(
  object: { className: string; content: Buffer },
  spelling: (digits: string) => string = (digits) => digits.replace(/.{128}/g, '$&\r\n'),
): Buffer {
  const name = Buffer.from(`${object.className}\0`, 'latin1');
  const data = Buffer.concat([u32(0x501), u32(2), u32(name.length), name, u32(0), u32(0), u32(object.content.length), object.content]);
  return Buffer.from(
    `{\\rtf1\\ansi\\deff0 {\\fonttbl {\\f0 Times;}} Hello {\\object\\objemb{\\*\\objclass ${object.className}}{\\*\\objdata ${spelling(data.toString('hex'))}}{\\result }}\\par }`,
    'latin1',
  );
}

export function rtfWithPackage(name: string, content: Buffer, spelling?: (digits: string) => string): Buffer {
  return rtfWithObject({ className: 'Package', content: packaged(name, content) }, spelling);
}

function record(id: number, content: Buffer): Buffer {
  return Buffer.concat([u16(id), u32(content.length), content]);
}
