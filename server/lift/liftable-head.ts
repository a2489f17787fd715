// Which requests are lifted, by their head alone. Whoever stands before this server must not see another head than the parser does,
// so the rule is narrower than the grammar: what it takes, every parser reads in one way. All else is the parser's to judge: a bare
// LF, a folded line, a tab, a doubled length, an absolute address, HTTP/1.0, a byte outside of ASCII.

import { maxHeaderSize, type Server } from 'node:http';

export interface LiftableHead {
  /** Of the head, with the empty line. */
  bytes: number;
  contentLength: string;
  /** What the parser is given: the same head, of a request without a body. */
  emptied: Buffer;
}

/** tus 1.0.0; draft-ietf-httpbis-resumable-upload; what a plain PUT says of bytes. */
const CONTENT_TYPES: Readonly<Record<string, readonly string[]>> = {
  PATCH: ['application/offset+octet-stream', 'application/partial-upload'],
  PUT: ['application/octet-stream'],
};
/** An upload's address, below any mount, without a query. */
const REQUEST_LINE = /^(PATCH|PUT) \/(?:[\w.~-]+\/)*files\/[\w.~+-]+ HTTP\/1\.1$/;
/** RFC 9110, 5.1 and 5.5: a token, a colon, one space, visible ASCII with spaces between. */
const FIELD = /^([!#$%&'*+\-.^_`|~\dA-Za-z]+): ([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)$/;
const LENGTH = /^[1-9]\d{0,14}$/;
/** What frames a message in another way, or is answered before its body. */
const NEVER = new Set(['transfer-encoding', 'expect', 'upgrade', 'trailer', 'te', 'proxy-connection', 'http2-settings']);
const ONCE = ['host', 'content-length', 'content-type', 'connection'];

export interface HeadLimits {
  /** A body of fewer bytes is not lifted. */
  fromBytes: number;
  /** What the parser takes is no less than these. */
  mostBytes: number;
  mostFields: number;
}

export function headLimits(server: Pick<Server, 'maxHeadersCount'> & { maxHeaderSize?: number }, fromBytes: number): HeadLimits {
  return { fromBytes, mostBytes: (server.maxHeaderSize || maxHeaderSize) - 1, mostFields: Math.min(server.maxHeadersCount || 64, 64) };
}

/** Undefined for what is not lifted. */
export function liftableHead(bytes: Buffer, { fromBytes, mostBytes, mostFields }: HeadLimits): LiftableHead | undefined {
  // P, then A or U: most reads are told by this.
  if (bytes[0] !== 0x50 || (bytes[1] !== 0x41 && bytes[1] !== 0x55)) return undefined;
  const end = bytes.subarray(0, mostBytes).indexOf('\r\n\r\n', 0, 'latin1');
  if (end === -1) return undefined;
  const [requestLine = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const method = REQUEST_LINE.exec(requestLine)?.[1];
  const fields = method === undefined || lines.length > mostFields ? undefined : fieldsOf(lines);
  if (method === undefined || fields === undefined) return undefined;
  const contentLength = fields.get('content-length') ?? '';
  const type = fields.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (!fields.has('host') || !LENGTH.test(contentLength) || Number(contentLength) < fromBytes) return undefined;
  if (!CONTENT_TYPES[method]?.includes(type) || !/^(?:keep-alive|close)?$/i.test(fields.get('connection') ?? '')) return undefined;
  const emptied = [requestLine, ...lines.map((line) => line.replace(/^(content-length: ).*/i, '$10'))];
  return { bytes: end + 4, contentLength, emptied: Buffer.from(`${emptied.join('\r\n')}\r\n\r\n`, 'latin1') };
}

/** Undefined where one is not as every parser reads it, or changes what a body is. */
function fieldsOf(lines: readonly string[]): Map<string, string> | undefined {
  const fields = new Map<string, string>();
  for (const line of lines) {
    const [, spelt = '', value = ''] = FIELD.exec(line) ?? [];
    const name = spelt.toLowerCase();
    if (name === '' || NEVER.has(name) || (ONCE.includes(name) && fields.has(name))) return undefined;
    fields.set(name, value);
  }
  return fields;
}
