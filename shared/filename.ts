/**
 * What becomes of a name that a sender gave: a base name that every file system, shell, spreadsheet, HTTP header and
 * web page can hold without giving it a meaning, and that still reads as the sender wrote it.
 */

/** NAME_MAX of Linux, and more than any NTFS or APFS name of the same characters needs. */
export const MAX_NAME_BYTES = 255;
/** A longer "extension" is part of the name, and is cut like it. */
const MAX_KEPT_EXTENSION_BYTES = 40;
const NO_NAME = 'file';

/**
 * Scripts whose spelling needs joiners within words (UAX 31, 2.3): Persian writes a prefix apart from its stem with one, Sinhala and
 * Bengali make conjuncts with one, Malayalam its final consonants.
 */
const JOINED_SCRIPTS =
  'Arabic Bengali Devanagari Gujarati Gurmukhi Kannada Khmer Malayalam Mongolian Myanmar Nko Oriya Sinhala Syriac Tamil Telugu Tibetan';
const JOINED = `[${JOINED_SCRIPTS.split(' ')
  .map((script) => `\\p{Script_Extensions=${script}}`)
  .join('')}]`;
/** Signs that take a consonant's vowel away: a joiner behind one is seen also at the end of a word. */
const VIRAMA = '[\u094D\u09CD\u0A4D\u0ACD\u0B4D\u0BCD\u0C4D\u0CCD\u0D4D\u0DCA\u1039\u17D2]';

/**
 * Invisible: controls, format characters (bidi, zero-width, tags), line and paragraph separators, lone surrogates,
 * noncharacters, and all that Unicode asks to be ignored where it is not supported (variation selectors, fillers).
 * Kept where they make what is seen: the joiner and the selector of an emoji, the selector of an ideograph, the joiners
 * between letters of scripts that are spelt with them.
 */
const INVISIBLE = new RegExp(
  [
    '(?!(?<=\\p{Extended_Pictographic}\\uFE0F?\\p{Emoji_Modifier}?)\\u200D(?=\\p{Extended_Pictographic}))',
    '(?!(?<=\\p{Extended_Pictographic})\\uFE0F)',
    '(?!(?<=[0-9#*])\\uFE0F(?=\\u20E3))',
    '(?!(?<=\\p{Script=Han})[\\u{E0100}-\\u{E01EF}])',
    `(?!(?<=(?=[\\p{L}\\p{M}])${JOINED})[\\u200C\\u200D](?=(?=[\\p{L}\\p{M}])${JOINED}))`,
    `(?!(?<=${VIRAMA})\\u200D)`,
    '[\\p{Cc}\\p{Cf}\\p{Cs}\\p{Zl}\\p{Zp}\\p{Default_Ignorable_Code_Point}\\p{Noncharacter_Code_Point}]',
  ].join(''),
  'gu',
);
/** Every space but the ideographic one, which Japanese names hold on purpose. */
const ODD_SPACE = /[\p{Zs}--[ \u3000]]/gv;
/** Forbidden on Windows, or with a meaning to a shell, cmd.exe, a URL decoder, HTML. */
const MEANINGFUL = /[<>:|?*`$;%^]/g;
/** Hidden files, options, home directories, formulas: what a first character can turn a name into. */
const LEADING = /^[-.~=+@＝＋－＠]+/u;
const ENDS = /^[ \u3000]+|[ .\u3000]+$/g;
/** Device names of Windows, also before an extension and with spaces after. CONIN$ and CONOUT$ have lost their $ by then. */
const RESERVED = /^(?:con|prn|aux|nul|clock_|conin_|conout_|(?:com|lpt)[0-9¹²³])[ \u3000]*(?:\.|$)/i;
const DRIVE = /^[a-z]:/i;

/**
 * A usable base name for any string: at most 255 bytes of UTF-8 in NFC, cut between graphemes with the extension kept,
 * never empty. Applied to its own result it changes nothing. Throws nothing.
 */
export function safeFileName(original: string): string {
  let name = original;
  // One step can uncover work for an earlier one (a cut can leave a space at the end); each pass only shortens or settles.
  for (let pass = 0; pass < 8; pass++) {
    const cleaned = clean(name);
    if (cleaned === name) break;
    name = cleaned;
  }
  return name;
}

function clean(original: string): string {
  const visible = original.replace(INVISIBLE, '').normalize('NFC');
  const segments = visible.split(/[/\\]/).filter((segment) => segment !== '');
  let name = segments.at(-1) ?? '';
  name = name
    .replace(DRIVE, '')
    .replace(ODD_SPACE, ' ')
    .replaceAll("'", '\u2019')
    .replaceAll('"', '\u201D')
    .replaceAll('&', '+')
    .replace(MEANINGFUL, '_')
    .replace(ENDS, '')
    .replace(LEADING, '_');
  if (name === '') return NO_NAME;
  if (RESERVED.test(name)) name = `_${name}`;
  return cut(name);
}

function cut(name: string): string {
  if (utf8Length(name) <= MAX_NAME_BYTES) return name;
  const dot = name.lastIndexOf('.');
  const extension = dot > 0 && utf8Length(name.slice(dot)) <= MAX_KEPT_EXTENSION_BYTES ? name.slice(dot) : '';
  const stem = takeBytes(name.slice(0, name.length - extension.length), MAX_NAME_BYTES - utf8Length(extension));
  return (stem.replace(ENDS, '') || NO_NAME) + extension;
}

function takeBytes(text: string, maxBytes: number): string {
  let end = 0;
  let bytes = 0;
  for (const { segment, index } of new Intl.Segmenter('und', { granularity: 'grapheme' }).segment(text)) {
    bytes += utf8Length(segment);
    if (bytes > maxBytes) break;
    end = index + segment.length;
  }
  return text.slice(0, end);
}

const encoder = new TextEncoder();

function utf8Length(text: string): number {
  return encoder.encode(text).length;
}

/**
 * The last extension of a name as it would be stored, in lower case, without its dot; '' where there is none.
 * What holds a space is no extension ("Dr. Smith").
 */
export function extensionOf(name: string): string {
  return /.\.([^.\s]+)$/u.exec(safeFileName(name))?.[1]?.toLowerCase() ?? '';
}

/** For what reads ASCII alone: letters without their marks, `_` for any other sign, and still a safe name. */
export function asciiFileName(name: string): string {
  if (/^[\x20-\x7e]*$/.test(name)) return name;
  const plain = name.normalize('NFD').replace(/\p{M}+/gu, '');
  return safeFileName([...plain].map((sign) => (/[\x20-\x7e]/.test(sign) ? sign : '_')).join(''));
}

/** The name of an upload that came without one: its id, and the extension of the type that was found. */
export function nameFromType(id: string, extension: string | null): string {
  return safeFileName(extension ? `${id}.${extension}` : id);
}

const MAX_PATH_BYTES = 1024;
const MAX_PATH_SEGMENTS = 32;

/**
 * The path a file had below the folder that was dropped, each segment safe and joined by `/`; undefined where it
 * climbs (`..`), is empty, or is longer than 1024 bytes or 32 segments. For the record only: nothing is stored under it.
 */
export function safeRelativePath(path: string): string | undefined {
  const segments = path
    .replace(INVISIBLE, '')
    .split(/[/\\]/)
    .filter((segment) => segment !== '' && segment !== '.');
  if (segments.length === 0 || segments.length > MAX_PATH_SEGMENTS || segments.some((segment) => segment.trim() === '..')) return undefined;
  const safe = segments.map(safeFileName).join('/');
  return utf8Length(safe) <= MAX_PATH_BYTES ? safe : undefined;
}
