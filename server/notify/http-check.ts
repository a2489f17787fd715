// A check by another program, asked over HTTP: the application behind Landfall, in any language.
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { z } from 'zod';
import { ERRORS, type ErrorCode, UploadError } from '../../shared/errors.ts';
import type { Json } from '../../shared/upload.ts';
import { type Check, CheckLater, type CheckOutcome, type Inspectable } from '../inspection/check.ts';
import { askExternal, type ExternalRequest, keepAlive } from '../inspection/external-request.ts';
import { Semaphore } from '../runtime/semaphore.ts';
import type { InternalListener } from './internal-listener.ts';

export interface HttpCheckOptions {
  /** The application's address; a user name and a password in it are sent along. */
  url: string;
  /** Gives the application the bytes. */
  listener: InternalListener;
  /** For this long the application may neither answer nor read. */
  silenceMs: number;
}

/** Most requests at once. */
const AT_ONCE = 16;
/** More than any result, answer and message need. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** The codes of a verdict on a file. The application may answer with no other code. */
const CODES = (Object.keys(ERRORS) as ErrorCode[]).filter((code) => ERRORS[code].status === 422 || ERRORS[code].status === 413);

const Answer = z
  .object({
    accept: z.literal(true).optional(),
    reject: z.object({ code: z.enum(CODES).default('ERR_CHECK_REFUSED'), detail: z.string().optional() }).optional(),
    later: z.number().nonnegative().optional(),
    result: z.unknown().optional(),
  })
  .refine(({ accept, reject, later }) => [accept, reject, later].filter((choice) => choice !== undefined).length === 1, {
    error: 'It does not have exactly one of accept, reject and later.',
  });

/** Every failure of this check is a fault of the server: the application is asked again, and no file is refused for it. */
export class HttpCheck implements Check {
  readonly name = 'application';
  readonly #options: HttpCheckOptions;
  readonly #semaphore = new Semaphore(AT_ONCE);

  constructor(options: HttpCheckOptions) {
    this.#options = options;
  }

  /** @throws UploadError ERR_CHECK_UNAVAILABLE, CheckLater, or the reason of the inspection's end */
  run(upload: Inspectable): Promise<CheckOutcome | undefined> {
    const { silenceMs: limitMs } = this.#options;
    const silenceError = () => unavailable(new Error(`The application neither answered nor read for ${limitMs} ms.`));
    return keepAlive(upload, limitMs, () =>
      askExternal(upload.signal, { limitMs, semaphore: this.#semaphore, silenceError }, (request) => this.#ask(upload, request)),
    );
  }

  async #ask(upload: Inspectable, request: ExternalRequest): Promise<CheckOutcome | undefined> {
    const { url, listener } = this.#options;
    const content = listener.offer(upload, request.progress);
    const { type, scan } = upload.found;
    const question = { record: { ...upload.record, type, ...(scan && { scan }) }, content: content.url };
    try {
      return outcomeOf(await post(url, JSON.stringify(question), request.signal));
    } catch (cause) {
      request.signal.throwIfAborted();
      throw cause instanceof CheckLater ? cause : unavailable(cause);
    } finally {
      content.withdraw();
    }
  }
}

/** @throws CheckLater, or the mistake in the answer */
function outcomeOf(text: string): CheckOutcome | undefined {
  const { reject, later, result } = Answer.parse(JSON.parse(text));
  if (later !== undefined) throw new CheckLater(later * 1000);
  const attached = result === undefined ? undefined : { result: result as Json };
  if (reject === undefined) return attached;
  return { code: reject.code, ...(reject.detail !== undefined && { detail: reject.detail }), ...attached };
}

/** Resolves to the body of a 200. Opens a connection of its own, because the other side may have closed an idle one. @throws otherwise */
async function post(url: string, body: string, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const send = url.startsWith('https:') ? httpsRequest : httpRequest;
  const headers = {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    Accept: 'application/json',
    'User-Agent': 'landfall-server',
  };
  const request = send(url, { method: 'POST', headers, agent: false, signal }, async (response) => {
    try {
      let bytes = 0;
      const pieces: Buffer[] = [];
      for await (const piece of response as AsyncIterable<Buffer>) {
        bytes += piece.byteLength;
        if (bytes > MAX_ANSWER_BYTES) throw new Error('The answer is too long.');
        pieces.push(piece);
      }
      if (response.statusCode !== 200) throw new Error(`The application answered ${response.statusCode}.`);
      resolve(Buffer.concat(pieces).toString());
    } catch (error) {
      reject(error);
    } finally {
      request.destroy();
    }
  });
  request.on('error', reject);
  request.end(body);
  return promise;
}

function unavailable(cause: unknown): UploadError {
  return new UploadError('ERR_CHECK_UNAVAILABLE', { cause });
}
