// The tus resource: /files and /files/:id. Requests for uploads that are `receiving` go to the handlers of @tus/server. Requests for
// uploads in other states are answered here.
import type { IncomingMessage } from 'node:http';
import { UploadError } from '../../shared/errors.ts';
import { OFFSET_CONTENT_TYPE, TUS_VERSION } from '../../shared/protocol.ts';
import { hasAccessTo, type Identity } from '../access/identity.ts';
import { awaitVerdict } from '../finish/await-verdict.ts';
import { describeForHead, expiry, gone } from '../finish/verdict-answers.ts';
import { NO_LIMITS } from '../ledger/limits.ts';
import type { Upload } from '../ledger/upload.ts';
import { newUploadId, type UploadId } from '../ledger/upload-id.ts';
import type { Lock, UploadLocker } from '../locking/locker.ts';
import { tooLarge } from '../staging/admission.ts';
import { bodyOf } from '../staging/lifted-body.ts';
import { Appends, type AppendsOptions, type PreparedAppend } from './appends.ts';
import { CreationRepeated, Creations, type CreationsOptions } from './creations.ts';
import { ANNOUNCEMENT, type Append, isMediaType, mayHaveBody, readAppend, readCreation, wrongMediaType } from './headers.ts';
import { type CheckedRequest, type Context, contextOf, type UploadsRequest } from './request-context.ts';
import { Cancellation, StockServer, type TusAnswer, writeAnswer } from './stock-server.ts';
import { NotReceiving, requireUploadId, StoredUpload, UploadStore, type UploadStoreOptions } from './upload-store.ts';
import { VerdictResponses, type VerdictResponsesOptions } from './verdict-responses.ts';

export interface UploadsOptions extends AppendsOptions, CreationsOptions, VerdictResponsesOptions, UploadStoreOptions {
  policyHash: string;
}

/** The identity of an OPTIONS request, which needs no access. */
const NO_IDENTITY: Identity = {
  owner: '',
  source: 'none',
  credential: null,
  quota: '',
  limits: NO_LIMITS,
  isConfined: true,
  isByHeader: false,
};

/** The locks for a handler that runs under the lock already. */
const LOCKED: Pick<UploadLocker, 'newLock'> = { newLock: () => ({ lock: async () => undefined, unlock: async () => undefined }) };
/** The new offset for a handler of @tus/server whose body is received later: no offset, so that the handler finishes nothing. */
const NOT_RECEIVED = -1;

/** A PATCH that @tus/server has checked. Its lock is held. */
interface LockedAppend {
  lock: Lock;
  cancellation: Cancellation;
  prepared: PreparedAppend;
  /** Undefined while the length is not declared. */
  length: number | undefined;
}

export class Uploads {
  readonly #options: UploadsOptions;
  readonly #verdictResponses: VerdictResponses;
  readonly #creations: Creations;
  readonly #appends: Appends;
  readonly #stock: StockServer<Context>;

  constructor(options: UploadsOptions) {
    this.#options = options;
    const verdictResponses = new VerdictResponses(options);
    const creations = new Creations(options, verdictResponses);
    const appends = new Appends(options);
    this.#verdictResponses = verdictResponses;
    this.#creations = creations;
    this.#appends = appends;
    this.#stock = new StockServer<Context>(
      {
        path: '/files',
        datastore: new UploadStore(options),
        locker: (request) => (contextOf(request).append === undefined ? options.locker : LOCKED),
        maxSize: options.maxUploadBytes,
        namingFunction: newUploadId,
        getFileIdFromRequest: (request) => request.url,
        generateUrl: (request, { id }) => `${contextOf(request).request.collectionUrl}/${id}`,
        onUploadCreate: (request, upload) => creations.add(contextOf(request), requireUploadId(upload.id)),
        onUploadFinish: (request) => verdictResponses.finish(contextOf(request)),
      },
      {
        async receive({ context }, upload, maxBytes, cancellation) {
          const { offset, size: length } = upload;
          const checked: CheckedRequest = { offset, length, maxBytes, stored: upload instanceof StoredUpload ? upload.stored : undefined };
          if (context.append === undefined) return appends.receive(context, checked, cancellation);
          context.checked = checked;
          return NOT_RECEIVED;
        },
      },
    );
  }

  /** tus 1.0.0, OPTIONS: announces versions and extensions, whatever version the request has. */
  async options({ raw, response }: Pick<UploadsRequest, 'raw' | 'response'>): Promise<void> {
    const context: Context = { request: { raw, response, identity: NO_IDENTITY, collectionUrl: '' } };
    const answer = await this.#stock.handle(raw, 'OPTIONS', '', context);
    writeAnswer({ ...answer, status: 200 }, response, { 'Tus-Resumable': TUS_VERSION, ...ANNOUNCEMENT });
  }

  /** POST: creates an upload, possibly with its first bytes or all of them. @throws UploadError */
  async create(request: UploadsRequest): Promise<void> {
    const creation = readCreation(request.raw);
    if (!isMediaType(request.raw, OFFSET_CONTENT_TYPE)) await this.#requireNoBody(request.raw);
    const { maxUploadBytes } = this.#options;
    // Checked before a row exists, so that a refusal leaves nothing behind.
    if ((creation.length ?? creation.bodyBytes) > maxUploadBytes) throw tooLarge(maxUploadBytes);
    if (creation.length !== null && creation.bodyBytes > creation.length) throw new UploadError('ERR_UPLOAD_LENGTH_EXCEEDED');
    const context: Context = { request, creation };
    try {
      const answer = await this.#stock.handle(request.raw, 'POST', '', context);
      writeAnswer(throwRefusal(answer), request.response, {
        ...ANNOUNCEMENT,
        ...(context.upload ? expiry(this.#options.ledger, context.upload) : {}),
      });
    } catch (error) {
      if (!(error instanceof CreationRepeated)) throw error;
      await this.#creations.replay(request, creation, error.upload);
    }
  }

  /**
   * Refuses a body of another media type. A chunked body may be empty: a client that speaks HTTP/2 to a proxy ends its request with an
   * empty frame, which the proxy passes on as an empty chunked body.
   * @throws UploadError 415
   */
  async #requireNoBody(raw: IncomingMessage): Promise<void> {
    if (!mayHaveBody(raw)) return;
    await this.#options.receiver.readHeld(bodyOf(raw), 0, this.#options.draining, undefined).catch((error: unknown) => {
      throw error instanceof UploadError && error.code === 'ERR_UPLOAD_LENGTH_EXCEEDED' ? wrongMediaType(OFFSET_CONTENT_TYPE) : error;
    });
  }

  /** @throws UploadError, never with a status of 500 or more: usual clients then take the upload for lost and start over */
  async head(request: UploadsRequest, id: UploadId): Promise<void> {
    const { ledger, receiver, locker, policyHash } = this.#options;
    let upload = await this.find(request.identity, id);
    let stored = 0;
    if (upload.state === 'receiving') {
      if (await locker.quiesce(id)) upload = (await ledger.get(id)) ?? upload;
      if (upload.state === 'receiving') stored = await receiver.confirmed(upload);
      upload = (await ledger.get(id)) ?? upload;
    }
    const headers = { ...ANNOUNCEMENT, ...describeForHead(ledger, upload, stored, policyHash) };
    for (const [name, value] of Object.entries(headers)) request.response.setHeader(name, value);
    request.response.setHeader('Cache-Control', 'no-store');
    request.response.statusCode = 200;
    request.response.end();
  }

  /** @throws UploadError */
  patch(request: UploadsRequest, id: UploadId): Promise<void> {
    return this.#append(request, id).catch(async (error: unknown) => {
      if (error instanceof UploadError && error.code === 'ERR_MISMATCHED_OFFSET') await this.#setOffset(request, id);
      throw error;
    });
  }

  /** Adds Upload-Offset to a 409, which saves the client a HEAD. Adds nothing when the offset is not known now. */
  async #setOffset({ identity, response }: UploadsRequest, id: UploadId): Promise<void> {
    const { ledger, receiver, policyHash } = this.#options;
    try {
      const upload = await this.find(identity, id);
      const stored = upload.state === 'receiving' ? await receiver.confirmed(upload) : 0;
      const { 'Upload-Offset': offset } = describeForHead(ledger, upload, stored, policyHash);
      if (offset !== undefined) response.setHeader('Upload-Offset', offset);
    } catch {
      // The response stays a 409 without an offset.
    }
  }

  async #append(request: UploadsRequest, id: UploadId): Promise<void> {
    const append = readAppend(request.raw);
    for (;;) {
      const context = await this.#findReceiving(request, append, id);
      if (context === undefined) return undefined;
      const locked = await this.#lock(context, id);
      // Not awaited here: a body may last for hours, and this frame would last as long.
      if (locked !== undefined) return this.#receive(context, locked);
    }
  }

  /**
   * Answers a PATCH to an upload that is not `receiving`, and resolves to undefined then. Only the context keeps the row of the others,
   * and replaces it under the lock: a body may last for hours.
   */
  async #findReceiving(request: UploadsRequest, append: Append, id: UploadId): Promise<Context | undefined> {
    const upload = await this.#findSettling(request, id);
    if (upload.state === 'receiving') return { request, append, upload };
    request.response.writeHead(204, await this.#verdictResponses.answer(request, upload, append)).end();
    return undefined;
  }

  /**
   * Acquires the lock. @tus/server checks the request under it, and its handler ends before the body is received: all that it holds
   * would last as long as the body. Resolves to undefined when the upload left `receiving` meanwhile.
   * @throws UploadError
   */
  async #lock(context: Context, id: UploadId): Promise<LockedAppend | undefined> {
    const cancellation = new Cancellation();
    const lock = this.#options.locker.newLock(id);
    await lock.lock(cancellation.signal, () => cancellation.cancel());
    try {
      throwRefusal(await this.#stock.handle(context.request.raw, 'PATCH', id, context));
      const { checked, append } = context;
      if (checked === undefined) throw new Error('@tus/server answered a PATCH without its body.');
      const prepared = await this.#appends.prepare(context, checked, cancellation);
      return { lock, cancellation, prepared, length: append?.length ?? checked.length };
    } catch (error) {
      await lock.unlock();
      if (error instanceof NotReceiving) return undefined;
      throw error;
    }
  }

  /** @throws UploadError */
  async #receive(context: Context, { lock, cancellation, prepared, length }: LockedAppend): Promise<void> {
    let stored: number;
    try {
      stored = await this.#appends.conclude(context, await this.#appends.start(context, prepared, cancellation));
    } finally {
      this.#appends.end(cancellation);
      await lock.unlock();
    }
    const headers = stored === length ? (await this.#verdictResponses.finish(context)).headers : {};
    const connection = cancellation.signal.aborted ? { Connection: 'close' } : {};
    const expires = context.upload ? expiry(this.#options.ledger, context.upload) : {};
    context.request.response.writeHead(204, { 'Upload-Offset': String(stored), ...headers, ...connection, ...expires }).end();
  }

  /** tus 1.0.0, Termination. It does not undo a verdict or stop an inspection. @throws UploadError */
  async terminate(request: UploadsRequest, id: UploadId): Promise<void> {
    for (;;) {
      const upload = await this.find(request.identity, id);
      switch (upload.state) {
        case 'receiving':
          if (this.#options.inspectionStarts.has(id)) throw new UploadError('ERR_INSPECTING', { retryAfterSeconds: 1 });
          try {
            writeAnswer(throwRefusal(await this.#stock.handle(request.raw, 'DELETE', id, { request })), request.response, {});
            return;
          } catch (error) {
            if (!(error instanceof NotReceiving)) throw error;
            break;
          }
        case 'inspecting':
          throw new UploadError('ERR_INSPECTING', { retryAfterSeconds: 1 });
        case 'accepted':
        case 'rejected':
          throw new UploadError('ERR_UPLOAD_FINISHED');
        default:
          throw gone(upload);
      }
    }
  }

  /** Finds an upload that this identity may reach. @throws UploadError 404, also for an upload that exists and is out of reach */
  async find(identity: Identity, id: UploadId): Promise<Upload> {
    const upload = await this.#options.ledger.get(id);
    if (upload === undefined || !hasAccessTo(identity, upload)) throw new UploadError('ERR_UPLOAD_NOT_FOUND');
    return upload;
  }

  /** Like `find`, but shows an upload as `inspecting` while its inspection is being started. */
  async #findSettling(request: UploadsRequest, id: UploadId): Promise<Upload> {
    const upload = await this.find(request.identity, id);
    if (upload.state !== 'receiving' || !this.#options.inspectionStarts.has(id)) return upload;
    return (await awaitVerdict(this.#options, id, 0, this.#options.draining)) ?? upload;
  }
}

/** Throws the library's own refusals as Landfall's errors. After the strict parsing of headers, these are the only ones left. */
function throwRefusal(answer: TusAnswer): TusAnswer {
  switch (answer.status) {
    case 409:
      throw new UploadError('ERR_MISMATCHED_OFFSET');
    case 413:
      throw new UploadError('ERR_UPLOAD_LENGTH_EXCEEDED');
    case 404:
      throw new UploadError('ERR_UPLOAD_NOT_FOUND');
    default:
      if (answer.status >= 500) throw new UploadError('ERR_INTERNAL', { cause: answer.body });
      if (answer.status >= 400) throw new UploadError('ERR_BAD_REQUEST', { detail: answer.body.trim() });
      return answer;
  }
}
