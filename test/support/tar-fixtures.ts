/** tar archives (POSIX ustar and pax, GNU). */

export interface TarMember {
  name: string;
  /** `0` a file, `1` a hard link, `2` a symbolic one, `5` a folder, `L` a long name, `x` pax records. */
  kind?: string;
  target?: string;
  content?: Buffer | string;
  /** The size in the header, if it is false. */
  size?: number;
  /** The field of the size, byte for byte, if it has another form. */
  sizeField?: string;
  /** Eight bytes, if it is not POSIX's. */
  magic?: string;
  /** The first part of a long name. */
  prefix?: string;
  /** GNU's binary number, for sizes beyond octal digits. */
  isBinarySize?: boolean;
}

export function tarOf(members: readonly TarMember[], { isEnded = true }: { isEnded?: boolean } = {}): Buffer {
  const blocks = members.flatMap((member) => {
    const content = Buffer.from(member.content ?? '');
    return [header(member, member.size ?? content.length), content, Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(isEnded ? 1024 : 0)]);
}

/** An archive of `count` empty files. */
export function tarOfMany(count: number): Buffer {
  const digits = 10;
  const zeros = `f/${'0'.repeat(digits)}`;
  const block = header({ name: zeros }, 0);
  const sumOfZeros = Number.parseInt(block.toString('latin1', 148, 154), 8);
  const tar = Buffer.alloc((count + 2) * 512);
  for (let index = 0; index < count; index++) {
    const number = String(index).padStart(digits, '0');
    block.write(number, 2, 'latin1');
    let sum = sumOfZeros;
    for (const digit of number) sum += Number(digit);
    block.write(sum.toString(8).padStart(6, '0'), 148, 'latin1');
    block.copy(tar, index * 512);
  }
  return tar;
}

/** The length of a pax record includes itself. */
export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(rest) + 1;
  while (String(length).length + Buffer.byteLength(rest) > length) length++;
  return `${length}${rest}`;
}

function header(member: TarMember, size: number): Buffer {
  const { name, kind = '0', target = '', isBinarySize = false, sizeField, magic = 'ustar\x0000', prefix = '' } = member;
  const bytes = Buffer.alloc(512);
  bytes.write(name, 0, 100, 'utf8');
  bytes.write('0000644\0', 100, 'latin1');
  bytes.write('0001750\0', 108, 'latin1');
  bytes.write('0001750\0', 116, 'latin1');
  if (isBinarySize) bytes.writeUInt32BE(size, 132);
  else bytes.write(`${size.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
  if (isBinarySize) bytes[124] = 0x80;
  if (sizeField !== undefined) bytes.fill(0, 124, 136).write(sizeField, 124, 12, 'latin1');
  bytes.write('14723456701\0', 136, 'latin1');
  bytes.write('        ', 148, 'latin1');
  bytes.write(kind, 156, 'latin1');
  bytes.write(target, 157, 100, 'utf8');
  bytes.write(magic, 257, 8, 'latin1');
  bytes.write(prefix, 345, 155, 'utf8');
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return bytes;
}
