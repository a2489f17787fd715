// Connections as senders, proxies and attackers make them: uploads among other requests, one behind the other, with heads in their
// bodies, wrong in one place, cut into pieces anywhere.
import type { Random } from '../support/random.ts';
import type { Conversation } from './lift-differential.ts';

const UPLOAD = 'Content-Type: application/offset+octet-stream';
const NASTY = ['\r', '\n', '\r\n', '\0', '\t', ' ', '\x80', '\xff', ':', ',', ';', '"', '\x7f', '\v', '0', 'a'];
const LINES = [
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: identity',
  'transfer-encoding:\tchunked',
  'Expect: 100-continue',
  'Upgrade: websocket',
  'Connection: upgrade',
  'Connection: close',
  'Connection: keep-alive',
  'Connection: close, keep-alive',
  'Keep-Alive: timeout=5',
  'Proxy-Connection: close',
  'Content-Length: 3',
  'Content-Length : 3',
  'Content-Length:3',
  'Content-Length: 3, 3',
  'Content-Length: +3',
  'Content-Length: 03',
  'Content-Length: 0x3',
  'Content-Length: 99999999999999999999',
  'Content-Length:',
  ' folded',
  '\tfolded',
  ': no name',
  'no colon',
  'Host: other',
  'X-Long: '.padEnd(9000, 'x'),
  'X-Much: '.padEnd(17_000, 'x'),
  'X-Spaces:   a  ',
  'Trailer: X',
  'TE: trailers',
];
const REQUEST_LINES = [
  'PATCH /files/a HTTP/1.0',
  'PATCH http://localhost/files/a HTTP/1.1',
  'PATCH  /files/a HTTP/1.1',
  'PATCH /files/a  HTTP/1.1',
  'patch /files/a HTTP/1.1',
  'PATCH /files/a',
  'PATCH * HTTP/1.1',
  'PATCH /files/a?b=/files/c HTTP/1.1',
  'PATCH /files/%61 HTTP/1.1',
  'PATCH /files/a HTTP/1.1 ',
  'PATCH /files/a HTTP/1.2',
  'CONNECT localhost:80 HTTP/1.1',
];

function upload(random: Random, body: string, length = body.length): string {
  const lines = [
    `${random.pick(['PATCH', 'PATCH', 'PUT'])} /${random.pick(['', 'uploads/', 'a/b/'])}files/${random.pick(['a', 'b', 'as'])} HTTP/1.1`,
    'Host: localhost',
    'Tus-Resumable: 1.0.0',
    `${random.pick(['Content-Length', 'content-length', 'CONTENT-LENGTH'])}: ${length}`,
    random.happens(0.8) ? UPLOAD : 'Content-Type: application/octet-stream',
  ];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** A request that is always lifted. */
function append(body: string): string {
  return `PATCH /files/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n${UPLOAD}\r\n\r\n${body}`;
}

function other(random: Random): string {
  const chunked = '5\r\nhello\r\n3;a=b\r\nPUT\r\n0\r\n\r\n';
  return random.pick([
    'GET /files/a HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'POST /files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nPATCH',
    `PATCH /files/a HTTP/1.1\r\nHost: localhost\r\n${UPLOAD}\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`,
    'DELETE /files/a HTTP/1.1\r\nHost: localhost\r\n\r\n',
    '\r\n',
    '\r\n\r\n',
  ]);
}

/** Bytes that look like more than they are. */
function bodyFor(random: Random): string {
  switch (random.between(0, 5 - 1)) {
    case 0:
      return upload(random, 'smuggled');
    case 1:
      return `${'x'.repeat(random.between(0, 300 - 1))}\r\n\r\n${other(random)}`;
    case 2:
      return upload(random, upload(random, 'deeper'));
    case 3:
      return 'PATCH'.repeat(random.between(1, 20));
    default:
      return 'b'.repeat(1 + random.between(0, random.happens(0.05) ? 300_000 : 200));
  }
}

function mutate(random: Random, text: string): string {
  const end = text.indexOf('\r\n\r\n');
  const lines = text.slice(0, end).split('\r\n');
  const rest = text.slice(end);
  const at = random.between(0, end + 4 - 1);
  switch (random.between(0, 8 - 1)) {
    case 0:
      return text.slice(0, at) + random.pick(NASTY) + text.slice(at);
    case 1:
      return text.slice(0, at) + random.pick(NASTY) + text.slice(at + 1);
    case 2:
      return text.slice(0, at) + text.slice(at + 1);
    case 3:
      return text.replace(/\r\n/, '\n');
    case 4:
      return [random.pick(REQUEST_LINES), ...lines.slice(1)].join('\r\n') + rest;
    case 5:
      return [...lines, random.pick(lines.slice(1))].join('\r\n') + rest;
    case 6: {
      const place = random.between(1, lines.length);
      return [...lines.slice(0, place), random.pick(LINES), ...lines.slice(place)].join('\r\n') + rest;
    }
    default:
      return lines.filter((_, index) => index !== random.between(1, lines.length - 1)).join('\r\n') + rest;
  }
}

function split(random: Random, bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.byteLength; ) {
    const most = random.pick([1, 3, 20, 200, 100_000, 1_000_000]);
    const end = Math.min(bytes.byteLength, at + random.between(1, most));
    // Few enough for a connection of many bytes.
    const next = pieces.length < 24 ? end : bytes.byteLength;
    pieces.push(bytes.subarray(at, next));
    at = next;
  }
  return pieces;
}

/** One to six requests on one connection. */
export function conversation(random: Random): { conversation: Conversation; requests: number } {
  const requests = random.between(1, 6);
  const whole = Array.from({ length: requests }, () => (random.happens(0.7) ? upload(random, bodyFor(random)) : other(random)));
  const texts = whole.map((text) => (random.happens(0.25) ? mutate(random, text) : text));
  if (random.happens(0.1)) texts.push(upload(random, 'short', 5 + random.between(0, 200 - 1)));
  const bytes = texts.map((text) => Buffer.from(text, 'latin1'));
  const all = Buffer.concat(bytes);
  const pieces = random.happens(0.3)
    ? bytes
    : random.happens(0.3)
      ? [all]
      : split(random, random.happens(0.1) ? all.subarray(0, random.between(0, all.byteLength - 1)) : all);
  return { conversation: { pieces, end: random.happens(0.95) ? 'end' : 'reset' }, requests };
}

/** An upload with a head in its body and one behind it, cut in two at each byte, and ended at each byte. */
export function* cuts(): Generator<Conversation> {
  const bytes = Buffer.from(append(append('smuggled')) + append('second'), 'latin1');
  for (let at = 1; at < bytes.byteLength; at += 1) {
    yield { pieces: [bytes.subarray(0, at), bytes.subarray(at)], end: 'end' };
    yield { pieces: [bytes.subarray(0, at)], end: 'end' };
    yield { pieces: [bytes.subarray(0, at)], end: 'reset' };
  }
}
