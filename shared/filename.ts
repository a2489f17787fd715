/**
 * Makes the name of a sender safe: a base name that has no special meaning to any file system, shell, spreadsheet, HTTP header or web
 * page, and that people still read as the sender's name.
 */

/** NAME_MAX of Linux, and more than any NTFS or APFS name of the same characters needs. */
export const MAX_NAME_BYTES = 255;
/** A longer "extension" counts as part of the stem and is cut like it. */
const MAX_KEPT_EXTENSION_BYTES = 40;
const NO_NAME = 'file';

/**
 * Scripts whose spelling needs joiners within words (UAX 31, 2.3): Persian separates a prefix from its stem with one, Sinhala and
 * Bengali form conjuncts with one, and Malayalam its final consonants.
 */
const JOINED_SCRIPTS =
  'Arabic Bengali Devanagari Gujarati Gurmukhi Kannada Khmer Malayalam Mongolian Myanmar Nko Oriya Sinhala Syriac Tamil Telugu Tibetan';
const JOINED = `[${JOINED_SCRIPTS.split(' ')
  .map((script) => `\\p{Script_Extensions=${script}}`)
  .join('')}]`;
/** Signs that remove a consonant's vowel. A joiner after one is visible at the end of a word too. */
const VIRAMA = '[\u094D\u09CD\u0A4D\u0ACD\u0B4D\u0BCD\u0C4D\u0CCD\u0D4D\u0DCA\u1039\u17D2]';

/**
 * Invisible characters: controls, format characters (bidi, zero-width, tags), line and paragraph separators, lone surrogates,
 * noncharacters, and default-ignorable code points (variation selectors, fillers). Except those that change what is visible: the
 * joiner and the selector of an emoji, the selector of an ideograph, and joiners between letters of scripts that need them.
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
/** Every space except the ideographic one, which Japanese names contain on purpose. */
const ODD_SPACE = /[\p{Zs}--[ \u3000]]/gv;
/** Characters that are forbidden on Windows, or special to a shell, cmd.exe, a URL decoder or HTML. */
const MEANINGFUL = /[<>:|?*`$;%^]/g;
/** First characters that would make the name a hidden file, an option, a home directory or a formula. */
const LEADING = /^[-.~=+@＝＋－＠]+/u;
const ENDS = /^[ \u3000]+|[ .\u3000]+$/g;
/** Device names of Windows, also before an extension or spaces. The $ of CONIN$ and CONOUT$ is replaced before this test. */
const RESERVED = /^(?:con|prn|aux|nul|clock_|conin_|conout_|(?:com|lpt)[0-9¹²³])[ \u3000]*(?:\.|$)/i;
const DRIVE = /^[a-z]:/i;
/** Names that no step below changes, unless they are reserved or too long: most names, and the result of each earlier call. */
const PLAIN = /^\w(?:[\w .()+-]*[\w)])?$/;

/**
 * Makes a safe base name of any string: at most 255 bytes of UTF-8 in NFC, cut between graphemes, with the extension kept, and never
 * empty. Idempotent. Never throws.
 */
export function safeFileName(original: string): string {
  if (PLAIN.test(original) && original.length <= MAX_NAME_BYTES && !RESERVED.test(original)) return original;
  let name = original;
  // A step can make an earlier one necessary again, as when a cut leaves a space at the end. Each pass shortens the name or ends the loop.
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
 * The last extension of the safe name, in lower case, without its dot; '' when there is none. An extension contains no space
 * ("Dr. Smith").
 */
export function extensionOf(name: string): string {
  return /.\.([^.\s]+)$/u.exec(safeFileName(name))?.[1]?.toLowerCase() ?? '';
}

/** A safe name in ASCII: letters without their marks, and `_` for every other character. */
export function asciiFileName(name: string): string {
  if (/^[\x20-\x7e]*$/.test(name)) return name;
  const plain = name.normalize('NFD').replace(/\p{M}+/gu, '');
  return safeFileName([...plain].map((sign) => (/[\x20-\x7e]/.test(sign) ? sign : '_')).join(''));
}

/** The name of an upload without a name: its id, and the extension of the detected type. */
export function nameFromType(id: string, extension: string | null): string {
  return safeFileName(extension ? `${id}.${extension}` : id);
}

const MAX_PATH_BYTES = 1024;
const MAX_PATH_SEGMENTS = 32;

/**
 * The path of a file in its folder, with safe segments joined by `/`; undefined when the path contains `..`, is empty, or is longer
 * than 1024 bytes or 32 segments. Only for the record: the server does not store files under it.
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
