// Requests written byte by byte, for input that no HTTP client sends.
import { connect, type Socket } from 'node:net';
import { OFFSET_CONTENT_TYPE, TUS_VERSION } from '../../shared/protocol.ts';

export interface RawAnswer {
  /** 0 without an answer. */
  status: number;
  /** Names in lower case. */
  headers: Map<string, string>;
  body: string;
  /** All received text. */
  text: string;
}

/** Lines of a request's head joined as HTTP requires, with the empty line. */
export function head(...lines: string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** The head of a PATCH that declares this many bytes from this offset on. */
export function patchHead(url: string, offset: number, length: number): string {
  return head(
    `PATCH ${new URL(url).pathname} HTTP/1.1`,
    'Host: localhost',
    `Tus-Resumable: ${TUS_VERSION}`,
    `Upload-Offset: ${offset}`,
    `Content-Type: ${OFFSET_CONTENT_TYPE}`,
    `Content-Length: ${length}`,
  );
}

/** After an interim answer (100, 104), the final one may take long on a busy machine. */
const FINAL_LIMIT_MS = 60_000;

/**
 * Sends the pieces and reads until the other side ends the connection, or until `patienceMs` after the last received byte of a final
 * answer. A reset counts as an end.
 */
export async function rawRequest(url: string, pieces: readonly (string | Uint8Array)[], patienceMs = 1000): Promise<RawAnswer> {
  const socket = await openSocket(url);
  const chunks: Buffer[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  let timer = setTimeout(resolve, patienceMs * 3);
  socket.on('data', (chunk) => {
    chunks.push(chunk);
    clearTimeout(timer);
    timer = setTimeout(resolve, isInterim(chunks) ? FINAL_LIMIT_MS : patienceMs);
  });
  socket.once('close', () => resolve());
  for (const piece of pieces) socket.write(piece);
  await promise;
  clearTimeout(timer);
  socket.destroy();
  return parseAnswer(Buffer.concat(chunks).toString('latin1'));
}

/** True while the final answer has not begun. */
function isInterim(chunks: readonly Buffer[]): boolean {
  return parseAnswer(Buffer.concat(chunks).toString('latin1')).status === 0;
}

export async function openSocket(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return socket;
}

export function parseAnswer(text: string): RawAnswer {
  // An interim answer (100, 104) comes before the final one.
  const final = text.replace(/^(?:HTTP\/1\.1 1\d\d[^\r]*\r\n(?:[^\r]+\r\n)*\r\n)+/, '');
  const end = final.indexOf('\r\n\r\n');
  const [statusLine = '', ...lines] = final.slice(0, end === -1 ? undefined : end).split('\r\n');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status: Number(statusLine.split(' ')[1] ?? 0), headers, body: end === -1 ? '' : final.slice(end + 4), text };
}
