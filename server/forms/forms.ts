// Uploads by `<form enctype="multipart/form-data">` and `curl -F`. They cannot be resumed; everything else is as with tus.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { UploadError } from '../../shared/errors.ts';
import { formatMetadata } from '../../shared/metadata.ts';
import { SENDER_METADATA } from '../../shared/protocol.ts';
import type { Downloads } from '../access/downloads.ts';
import type { Access, Identity } from '../access/identity.ts';
import { linkTokenIn } from '../access/links.ts';
import { awaitVerdict } from '../finish/await-verdict.ts';
import { toRecord } from '../finish/record.ts';
import { requireNotRefused } from '../finish/verdict-answers.ts';
import { answerOptions, methodNotAllowed } from '../http/methods.ts';
import { closeAfterAnswer } from '../http/request-guard.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload } from '../ledger/upload.ts';
import { newUploadId, type UploadId } from '../ledger/upload-id.ts';
import { onAbort } from '../runtime/on-abort.ts';
import { tooLarge } from '../staging/admission.ts';
import { memoryBody } from '../staging/body-source.ts';
import { endReceiving } from '../staging/end-receiving.ts';
import { faultOf } from '../staging/faults.ts';
import type { WaitForRoom } from '../staging/reservations.ts';
import { streamBody } from '../staging/stream-source.ts';
import { wrongMediaType } from '../tus/headers.ts';
import type { FormResult } from './form-page.ts';
import { asFormError, boundaryOf, isFarFromOver, parserOf, sentName, watchPace } from './form-parser.ts';
import { answerResults, refused } from './form-results.ts';
import { type PlainFile, readPlainForm } from './plain-form.ts';
import { Turns } from './turns.ts';
import { WholeFiles, type WholeFilesOptions } from './whole-files.ts';

/** Fields with which a guest may introduce himself; they come before the files. */
const SENDER_FIELDS: readonly string[] = [SENDER_METADATA.name, SENDER_METADATA.message];
const MAX_KEPT_LENGTH = 400;
/** Most files in one form, more than a person picks. Each is its own upload. */
const MAX_FILES = 1000;

export interface FormsOptions extends WholeFilesOptions {
  ledger: Ledger;
  access: Access;
  downloads: Downloads;
  maxUploadBytes: number;
  patienceMs: number;
  keepRecordsForMs: number;
  bodyTimeoutMs: number;
  draining: AbortSignal;
}

export class Forms {
  readonly #options: FormsOptions;
  readonly #wholeFiles: WholeFiles;

  constructor(options: FormsOptions) {
    this.#options = options;
    this.#wholeFiles = new WholeFiles(options);
  }

  /**
   * @param isMultiple true: the answer is a list, also for a single file
   * @throws UploadError for a request that is not a form. The results of its files are in the response
   */
  async answer(request: IncomingMessage, response: ServerResponse, isMultiple: boolean, collectionUrl: string): Promise<void> {
    if (request.method === 'OPTIONS') {
      // The preflight of a page on another origin that sends an Authorization header.
      answerOptions(response, 'OPTIONS, POST');
      return;
    }
    requireForm(request, 'OPTIONS, POST');
    const identity = await this.#options.access(request, 'create');
    const results = await this.#readFiles(request, response, isMultiple, { identify: async () => identity, keeps: [], collectionUrl });
    if (results.length === 0) throw new UploadError('ERR_INVALID_FORM', { detail: 'Choose a file first.' });
    if (!request.complete) closeAfterAnswer(request, response);
    answerResults(request, response, results, { isMultiple: isMultiple || results.length > 1, collectionUrl, home: '' });
  }

  /**
   * The form of an upload link, for guests without script. Only script can read the token behind the # of the address, so the guest
   * pastes the address into a field, which comes before the files.
   */
  async answerLink(request: IncomingMessage, response: ServerResponse, collectionUrl: string): Promise<void> {
    requireForm(request, 'POST');
    const sender: Sender = {
      identify: async (fields) => {
        const token = linkTokenIn(fields.get('link') ?? '');
        if (token === undefined) throw new UploadError('ERR_UNAUTHORIZED', { detail: 'Paste the whole address that you were given.' });
        // From here on, the token counts as the request's own.
        request.headers.authorization = `Bearer ${token}`;
        return this.#options.access(request, 'create');
      },
      keeps: SENDER_FIELDS,
      collectionUrl,
    };
    let results: FormResult[];
    try {
      results = await this.#readFiles(request, response, true, sender);
      if (results.length === 0) throw new UploadError('ERR_INVALID_FORM', { detail: 'Choose a file first.' });
    } catch (thrown) {
      // The browser shows the response as a page, so the error is rendered as a result.
      results = [refused('', faultOf(thrown))];
    }
    if (!request.complete) closeAfterAnswer(request, response);
    answerResults(request, response, results, { isMultiple: results.length > 1, collectionUrl, home: 'link' });
  }

  /** Reads the form to its end. When a form with a single file has a long rest, it is read only until that file is refused. */
  async #readFiles(request: IncomingMessage, response: ServerResponse, isMultiple: boolean, sender: Sender): Promise<FormResult[]> {
    const { draining, bodyTimeoutMs } = this.#options;
    const results: Promise<FormResult | undefined>[] = [];
    const fields = new Map<string, string>();
    const boundary = boundaryOf(request);
    const isWhole = this.#wholeFiles.isFor(request);
    const form = isWhole ? await this.#wholeFiles.read(request, draining) : undefined;
    const plain = form && readPlainForm(form, boundary);
    if (plain !== undefined) return [await this.#takePlain(plain, sender)].filter((result) => result !== undefined);
    let identifying: Promise<Identity> | undefined;
    const left = new AbortController();
    const onLeft = () => left.abort();
    const turns = new Turns(this.#options.patienceMs, left.signal);
    const { promise: over, resolve: stop } = Promise.withResolvers<UploadError | undefined>();
    const { heads, parser } = parserOf(boundary);
    // Failing the parser fails the file that is being read, and no earlier file.
    const fail = (error: UploadError) => {
      stop(error);
      parser.destroy(error);
    };
    parser.on('field', (name, value) => fields.set(name, value));
    parser.on('file', (_field, stream, { filename }) => {
      const broken = new AbortController();
      stream.on('error', (cause) => broken.abort(asFormError(cause)));
      if (results.length >= MAX_FILES) {
        stream.resume();
        if (results.length > MAX_FILES) return;
        const error = new UploadError('ERR_INVALID_FORM', { detail: `A form takes at most ${MAX_FILES} files.` });
        results.push(Promise.resolve(refused(sentName(filename), error)));
        return;
      }
      const name = sentName(filename);
      // Uses the fields before the first file.
      identifying ??= sender.identify(fields);
      const taking = identifying.then(
        (identity) => {
          const by = { identity, collectionUrl: sender.collectionUrl, kept: keptOf(fields, sender), isWhole };
          return turns.take((waitForRoom) => this.#take(stream, name, by, broken.signal, waitForRoom));
        },
        (error: unknown) => {
          stream.resume();
          // Without an identity, all other files would be refused, too.
          if (isFarFromOver(request)) stop(undefined);
          throw error;
        },
      );
      const result = taking.catch((error) => refused(name, faultOf(error)));
      results.push(result);
      if (isMultiple) return;
      void result.then((refusal) => {
        if (refusal?.error && results.length === 1 && isFarFromOver(request)) stop(undefined);
      });
    });
    parser.on('close', () => stop(undefined));
    parser.on('error', (cause) => stop(asFormError(cause)));
    const onClose = () => {
      if (!request.complete) fail(new UploadError('ERR_INVALID_FORM', { detail: 'The form was cut off.' }));
    };
    const onDraining = () => fail(faultOf(draining.reason));
    const watch = setInterval(
      watchPace(request, () => fail(new UploadError('ERR_BODY_TIMEOUT'))),
      bodyTimeoutMs,
    );
    response.once('close', onClose);
    response.once('close', onLeft);
    const stay = onAbort(draining, onLeft);
    const forget = onAbort(draining, onDraining);
    if (draining.aborted) onDraining();
    const source = form === undefined ? request : Readable.from([form], { objectMode: false });
    source.pipe(heads).pipe(parser);
    const failure = await over;
    source.unpipe(heads);
    clearInterval(watch);
    response.off('close', onClose);
    forget();

    const ended = (await Promise.all(results)).filter((result) => result !== undefined);
    response.off('close', onLeft);
    stay();
    if (failure === undefined) return ended;
    // Files that were complete before the form failed have their own verdicts, which the sender must learn.
    const decided = ended.filter(({ error }) => error?.code !== failure.code);
    if (decided.length === 0) throw failure;
    return [...decided, refused('', failure)];
  }

  async #takePlain({ filename, bytes }: PlainFile, sender: Sender): Promise<FormResult | undefined> {
    const { collectionUrl } = sender;
    try {
      const identity = await sender.identify(new Map());
      return await this.#take(bytes, filename, { identity, collectionUrl, kept: [], isWhole: true }, this.#options.draining);
    } catch (error) {
      return refused(filename, faultOf(error));
    }
  }

  /**
   * Receives one file and waits for its verdict. Resolves to undefined for an empty file field.
   * @param file its bytes, or a stream of them
   */
  async #take(
    file: Readable | Buffer,
    name: string,
    { identity, collectionUrl, kept, isWhole }: FileSender,
    signal: AbortSignal,
    waitForRoom?: WaitForRoom,
  ): Promise<FormResult | undefined> {
    const { ledger, receiver, inspectionStarts, downloads } = this.#options;
    const maxUploadBytes = Math.min(this.#options.maxUploadBytes, identity.limits.maxUploadBytes ?? Number.POSITIVE_INFINITY);
    let upload: Upload | undefined;
    try {
      const metadata = new Map(name === '' ? kept : [['filename', name], ...kept]);
      const rawMetadata = kept.length === 0 ? '' : formatMetadata(metadata);
      const creation = { id: newUploadId(), grantee: identity, metadata, rawMetadata, idempotencyKey: null, waitForRoom };
      const isRead = Buffer.isBuffer(file);
      const whole = isRead ? file : isWhole ? await receiver.readHeld(streamBody(file), maxUploadBytes, signal, undefined) : undefined;
      if (whole?.byteLength === 0 && name === '') return undefined;
      if (whole && whole.byteLength > 0) {
        signal.throwIfAborted();
        upload = await this.#wholeFiles.take(whole, creation, signal);
      } else {
        ({ upload } = await receiver.create({ ...creation, length: null }));
        const body = whole ? memoryBody(whole) : streamBody(file as Readable);
        const { stored } = await receiver.receive(upload, 0, body, { maxBytes: maxUploadBytes, signal, isNew: true, waitForRoom });
        signal.throwIfAborted();
        if (stored === 0 && name === '') {
          await this.#discard(upload);
          return undefined;
        }
        void inspectionStarts.start(upload.id, stored, 'length');
      }
      const settled = requireNotRefused(await this.#verdict(upload.id));
      return {
        filename: name,
        status: settled.state === 'accepted' ? 201 : 202,
        record: toRecord(ledger, settled, 0, downloads.addressFor(identity, settled, collectionUrl)),
      };
    } catch (thrown) {
      // The rest of this file must not block the next one.
      if (!Buffer.isBuffer(file)) file.resume();
      if (upload) await this.#discard(upload);
      let error = faultOf(thrown);
      if (error.code === 'ERR_UPLOAD_LENGTH_EXCEEDED') error = tooLarge(maxUploadBytes);
      const now = upload && (await ledger.get(upload.id));
      const record =
        now?.state === 'rejected' ? { record: toRecord(ledger, now, 0, downloads.addressFor(identity, now, collectionUrl)) } : {};
      return Object.assign(refused(name, error), record);
    }
  }

  /** Waits for the verdict. A small file gets its row only once there is room for it; its inspection takes its time after that. */
  async #verdict(id: UploadId): Promise<Upload | undefined> {
    const { inspectionStarts, patienceMs, draining } = this.#options;
    for (;;) {
      const settled = await awaitVerdict(this.#options, id, patienceMs, draining);
      const starting = inspectionStarts.get(id);
      if (settled?.state !== 'inspecting' || starting?.row === undefined) return settled;
      await starting.done;
    }
  }

  /** Terminates an upload that is still `receiving`: a form cannot be resumed, so its bytes are of no use. */
  async #discard(upload: Upload): Promise<void> {
    const { ledger, staging, keepRecordsForMs } = this.#options;
    const expiresAt = ledger.now() + keepRecordsForMs;
    await endReceiving(staging, () => ledger.move(upload.id, { from: 'receiving' }, 'terminated', { expiresAt }));
  }
}

interface Sender {
  /** Called once, with the fields before the first file. @throws UploadError */
  identify(fields: ReadonlyMap<string, string>): Promise<Identity>;
  /** Names of fields that are kept as metadata of each file. */
  keeps: readonly string[];
  collectionUrl: string;
}

interface FileSender {
  identity: Identity;
  collectionUrl: string;
  kept: readonly (readonly [string, string])[];
  /** The form is small: each file is read completely before it is stored. */
  isWhole: boolean;
}

/** @throws UploadError 405, 415 */
function requireForm(request: IncomingMessage, allow: string): void {
  if (request.method !== 'POST') throw methodNotAllowed(allow);
  if (!/^multipart\/form-data\b/i.test(request.headers['content-type'] ?? '')) throw wrongMediaType('multipart/form-data');
}

/** The kept fields in a form that metadata allows: without line breaks, and short. */
function keptOf(fields: ReadonlyMap<string, string>, { keeps }: Sender): (readonly [string, string])[] {
  const kept = keeps.map(
    (key) =>
      [
        key,
        (fields.get(key) ?? '')
          .replace(/[\s\0]+/g, ' ')
          .trim()
          .slice(0, MAX_KEPT_LENGTH),
      ] as const,
  );
  return kept.filter(([, value]) => value !== '');
}
