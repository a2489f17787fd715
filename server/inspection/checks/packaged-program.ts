/** Recognizes files that run, by their first bytes or their name, and the packages in which Office embeds files. */

const NAME =
  /\.(?:exe|dll|scr|com|pif|bat|cmd|ps1|psm1|vbs|vbe|js|jse|wsf|wsh|hta|msi|msp|jar|lnk|cpl|reg|chm|sh|php|elf|appref-ms|application|settingcontent-ms)[ .]*$/i;

/** Programs, scripts and shortcuts of any system, by the extension. */
export function isProgramName(name: string): boolean {
  return NAME.test(name);
}

/** ELF, Mach-O in both byte orders and for several processors (and Java's classes, which begin the same way), Windows shortcuts. */
const STARTS = ['7f454c46', 'feedface', 'feedfacf', 'cefaedfe', 'cffaedfe', 'cafebabe', '4c0000000114020000000000c0000000'].map((hex) =>
  Buffer.from(hex, 'hex'),
);

/** Recognizes programs of Windows and DOS, Linux, macOS and Java, and shortcuts, by their first bytes. */
export function isProgram(beginning: Buffer): boolean {
  if (beginning.toString('latin1', 0, 2) === 'MZ') return hasDosHeader(beginning) || hasWindowsHeader(beginning);
  return STARTS.some((start) => beginning.subarray(0, start.length).equals(start));
}

/** Two letters prove nothing: the header also has the number of bytes in its last page of 512, and contains zeros. */
function hasDosHeader(beginning: Buffer): boolean {
  return beginning.length >= 28 && beginning.readUInt16LE(2) < 512 && beginning.includes(0);
}

/** Windows heeds only the position of the other header: a multiple of four below 256 MiB. Four letters of a text may also make one. */
function hasWindowsHeader(beginning: Buffer): boolean {
  if (beginning.length < 64) return false;
  const position = beginning.readUInt32LE(60);
  return position % 4 === 0 && position < 2 ** 28 && beginning.some((byte) => byte < 0x20 && ![9, 10, 12, 13, 27].includes(byte));
}

export interface Package {
  /** The name of the file, and its former paths. */
  names: readonly string[];
  /** The first bytes of the file, as far as they were given. */
  beginning: Buffer;
}

/**
 * Reads what the Object Packager writes: a 2; a label and a path, each ended by a NUL; four bytes; another path after its length; the
 * file after its length. Undefined for the data of another program.
 */
export function readPackage(bytes: Buffer): Package | undefined {
  if (bytes.length < 8 || bytes.readUInt16LE(0) !== 2) return undefined;
  const labelEnd = bytes.indexOf(0, 2);
  const pathEnd = labelEnd === -1 ? -1 : bytes.indexOf(0, labelEnd + 1);
  if (pathEnd === -1) return undefined;
  const names = [bytes.toString('latin1', 2, labelEnd), baseName(bytes.toString('latin1', labelEnd + 1, pathEnd))];
  const temporary = pathEnd + 5;
  if (temporary + 4 > bytes.length) return { names, beginning: Buffer.alloc(0) };
  const temporaryEnd = temporary + 4 + bytes.readUInt32LE(temporary);
  names.push(baseName(bytes.toString('latin1', temporary + 4, temporaryEnd).split('\0', 1)[0] ?? ''));
  return { names: names.filter((name) => name !== ''), beginning: bytes.subarray(temporaryEnd + 4) };
}

/** The last part of a path of Unix or Windows. */
export function baseName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
}
