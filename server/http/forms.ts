// The door for `<form enctype="multipart/form-data">` and `curl -F`: no resuming, otherwise the same path and the same verdict.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import busboy from 'busboy';
import type { Request } from 'express';
import { UploadError } from '../../shared/errors.ts';
import type { UploadRecord } from '../../shared/upload.ts';
import type { Access } from '../access/access.ts';
import type { Finisher } from '../finish/finisher.ts';
import type { Ledger, Upload } from '../ledger/ledger.ts';
import { faultOf } from '../staging/faults.ts';
import { newUploadId, type Receiver, tooLarge } from '../staging/receiver.ts';
import type { Staging } from '../staging/staging.ts';
import { acknowledge } from '../tus/verdict.ts';
import { renderResults } from './form-page.ts';
import { toRecord } from './record.ts';

/** Files in one form, more than a person picks; each is an upload of its own. */
const MAX_FILES = 1000;

export interface FormsOptions {
  access: Access;
  ledger: Ledger;
  staging: Staging;
  receiver: Receiver;
  finisher: Finisher;
  maxUploadSize: number;
  patienceMs: number;
  keepRecordsForMs: number;
  draining: AbortSignal;
}

/** What became of one file of a form. */
export interface FormResult {
  /** As the sender named it. */
  filename: string;
  /** 201 accepted, 202 not decided yet (ask `record.url` + `/status`), else the refusal's. */
  status: number;
  record?: UploadRecord;
  error?: { code: string; title: string; detail?: string };
}

export class Forms {
  readonly #options: FormsOptions;

  constructor(options: FormsOptions) {
    this.#options = options;
  }

  /** @throws UploadError for a request that is no form; what becomes of its files is in the answer */
  async answer(request: Request, response: ServerResponse, collectionUrl: string): Promise<void> {
    if (request.method !== 'POST') throw new UploadError('ERR_METHOD_NOT_ALLOWED');
    if (!/^multipart\/form-data\b/i.test(request.headers['content-type'] ?? '')) throw new UploadError('ERR_INVALID_CONTENT_TYPE');
    const owner = await this.#options.access(request);
    const results = await this.#readFiles(request, response, owner, collectionUrl);
    if (results.length === 0) throw new UploadError('ERR_INVALID_FORM', { detail: 'Choose a file first.' });
    const isMultiple = request.baseUrl.endsWith('/multiple') || results.length > 1;
    answerResults(request, response, results, isMultiple, collectionUrl.replace(/files$/, ''));
  }

  async #readFiles(request: IncomingMessage, response: ServerResponse, owner: string, collectionUrl: string): Promise<FormResult[]> {
    const cut = new AbortController();
    const results: Promise<FormResult | undefined>[] = [];
    let files = 0;
    await new Promise<void>((resolve, reject) => {
      const fail = (error: unknown) => {
        cut.abort();
        reject(error);
      };
      let parser: busboy.Busboy;
      try {
        parser = busboy({
          headers: request.headers,
          defParamCharset: 'utf8',
          limits: { fields: 100, fieldSize: 64 * 1024, headerPairs: 100 },
        });
      } catch (cause) {
        throw new UploadError('ERR_INVALID_FORM', { cause });
      }
      parser.on('file', (_field, stream, { filename }) => {
        files += 1;
        if (files > MAX_FILES) {
          stream.resume();
          const error = new UploadError('ERR_INVALID_FORM', { detail: `A form takes at most ${MAX_FILES} files.` });
          results.push(Promise.resolve(refused(filename ?? '', error)));
          return;
        }
        results.push(this.#take(stream, filename, owner, collectionUrl, cut.signal));
      });
      parser.on('close', resolve);
      parser.on('error', (cause) => fail(new UploadError('ERR_INVALID_FORM', { cause })));
      response.once('close', () => {
        if (!request.complete) fail(new UploadError('ERR_INVALID_FORM', { detail: 'The form was cut off.' }));
      });
      this.#options.draining.addEventListener('abort', () => fail(this.#options.draining.reason), { signal: cut.signal });
      request.pipe(parser);
    }).catch((error: unknown) => {
      request.unpipe();
      // Files that came whole before the form broke have their own verdicts, which the sender must learn.
      if (results.length === 0) throw error;
      results.push(Promise.resolve(refused('', faultOf(error))));
    });
    return (await Promise.all(results)).filter((result) => result !== undefined);
  }

  /** One file: into staging, then the verdict. Undefined for a file field that was left empty. */
  async #take(
    stream: Readable,
    filename: string | undefined,
    owner: string,
    collectionUrl: string,
    signal: AbortSignal,
  ): Promise<FormResult | undefined> {
    const { ledger, receiver, finisher, maxUploadSize, patienceMs, draining } = this.#options;
    const name = filename ?? '';
    let upload: Upload | undefined;
    try {
      const metadata = new Map(name === '' ? [] : [['filename', name]]);
      ({ upload } = await receiver.create({
        id: newUploadId(),
        owner,
        length: null,
        metadata,
        rawMetadata: '',
        idempotencyKey: null,
      }));
      const size = await receiver.receive(upload, 0, stream, { maxBytes: maxUploadSize, signal });
      if (signal.aborted) throw new UploadError('ERR_INVALID_FORM', { detail: 'The form was cut off.' });
      if (size === 0 && name === '') {
        await this.#discard(upload);
        return undefined;
      }
      void finisher.begin(upload.id, size, 'length');
      const settled = await finisher.settle(upload.id, patienceMs, draining);
      acknowledge(settled, true);
      if (settled === undefined) throw new UploadError('ERR_INTERNAL');
      return {
        filename: name,
        status: settled.state === 'accepted' ? 201 : 202,
        record: toRecord(settled, 0, `${collectionUrl}/${settled.id}`),
      };
    } catch (thrown) {
      // What is left of this file must not hold up the next.
      stream.resume();
      if (upload) await this.#discard(upload);
      let error = faultOf(thrown);
      if (error.code === 'ERR_UPLOAD_LENGTH_EXCEEDED') error = tooLarge(maxUploadSize);
      const now = upload && (await ledger.get(upload.id));
      const record = now?.state === 'rejected' ? { record: toRecord(now, 0, `${collectionUrl}/${now.id}`) } : {};
      return { ...refused(name, error), ...record };
    }
  }

  /** A form can't go on where it stopped: what came of its file is of no use. A file under inspection, or decided, is left alone. */
  async #discard(upload: Upload): Promise<void> {
    const { ledger, staging, keepRecordsForMs } = this.#options;
    if (await ledger.move(upload.id, { from: 'receiving' }, 'terminated', { expiresAt: Date.now() + keepRecordsForMs })) {
      await staging.remove(upload.id);
    }
  }
}

function refused(filename: string, error: UploadError): FormResult {
  const { code, title, detail, status } = error;
  return { filename, status, error: { code, title, ...(detail === undefined ? {} : { detail }) } };
}

/** One file: its own status. Several: 200 when all were accepted, else 207 with a status for each. */
function answerResults(request: Request, response: ServerResponse, results: FormResult[], isMultiple: boolean, home: string): void {
  const [first] = results;
  const isUniform = results.every((result) => result.status === first?.status);
  const status = isMultiple ? (isUniform && first?.status === 201 ? 200 : 207) : (first?.status ?? 400);
  response.statusCode = status;
  response.setHeader('Cache-Control', 'no-store');
  if (!isMultiple && first?.record) response.setHeader('Location', first.status === 202 ? `${first.record.url}/status` : first.record.url);
  // A browser that submits a form asks for HTML; scripts and curl do not.
  if (request.accepts(['json', 'html']) === 'html') {
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    response.setHeader('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'");
    response.end(renderResults(results, home));
    return;
  }
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify(isMultiple ? { results } : first));
}
