// The tus resource: /files and /files/:id. Uploads that receive go to the library's handlers; every other state is
// answered here, by the verdict.
import type { IncomingMessage } from 'node:http';
import { UploadError } from '../../shared/errors.ts';
import { OFFSET_CONTENT_TYPE, TUS_VERSION } from '../../shared/protocol.ts';
import { type Identity, reaches } from '../access/identity.ts';
import { awaitVerdict } from '../finish/await-verdict.ts';
import { describeForHead, expiry, gone } from '../finish/verdict-answers.ts';
import { NO_LIMITS } from '../ledger/limits.ts';
import type { Upload } from '../ledger/upload.ts';
import { newUploadId, type UploadId } from '../ledger/upload-id.ts';
import { tooLarge } from '../staging/admission.ts';
import { bodyOf } from '../staging/lifted-body.ts';
import { Appends, type AppendsOptions } from './appends.ts';
import { Creations, type CreationsOptions, Replayed } from './creations.ts';
import { Endings, type EndingsOptions } from './endings.ts';
import { ANNOUNCEMENT, isMediaType, mayHaveBody, readAppend, readCreation } from './headers.ts';
import { type Context, contextOf, type UploadsRequest } from './request-context.ts';
import { StockServer, writeResponse } from './stock-server.ts';
import { givenBack, Moved, UploadStore, type UploadStoreOptions } from './upload-store.ts';

export interface UploadsOptions extends AppendsOptions, CreationsOptions, EndingsOptions, UploadStoreOptions {
  policyHash: string;
}

/** Whoever asks what the server speaks: nobody need be known for that. */
const NOBODY: Identity = {
  owner: '',
  source: 'none',
  credential: null,
  quota: '',
  limits: NO_LIMITS,
  isConfined: true,
  isByHeader: false,
};

export class Uploads {
  readonly #options: UploadsOptions;
  readonly #endings: Endings;
  readonly #creations: Creations;
  readonly #stock: StockServer<Context>;

  constructor(options: UploadsOptions) {
    this.#options = options;
    const endings = new Endings(options);
    const creations = new Creations(options, endings);
    const appends = new Appends(options);
    this.#endings = endings;
    this.#creations = creations;
    this.#stock = new StockServer<Context>(
      {
        path: '/files',
        datastore: new UploadStore(options),
        locker: options.locker,
        // 0 would mean 3 s. The locker has asked only after the holder was silent for long enough.
        lockDrainTimeout: 1,
        maxSize: options.maxUploadBytes,
        namingFunction: newUploadId,
        getFileIdFromRequest: (request) => request.url,
        generateUrl: (request, { id }) => `${contextOf(request).request.collectionUrl}/${id}`,
        onUploadCreate: (request, upload) => creations.add(contextOf(request), givenBack(upload.id)),
        onUploadFinish: (request) => endings.finish(contextOf(request)),
      },
      { receive: (request, upload, maxBytes, context) => appends.receive(request, upload, maxBytes, context) },
    );
  }

  /** tus 1.0.0, OPTIONS: what this server speaks; the request's own version does not matter. */
  async options({ raw, response }: Pick<UploadsRequest, 'raw' | 'response'>): Promise<void> {
    const context: Context = { request: { raw, response, identity: NOBODY, collectionUrl: '' } };
    const answer = await this.#stock.handle(raw, 'OPTIONS', '', context);
    writeResponse(new Response(null, { headers: answer.headers }), response, { 'Tus-Resumable': TUS_VERSION, ...ANNOUNCEMENT });
  }

  /** POST: a new upload, maybe with its first bytes or all of them. @throws UploadError */
  async create(request: UploadsRequest): Promise<void> {
    const creation = readCreation(request.raw);
    if (!isMediaType(request.raw, OFFSET_CONTENT_TYPE)) await this.#requireNoBody(request.raw);
    const { maxUploadBytes } = this.#options;
    // Before there is anything that a refusal would leave behind.
    if ((creation.length ?? creation.bodyBytes) > maxUploadBytes) throw tooLarge(maxUploadBytes);
    if (creation.length !== null && creation.bodyBytes > creation.length) throw new UploadError('ERR_UPLOAD_LENGTH_EXCEEDED');
    const context: Context = { request, creation };
    try {
      const answer = await this.#stock.handle(request.raw, 'POST', '', context);
      writeResponse(await refusing(answer), request.response, {
        ...ANNOUNCEMENT,
        ...(context.upload ? expiry(this.#options.ledger, context.upload) : {}),
      });
    } catch (error) {
      if (!(error instanceof Replayed)) throw error;
      await this.#creations.replay(request, creation, error.upload);
    }
  }

  /**
   * A body of another type. One that is chunked may be none: a client that speaks HTTP/2 to a proxy ends its request with an empty frame.
   * @throws UploadError 415
   */
  async #requireNoBody(raw: IncomingMessage): Promise<void> {
    if (!mayHaveBody(raw)) return;
    await this.#options.receiver.readHeld(bodyOf(raw), 0, this.#options.draining, undefined).catch((error: unknown) => {
      throw error instanceof UploadError && error.code === 'ERR_UPLOAD_LENGTH_EXCEEDED'
        ? new UploadError('ERR_INVALID_CONTENT_TYPE')
        : error;
    });
  }

  /** @throws UploadError, never of 500 or more: a client takes that for a lost upload and starts over */
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
  async patch(request: UploadsRequest, id: UploadId): Promise<void> {
    try {
      await this.#append(request, id);
    } catch (error) {
      if (error instanceof UploadError && error.code === 'ERR_MISMATCHED_OFFSET') await this.#tellOffset(request, id);
      throw error;
    }
  }

  /** As HEAD does: a client that is told so need not ask. Where there is none to tell, it asks. */
  async #tellOffset({ identity, response }: UploadsRequest, id: UploadId): Promise<void> {
    const { ledger, receiver, policyHash } = this.#options;
    try {
      const upload = await this.find(identity, id);
      const stored = upload.state === 'receiving' ? await receiver.confirmed(upload) : 0;
      const { 'Upload-Offset': offset } = describeForHead(ledger, upload, stored, policyHash);
      if (offset !== undefined) response.setHeader('Upload-Offset', offset);
    } catch {
      // The refusal is the answer.
    }
  }

  async #append(request: UploadsRequest, id: UploadId): Promise<void> {
    const append = readAppend(request.raw);
    for (;;) {
      const upload = await this.#findSettling(request, id);
      if (upload.state !== 'receiving') {
        const headers = await this.#endings.answer(request, upload, append);
        request.response.writeHead(204, headers).end();
        return;
      }
      const context: Context = { request, append, upload };
      try {
        const answer = await this.#stock.handle(request.raw, 'PATCH', id, context);
        writeResponse(await refusing(answer), request.response, expiry(this.#options.ledger, context.upload ?? upload));
        return;
      } catch (error) {
        if (!(error instanceof Moved)) throw error;
      }
    }
  }

  /** tus 1.0.0, Termination. A verdict, or one being found, is not undone by it. @throws UploadError */
  async terminate(request: UploadsRequest, id: UploadId): Promise<void> {
    for (;;) {
      const upload = await this.find(request.identity, id);
      switch (upload.state) {
        case 'receiving':
          if (this.#options.beginnings.has(id)) throw new UploadError('ERR_INSPECTING', { retryAfterSeconds: 1 });
          try {
            writeResponse(await refusing(await this.#stock.handle(request.raw, 'DELETE', id, { request })), request.response, {});
            return;
          } catch (error) {
            if (!(error instanceof Moved)) throw error;
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

  /** The upload, when it is one that this identity reaches. @throws UploadError 404 for another's as for none */
  async find(identity: Identity, id: UploadId): Promise<Upload> {
    const upload = await this.#options.ledger.get(id);
    if (upload === undefined || !reaches(identity, upload)) throw new UploadError('ERR_UPLOAD_NOT_FOUND');
    return upload;
  }

  /** As `find`; an upload whose bytes are being made durable shows as `inspecting` already. */
  async #findSettling(request: UploadsRequest, id: UploadId): Promise<Upload> {
    const upload = await this.find(request.identity, id);
    if (upload.state !== 'receiving' || !this.#options.beginnings.has(id)) return upload;
    return (await awaitVerdict(this.#options, id, 0, this.#options.draining)) ?? upload;
  }
}

/** The library's own refusals, in our words: all that is left of them once the headers were read strictly. */
async function refusing(response: Response): Promise<Response> {
  switch (response.status) {
    case 409:
      throw new UploadError('ERR_MISMATCHED_OFFSET');
    case 413:
      throw new UploadError('ERR_UPLOAD_LENGTH_EXCEEDED');
    case 404:
      throw new UploadError('ERR_UPLOAD_NOT_FOUND');
    default:
      if (response.status >= 500) throw new UploadError('ERR_INTERNAL', { cause: await response.text() });
      if (response.status >= 400) throw new UploadError('ERR_BAD_REQUEST', { detail: (await response.text()).trim() });
      return response;
  }
}
