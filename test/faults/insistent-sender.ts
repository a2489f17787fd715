// A sender that only a refusal stops: it asks HEAD, sends the next chunk, and repeats this as long as it takes. It checks that
// the server never goes back behind an acknowledged offset.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { OFFSET_CONTENT_TYPE, TUS_VERSION } from '../../shared/protocol.ts';
import { videoBytes } from '../support/content.ts';
import type { Random } from '../support/random.ts';
import { createUpload, headUpload, idOf } from '../support/tus-requests.ts';
import type { Sent } from './truth.ts';

/** The point at which a fault can hit the sender: in the middle of a body, or right after its last byte. */
export type Moment = 'body' | 'last byte';

export interface SendingOptions {
  random: Random;
  /** Resolves with the address of the collection once the sender may send. */
  whenOpen(): Promise<string>;
  onMoment?(moment: Moment): void;
}

export interface SenderOptions extends SendingOptions {
  /** Distinguishes this upload from all others. */
  number: number;
  maxBytes: number;
  /** Called as soon as the upload has an address. */
  onCreated(sent: Sent): void;
}

/** Answers that mean "try again": locked, on hold, a server fault. */
const TEMPORARY = [408, 409, 423, 460, 503, 507];
const PAUSE_MS = 20;

/** Resolves once the server answered the expected verdict. @throws on any other answer */
export async function sendInsistently(options: SenderOptions): Promise<void> {
  const { number, random, maxBytes } = options;
  // Small and large sizes, each order of magnitude equally likely.
  const bytes = await videoBytes(Math.round(100 * (maxBytes / 100) ** random.fraction()), number);
  const isRefused = random.happens(0.1);
  const name = `film-${number}.${isRefused ? 'png' : 'mp4'}`;
  const key = `"sender-${number}"`;
  for (;;) {
    const files = await options.whenOpen();
    const created = await createUpload(files, { length: bytes.length, name, headers: { 'Idempotency-Key': key } }).catch(ignoreBrokenLine);
    if (created?.status !== 201) {
      if (created !== undefined && !TEMPORARY.includes(created.status))
        throw new Error(`POST of ${name}: ${created.status} ${created.text}`);
      await sleep(PAUSE_MS);
      continue;
    }
    const sent: Sent = { id: idOf(created.url), name, bytes, acknowledged: 0, ending: isRefused ? 'rejected' : 'accepted' };
    options.onCreated(sent);
    return resumeInsistently(sent, options);
  }
}

/** Like `sendInsistently`, for an upload that already exists. */
export async function resumeInsistently(sent: Sent, options: SendingOptions): Promise<void> {
  for (;;) {
    const url = `${await options.whenOpen()}/${sent.id}`;
    const before = sent.acknowledged;
    const asked = await headUpload(url).catch(ignoreBrokenLine);
    if (asked?.status === 200 && asked.offset !== undefined) {
      if (asked.offset < before) throw new Error(`HEAD of ${sent.name} went back from ${before} to ${asked.offset}.`);
      sent.acknowledged = Math.max(sent.acknowledged, asked.offset);
      if (asked.offset === sent.bytes.length) return requireEnding(sent, 'accepted');
      const answer = await sendChunk(url, asked.offset, sent, options).catch(ignoreBrokenLine);
      if (answer?.status === 204) {
        if (answer.offset < asked.offset) throw new Error(`PATCH of ${sent.name} went back from ${asked.offset} to ${answer.offset}.`);
        sent.acknowledged = Math.max(sent.acknowledged, answer.offset);
        if (answer.offset === sent.bytes.length) return requireEnding(sent, 'accepted');
      } else if (answer?.status === 422) return requireEnding(sent, 'rejected');
      else if (answer && !TEMPORARY.includes(answer.status)) throw new Error(`PATCH of ${sent.name}: ${answer.status}`);
    } else if (asked && asked.status !== 423) throw new Error(`HEAD of ${sent.name}: ${asked.status}`);
    await sleep(PAUSE_MS);
  }
}

function requireEnding({ name, ending }: Sent, verdict: Sent['ending']): void {
  if (verdict !== ending) throw new Error(`The server told the sender of ${name} "${verdict}" instead of "${ending}".`);
}

/** Sends in pieces, with pauses, so that a fault hits a running request; every third chunk has its checksum. */
async function sendChunk(url: string, offset: number, { bytes }: Sent, { random, onMoment }: SendingOptions) {
  const end = random.happens(0.4) ? bytes.length : random.between(Math.min(offset + 1, bytes.length), bytes.length);
  const chunk = bytes.subarray(offset, end);
  const pieces = random.between(1, 4);
  const pauseMs = random.between(0, 30);
  const request = httpRequest(url, {
    method: 'PATCH',
    agent: false,
    headers: {
      'Tus-Resumable': TUS_VERSION,
      'Upload-Offset': offset,
      'Content-Type': OFFSET_CONTENT_TYPE,
      'Content-Length': chunk.length,
      ...(random.happens(0.3) ? { 'Upload-Checksum': `sha1 ${createHash('sha1').update(chunk).digest('base64')}` } : {}),
    },
  });
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  // Nothing awaits the answer while pieces are sent; and after an early answer the connection may break.
  answered.catch(() => undefined);
  request.on('error', () => undefined);
  const size = Math.ceil(chunk.length / pieces);
  for (let at = 0; at < chunk.length && !request.destroyed; at += size) {
    request.write(chunk.subarray(at, at + size));
    if (at + size < chunk.length) onMoment?.('body');
    await sleep(pauseMs);
  }
  request.end();
  if (end === bytes.length) onMoment?.('last byte');
  const [response] = await answered;
  response.resume();
  return { status: response.statusCode ?? 0, offset: Number(response.headers['upload-offset'] ?? 0) };
}

/** Ignores a broken connection: the server was killed, or is not up yet. @throws every other error */
function ignoreBrokenLine(error: unknown): undefined {
  if (error instanceof TypeError) return undefined;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (['ECONNRESET', 'ECONNREFUSED', 'EPIPE'].includes(code)) return undefined;
  throw error;
}
