// Decides from the head alone whether a request is lifted. A proxy in front of this server must never see another head than this code
// does, so the rule is narrower than HTTP's grammar: it accepts only heads that every parser reads in the same way. All other heads go to
// the parser, such as one with a bare LF, a folded line, a tab, a repeated Content-Length, an absolute target, or a byte outside ASCII.
import { maxHeaderSize } from 'node:http';
import type { NodeServer } from './node-internals.ts';

export interface LiftableHead {
  /** Length of the head, with its empty line. */
  bytes: number;
  contentLength: string;
  /** The head that the parser gets: the same, but with `Content-Length: 0`. */
  emptied: Buffer;
}

/** Media types of tus 1.0.0, draft-ietf-httpbis-resumable-upload, and of a plain PUT. */
const CONTENT_TYPES = new Set([
  'PATCH application/offset+octet-stream',
  'PATCH application/partial-upload',
  'PUT application/octet-stream',
]);
/** The path of an upload below any mount, without a query. */
const REQUEST_LINE = /^(PATCH|PUT) \/(?:[\w.~-]+\/)*files\/[\w.~+-]+ HTTP\/1\.1$/;
/** RFC 9110, 5.1 and 5.5: a token, a colon, one space, visible ASCII with spaces between. */
const FIELD = /^([!#$%&'*+\-.^_`|~\dA-Za-z]+): ([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)$/;
/** Fields that frame the message differently, or ask for a response before the body. */
const NEVER = new Set(['transfer-encoding', 'expect', 'upgrade', 'trailer', 'te', 'proxy-connection', 'http2-settings']);
const ONCE = new Set(['host', 'content-length', 'content-type', 'connection']);
const MOST_FIELDS = 64;

/** Returns undefined when the request is not lifted. The server's limits for heads apply. */
export function liftableHead(bytes: Buffer, fromBytes: number, server: NodeServer): LiftableHead | undefined {
  // PATCH and PUT begin with PA and PU. Most bytes that are no liftable head are recognised here.
  if (bytes[0] !== 0x50 || (bytes[1] !== 0x41 && bytes[1] !== 0x55)) return undefined;
  const end = bytes.subarray(0, (server.maxHeaderSize || maxHeaderSize) - 1).indexOf('\r\n\r\n', 0, 'latin1');
  const [requestLine = '', ...lines] = end === -1 ? [] : bytes.toString('latin1', 0, end).split('\r\n');
  const method = REQUEST_LINE.exec(requestLine)?.[1];
  if (method === undefined || lines.length > Math.min(server.maxHeadersCount || MOST_FIELDS, MOST_FIELDS)) return undefined;
  const fields = new Map<string, string>();
  for (const line of lines) {
    const [, spelt = '', value = ''] = FIELD.exec(line) ?? [];
    const name = spelt.toLowerCase();
    if (name === '' || NEVER.has(name) || (ONCE.has(name) && fields.has(name))) return undefined;
    fields.set(name, value);
  }
  const contentLength = fields.get('content-length') ?? '';
  const type = fields.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase();
  if (!fields.has('host') || !/^[1-9]\d{0,14}$/.test(contentLength) || Number(contentLength) < fromBytes) return undefined;
  if (!CONTENT_TYPES.has(`${method} ${type}`) || !/^(?:keep-alive|close)?$/i.test(fields.get('connection') ?? '')) return undefined;
  const emptied = [requestLine, ...lines.map((line) => line.replace(/^(content-length: ).*/i, '$10'))].join('\r\n');
  return { bytes: end + 4, contentLength, emptied: Buffer.from(`${emptied}\r\n\r\n`, 'latin1') };
}
