/** Enough of XML to search a part for words, however they are written. */

const CDATA = '<![CDATA[';

/** By the byte order mark or the first letter; without one, in Latin-1: the words that are searched for are ASCII. */
export function decodeXml(bytes: Buffer): string {
  const start = bytes.toString('hex', 0, 2);
  if (start === 'fffe' || start === '3c00') return bytes.toString('utf16le');
  if (start !== 'feff' && start !== '003c') return bytes.toString('latin1');
  return Buffer.from(bytes.subarray(0, bytes.length & ~1))
    .swap16()
    .toString('utf16le');
}

const BYTE_ORDER_MARK = /^(?:\ufeff|\xef\xbb\xbf)/;
/** ASCII letters stand for themselves in these. */
const ENCODING = /^(?:utf-?8|utf-?16(?:[bl]e)?|us-ascii|ascii|iso-8859-\d+|windows-125\d)$/i;

/** False for a text in an unusual encoding, or with a document type: packages have none (ECMA-376 part 2), and it may declare entities. */
export function isPlainXml(text: string): boolean {
  const start = text.replace(BYTE_ORDER_MARK, '').trimStart();
  const encoding = /^<\?xml[^>]*\sencoding\s*=\s*["']([^"']*)/.exec(start)?.[1];
  return start.startsWith('<') && !/<!DOCTYPE/i.test(start) && (encoding === undefined || ENCODING.test(encoding));
}

const NAMED: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/** Replaces character references and the five entities of XML. */
export function resolveReferences(text: string): string {
  return text.replace(/&(?:#x([\da-f]+)|#(\d+)|(lt|gt|amp|quot|apos));/gi, (reference, hex?: string, decimal?: string, name?: string) => {
    if (name !== undefined) return NAMED[name] ?? reference;
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : reference;
  });
}

/** The text between the tags. Without a pattern, which would take long for many tags that are not closed. */
export function textContent(text: string): string {
  const pieces: string[] = [];
  for (let at = 0; at < text.length; ) {
    const tag = text.indexOf('<', at);
    pieces.push(resolveReferences(text.slice(at, tag === -1 ? text.length : tag)));
    if (tag === -1) break;
    const isData = text.startsWith(CDATA, tag);
    const end = text.indexOf(isData ? ']]>' : '>', tag);
    if (isData || end === -1) pieces.push(text.slice(isData ? tag + CDATA.length : tag, end === -1 ? text.length : end));
    if (end === -1) break;
    at = end + (isData ? 3 : 1);
  }
  return pieces.join('');
}
