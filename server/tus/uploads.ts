// The tus resource: /files and /files/:id. Uploads that receive go to the library's handlers; every other state is
// answered here, by the verdict.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CancellationContext, Upload as TusUpload } from '@tus/utils';
import { UploadError } from '../../shared/errors.ts';
import { CHECKSUM_ALGORITHMS, TUS_VERSION } from '../../shared/protocol.ts';
import type { Finisher } from '../finish/finisher.ts';
import { readStored } from '../finish/stored-bytes.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload } from '../ledger/upload.ts';
import { tooLarge } from '../staging/admission.ts';
import type { Received, Receiver } from '../staging/receiver.ts';
import type { Staging } from '../staging/staging.ts';
import { newUploadId } from '../staging/upload-id.ts';
import type { Storage } from '../storage/storage.ts';
import { type Append, type Creation, readAppend, readCreation } from './headers.ts';
import { GONE, linked } from './linked-signal.ts';
import type { UploadLocker } from './locker.ts';
import { StockServer, type TusRequest, writeResponse } from './stock-server.ts';
import { Moved, UploadStore } from './upload-store.ts';
import { acknowledge, acknowledgedOffset, describeForHead, expiry, gone, heldOffset, storedRejection } from './verdict.ts';

export interface UploadsOptions {
  ledger: Ledger;
  staging: Staging;
  storage: Storage;
  receiver: Receiver;
  finisher: Finisher;
  locker: UploadLocker;
  policyHash: string;
  maxUploadSize: number;
  patienceMs: number;
  keepRecordsForMs: number;
  /** Aborted with the reason when the server shuts down. */
  draining: AbortSignal;
}

/** One request on the resource, after access was granted. */
export interface UploadsRequest {
  raw: IncomingMessage;
  response: ServerResponse;
  owner: string;
  /** Address of the collection: `Location` is this and the id. */
  collectionUrl: string;
}

/** tus 1.0.0 has OPTIONS tell this. On the answers a client gets before it sends bytes it spares a request. */
const ANNOUNCEMENT = { 'Tus-Checksum-Algorithm': CHECKSUM_ALGORITHMS.join(',') };

interface Context {
  request: UploadsRequest;
  creation?: Creation;
  append?: Append;
  /** The row as it was read under the lock, or made. */
  upload?: Upload;
  /** All of it comes with the creation: it has no row before that. */
  comesWhole?: boolean;
  /** The length was declared with this request when every byte had been acknowledged before. */
  isDeclaring?: boolean;
}

/** What comes in one piece, or hardly more: when it is cut off, nobody minds starting over. */
const WHOLE_BYTES = 64 * 1024;

/** The idempotency key was used before. */
class Replayed extends Error {
  readonly upload: Upload;
  constructor(upload: Upload) {
    super();
    this.upload = upload;
  }
}

export class Uploads {
  readonly #options: UploadsOptions;
  readonly #stock: StockServer<Context>;

  constructor(options: UploadsOptions) {
    this.#options = options;
    this.#stock = new StockServer<Context>(
      {
        path: '/files',
        datastore: new UploadStore(options),
        locker: options.locker,
        // 0 would mean 3 s. The locker has asked only after the holder was silent for long enough.
        lockDrainTimeout: 1,
        maxSize: options.maxUploadSize,
        namingFunction: newUploadId,
        getFileIdFromRequest: (request) => request.url,
        generateUrl: (request, { id }) => `${contextOf(request).request.collectionUrl}/${id}`,
        onUploadCreate: (request, upload) => this.#onCreate(contextOf(request), upload),
        onUploadFinish: (request) => this.#onFinish(contextOf(request)),
      },
      { receive: (request, upload, maxBytes, context) => this.#receive(request, upload, maxBytes, context) },
    );
  }

  /** tus 1.0.0, OPTIONS: what this server speaks; the request's own version does not matter. */
  async options({ raw, response }: UploadsRequest): Promise<void> {
    const context: Context = { request: { raw, response, owner: '', collectionUrl: '' } };
    writeResponse(await this.#stock.handle(raw, 'OPTIONS', '', context), response, {
      'Tus-Resumable': TUS_VERSION,
      ...ANNOUNCEMENT,
    });
  }

  /** POST: a new upload, maybe with its first bytes or all of them. @throws UploadError */
  async create(request: UploadsRequest): Promise<void> {
    const creation = readCreation(request.raw);
    const { maxUploadSize } = this.#options;
    // Before there is anything that a refusal would leave behind.
    if ((creation.length ?? creation.bodyBytes) > maxUploadSize) throw tooLarge(maxUploadSize);
    if (creation.length !== null && creation.bodyBytes > creation.length) throw new UploadError('ERR_UPLOAD_LENGTH_EXCEEDED');
    const context: Context = { request, creation };
    try {
      const answer = await this.#stock.handle(request.raw, 'POST', '', context);
      writeResponse(await refusing(answer), request.response, { ...ANNOUNCEMENT, ...(context.upload ? expiry(context.upload) : {}) });
    } catch (error) {
      if (!(error instanceof Replayed)) throw error;
      await this.#replayCreation(request, creation, error.upload);
    }
  }

  /** @throws UploadError, never of 500 or more: a client takes that for a lost upload and starts over */
  async head(request: UploadsRequest, id: string): Promise<void> {
    const { ledger, receiver, locker, policyHash } = this.#options;
    let upload = await this.find(request.owner, id);
    let stored = 0;
    if (upload.state === 'receiving') {
      if (await locker.quiesce(id)) upload = (await ledger.get(id)) ?? upload;
      if (upload.state === 'receiving') stored = await receiver.confirmed(upload);
      upload = (await ledger.get(id)) ?? upload;
    }
    const headers = { ...ANNOUNCEMENT, ...describeForHead(upload, stored, policyHash) };
    for (const [name, value] of Object.entries(headers)) request.response.setHeader(name, value);
    request.response.setHeader('Cache-Control', 'no-store');
    request.response.statusCode = 200;
    request.response.end();
  }

  /** @throws UploadError */
  async patch(request: UploadsRequest, id: string): Promise<void> {
    const append = readAppend(request.raw);
    for (;;) {
      const upload = await this.#findSettling(request, id);
      if (upload.state !== 'receiving') {
        const headers = await this.#answerEnded(request, upload, append);
        request.response.writeHead(204, headers).end();
        return;
      }
      const context: Context = { request, append, upload };
      try {
        const answer = await this.#stock.handle(request.raw, 'PATCH', id, context);
        writeResponse(await refusing(answer), request.response, expiry(context.upload ?? upload));
        return;
      } catch (error) {
        if (!(error instanceof Moved)) throw error;
      }
    }
  }

  /** tus 1.0.0, Termination. A verdict, or one being found, is not undone by it. @throws UploadError */
  async terminate(request: UploadsRequest, id: string): Promise<void> {
    for (;;) {
      const upload = await this.find(request.owner, id);
      switch (upload.state) {
        case 'receiving':
          if (this.#options.finisher.isBeginning(id)) throw new UploadError('ERR_INSPECTING', { retryAfterSeconds: 1 });
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

  /** The upload, when it is this owner's. @throws UploadError 404 for another's as for none */
  async find(owner: string, id: string): Promise<Upload> {
    const upload = await this.#options.ledger.get(id);
    if (upload === undefined || upload.owner !== owner) throw new UploadError('ERR_UPLOAD_NOT_FOUND');
    return upload;
  }

  /** As `find`; an upload whose bytes are being made durable shows as `inspecting` already. */
  async #findSettling(request: UploadsRequest, id: string): Promise<Upload> {
    const upload = await this.find(request.owner, id);
    if (upload.state !== 'receiving' || !this.#options.finisher.isBeginning(id)) return upload;
    return (await this.#options.finisher.settle(id, 0, this.#options.draining)) ?? upload;
  }

  async #onCreate(context: Context, tusUpload: TusUpload): Promise<Record<string, never>> {
    const { request, creation } = context;
    if (creation === undefined) throw new Error('A creation has been read before.');
    const { receiver, ledger, staging } = this.#options;
    // Where others serve too, one that starts would take bytes without a row for left over.
    const comesWhole = ledger.isAlone && staging.isReadableInProgress && isWholeInBody(creation);
    const { upload, created } = await receiver.create({ id: tusUpload.id, owner: request.owner, ...creation, comesWhole });
    if (!created) throw new Replayed(upload);
    context.upload = upload;
    context.comesWhole = comesWhole;
    return {};
  }

  /** Under the lock. The library has compared the offset with the acknowledged one. */
  async #receive(request: TusRequest<Context>, tusUpload: TusUpload, maxBytes: number, cancellation: CancellationContext): Promise<number> {
    const { context } = request;
    const { ledger, receiver, finisher, locker, draining } = this.#options;
    let upload = context.append === undefined ? context.upload : await ledger.get(tusUpload.id);
    if (upload?.state !== 'receiving' || finisher.isBeginning(tusUpload.id)) throw new Moved();
    const declared = context.append?.length;
    let limit = maxBytes;
    if (declared !== undefined) {
      upload = await this.#declare(context, upload, tusUpload.offset, declared);
      tusUpload.size = declared;
      limit = declared - tusUpload.offset;
      if (Number(request.headers.get('content-length') ?? 0) > limit) throw new UploadError('ERR_UPLOAD_LENGTH_EXCEEDED');
    }
    const checksums = (context.append ?? context.creation)?.checksums;
    if (checksums !== undefined && checksums.file !== null && upload.expectedChecksum !== checksums.file) {
      // Before the last byte can come: whoever finishes this upload, after a crash for one, holds it against this.
      const expectedChecksum = checksums.file;
      if (!context.comesWhole) await ledger.change(upload.id, { from: 'receiving' }, { expectedChecksum }, false);
      upload = { ...upload, expectedChecksum };
    }
    context.upload = upload;
    const stopping = linked([cancellation.signal, draining]);
    const receiving = receiver
      .receive(upload, tusUpload.offset, request.body, {
        maxBytes: limit,
        signal: stopping.signal,
        onActivity: () => locker.touch(tusUpload.id),
        requireHeld: () => locker.requireHeld(tusUpload.id),
        isNew: context.append === undefined,
        comesWhole: context.comesWhole ?? false,
        expected: checksums?.chunk,
      })
      .finally(stopping.unlink);
    if (context.comesWhole) return this.#beginNew(upload, receiving);
    const { stored, complete } = await receiving;
    // Under the lock, so that nothing is appended to what is being made durable.
    if (complete) void finisher.begin(upload.id, stored, context.isDeclaring ? 'length' : 'byte', complete);
    else context.upload = (await ledger.get(upload.id)) ?? upload;
    return stored;
  }

  /** Whatever goes wrong before it has a row: nothing was created, and its sender has all of it. */
  async #beginNew(upload: Upload, receiving: Promise<Received>): Promise<number> {
    const { finisher, staging } = this.#options;
    try {
      const { stored, complete } = await receiving;
      if (complete === undefined) throw new UploadError('ERR_BAD_REQUEST', { detail: 'The body was cut off.' });
      if (complete.proof !== 'durable') throw new UploadError('ERR_STORAGE_UNAVAILABLE', { retryAfterSeconds: 5 });
      finisher.beginNew(upload, stored, complete);
      return stored;
    } catch (error) {
      await staging.remove(upload.id).catch(() => undefined);
      throw error;
    }
  }

  /**
   * tus 1.0.0, Upload-Length of a deferred upload. When every byte was acknowledged before, it is the declaration that is
   * held back, in the inspection's own state change; otherwise the length is set now and the last byte is.
   */
  async #declare(context: Context, upload: Upload, offset: number, length: number): Promise<Upload> {
    const { ledger, maxUploadSize } = this.#options;
    if (upload.length !== null) {
      if (upload.length !== length) throw new UploadError('ERR_INVALID_UPLOAD_LENGTH', { detail: 'Another length was declared before.' });
      return upload;
    }
    if (length < offset) throw new UploadError('ERR_INVALID_UPLOAD_LENGTH', { detail: 'More bytes are stored already.' });
    if (length > maxUploadSize) throw tooLarge(maxUploadSize);
    if (length === offset) context.isDeclaring = true;
    else if (!(await ledger.change(upload.id, { from: 'receiving' }, { length }, true))) throw new Moved();
    return { ...upload, length };
  }

  /** After the lock: every byte is stored. What it throws, or the headers it returns, are the answer. */
  async #onFinish(context: Context): Promise<{ headers: Record<string, string> }> {
    const { ledger, staging, finisher } = this.#options;
    const { upload, append, request } = context;
    if (upload === undefined) throw new Error('An upload that finishes has been read before.');
    // An empty upload is created and finished without a body, hence without `receive`.
    if (upload.length === 0 && append === undefined) void finisher.begin(upload.id, 0, 'byte');
    const settled = await this.#settle(upload.id, request.response);
    if (settled) context.upload = settled;
    if (append === undefined) {
      if (settled?.state === 'inspecting' && settled.length === 0) {
        if (await ledger.abandon(settled.id)) {
          await staging.remove(settled.id);
          throw new UploadError('ERR_INSPECTION_PENDING', { retryAfterSeconds: 2 });
        }
        // The verdict came just now.
        return { headers: acknowledge(await ledger.get(settled.id), false) };
      }
      // A creation has a Location to ask again at, whatever it carried.
      return { headers: acknowledge(settled, true) };
    }
    return { headers: acknowledge(settled, append.offset === (settled ? heldOffset(settled) : -1)) };
  }

  /** The upload as it is when there is a verdict, at the patience limit, or when nobody waits any more: the client is gone, or the server goes. */
  async #settle(id: string, response: ServerResponse): Promise<Upload | undefined> {
    const { finisher, patienceMs, draining } = this.#options;
    const waiting = new AbortController();
    const stop = () => waiting.abort(GONE);
    const stopping = linked([waiting.signal, draining]);
    response.once('close', stop);
    return finisher.settle(id, patienceMs, stopping.signal).finally(() => {
      stopping.unlink();
      response.off('close', stop);
    });
  }

  /** A PATCH to an upload whose bytes are all here. */
  async #answerEnded(request: UploadsRequest, upload: Upload, append: Append): Promise<Record<string, string>> {
    const { raw, response } = request;
    if (upload.state === 'rejected') throw storedRejection(upload);
    if (upload.state !== 'inspecting' && upload.state !== 'accepted') throw gone(upload);
    const length = upload.length ?? 0;
    if (append.length !== undefined && append.length !== length) {
      throw new UploadError('ERR_INVALID_UPLOAD_LENGTH', { detail: 'Another length was declared before.' });
    }
    const isHeldByte = append.offset === length - 1 && upload.held === 'byte';
    const isEmptyEnd = append.offset === length && (upload.state === 'accepted' || upload.held === 'length');
    if (!isHeldByte && !isEmptyEnd) throw new UploadError('ERR_MISMATCHED_OFFSET');
    const { ledger, receiver, draining } = this.#options;
    const sent = await receiver.readHeld(raw, length - append.offset, draining);
    const stored = await readStored(this.#options, upload.id, append.offset, append.offset + sent.byteLength).catch(async (error) => {
      const now = await ledger.get(upload.id);
      // Its verdict came while the body did, and took the bytes away.
      if (now?.state !== 'inspecting' && now?.state !== 'accepted') acknowledge(now, true);
      throw error;
    });
    if (!stored.equals(sent)) throw new UploadError('ERR_SOURCE_CHANGED');
    return acknowledge(await this.#settle(upload.id, response), true);
  }

  /** The answer to a creation was lost, and it is asked again: the same upload, as it is now. */
  async #replayCreation({ raw, response, collectionUrl }: UploadsRequest, creation: Creation, earlier: Upload): Promise<void> {
    let upload = earlier;
    if (creation.length !== upload.length && creation.length !== null) {
      throw new UploadError('ERR_BAD_REQUEST', { detail: 'The Idempotency-Key was used for another upload.' });
    }
    raw.resume();
    const { ledger, receiver, finisher, locker } = this.#options;
    const headers: Record<string, string> = { ...ANNOUNCEMENT, Location: `${collectionUrl}/${upload.id}`, 'Tus-Resumable': TUS_VERSION };
    // Whoever created an empty one may have died before its inspection.
    if (upload.state === 'receiving' && upload.length === 0) void finisher.begin(upload.id, 0, 'byte');
    else if (upload.state === 'receiving') {
      // The first request may still be sending.
      await locker.quiesce(upload.id);
      upload = (await ledger.get(upload.id)) ?? upload;
    }
    if (upload.state === 'receiving' && upload.length !== 0) {
      Object.assign(headers, expiry(upload), { 'Upload-Offset': String(acknowledgedOffset(upload, await receiver.confirmed(upload))) });
    } else {
      const settled = await this.#settle(upload.id, response);
      if (settled === undefined) throw new UploadError('ERR_INSPECTION_PENDING', { retryAfterSeconds: 2 });
      // An offset of 0 is the whole of an empty file.
      Object.assign(headers, acknowledge(settled, upload.length !== 0));
    }
    response.writeHead(201, headers).end();
  }
}

/** With a key, it may be asked for again while it still comes. */
function isWholeInBody({ length, bodyBytes, checksums, idempotencyKey }: Creation): boolean {
  return idempotencyKey === null && checksums.chunk === undefined && length === bodyBytes && length > 0 && length <= WHOLE_BYTES;
}

function contextOf(request: unknown): Context {
  return (request as TusRequest<Context>).context;
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
