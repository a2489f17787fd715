// The bytes of an upload are all here: its verdict is waited for, and told.
import type { ServerResponse } from 'node:http';
import { UploadError } from '../../shared/errors.ts';
import { awaitVerdict } from '../finish/await-verdict.ts';
import type { Beginnings } from '../finish/beginnings.ts';
import { readStored } from '../finish/stored-bytes.ts';
import { acknowledge, acknowledgeCreation, heldOffset, requireNotRefused } from '../finish/verdict-answers.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import { bodyOf } from '../staging/lifted-body.ts';
import type { Receiver } from '../staging/receiver.ts';
import type { Staging } from '../staging/staging.ts';
import type { Storage } from '../storage/storage.ts';
import type { Append } from './headers.ts';
import type { Context, UploadsRequest } from './request-context.ts';
import { GONE, linked } from './request-context.ts';

export interface EndingsOptions {
  ledger: Ledger;
  staging: Staging;
  storage: Storage;
  receiver: Receiver;
  beginnings: Beginnings;
  patienceMs: number;
  /** Aborted with the reason when the server shuts down. */
  draining: AbortSignal;
}

export class Endings {
  readonly #options: EndingsOptions;

  constructor(options: EndingsOptions) {
    this.#options = options;
  }

  /** After the lock: every byte is stored. What it throws, or the headers it returns, are the answer. */
  async finish(context: Context): Promise<{ headers: Record<string, string> }> {
    const { ledger, staging, beginnings } = this.#options;
    const { upload, append, request } = context;
    if (upload === undefined) throw new Error('An upload that finishes has been read before.');
    // An empty upload is created and finished without a body, hence without `receive`.
    if (upload.length === 0 && append === undefined) void beginnings.begin(upload.id, 0, 'byte');
    const settled = await this.settle(upload.id, request.response);
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
      return { headers: acknowledgeCreation(settled) };
    }
    return { headers: acknowledge(settled, settled !== undefined && mayAskAgain(settled) && append.offset === heldOffset(settled)) };
  }

  /** The upload as it is when there is a verdict, at the patience limit, or when nobody waits any more: the client is gone, or the server goes. */
  async settle(id: UploadId, response: ServerResponse): Promise<Upload | undefined> {
    const { patienceMs, draining } = this.#options;
    const waiting = new AbortController();
    const stop = () => waiting.abort(GONE);
    const stopping = linked([waiting.signal, draining]);
    response.once('close', stop);
    return awaitVerdict(this.#options, id, patienceMs, stopping.signal).finally(() => {
      stopping.unlink();
      response.off('close', stop);
    });
  }

  /** A PATCH to an upload whose bytes are all here. */
  async answer(request: UploadsRequest, found: Upload, append: Append): Promise<Record<string, string>> {
    const { raw, response } = request;
    const upload = requireNotRefused(found);
    const { length } = upload;
    if (append.length !== undefined && append.length !== length) {
      throw new UploadError('ERR_INVALID_UPLOAD_LENGTH', { detail: 'Another length was declared before.' });
    }
    const isHeldByte = append.offset === length - 1 && upload.held === 'byte';
    const isEmptyEnd = append.offset === length && (upload.state === 'accepted' || upload.held === 'length');
    if (!isHeldByte && !isEmptyEnd) throw new UploadError('ERR_MISMATCHED_OFFSET');
    const { ledger, receiver, draining } = this.#options;
    const sent = await receiver.readHeld(bodyOf(raw), length - append.offset, draining, append.checksums.chunk);
    const stored = await readStored(this.#options, upload.id, append.offset, append.offset + sent.byteLength).catch(async (error) => {
      // Its verdict may have come while the body did, and taken the bytes away.
      requireNotRefused(await ledger.get(upload.id));
      throw error;
    });
    if (!stored.equals(sent)) throw new UploadError('ERR_SOURCE_CHANGED');
    return acknowledge(await this.settle(upload.id, response), mayAskAgain(upload));
  }
}

/**
 * Whether a client that is answered the offset it has goes on asking. Where it declared the length, that offset is all of the file:
 * stock clients would take it for success before there is a verdict.
 */
function mayAskAgain({ held }: Upload): boolean {
  return held === 'byte';
}
