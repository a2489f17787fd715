// Responses to requests whose upload is complete: waits for the verdict and answers with it.
import type { ServerResponse } from 'node:http';
import { UploadError } from '../../shared/errors.ts';
import { awaitVerdict } from '../finish/await-verdict.ts';
import type { InspectionStarts } from '../finish/inspection-starts.ts';
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

export interface VerdictResponsesOptions {
  ledger: Ledger;
  staging: Staging;
  storage: Storage;
  receiver: Receiver;
  inspectionStarts: InspectionStarts;
  patienceMs: number;
  /** Aborted with the reason when the server shuts down. */
  draining: AbortSignal;
}

export class VerdictResponses {
  readonly #options: VerdictResponsesOptions;

  constructor(options: VerdictResponsesOptions) {
    this.#options = options;
  }

  /** Called after the lock is released, when all bytes are stored. Returns the response's headers, or throws the refusal. */
  async finish(context: Context): Promise<{ headers: Record<string, string> }> {
    const { ledger, staging, inspectionStarts } = this.#options;
    const { upload, append, request } = context;
    if (upload === undefined) throw new Error('The row of a finished upload was not read.');
    // An empty upload has no body, so `receive` was not called and has not started its inspection.
    if (upload.length === 0 && append === undefined) void inspectionStarts.start(upload.id, 0, 'byte');
    const settled = await this.settle(upload.id, request.response);
    if (settled) context.upload = settled;
    if (append === undefined) {
      if (settled?.state === 'inspecting' && settled.length === 0) {
        if (await ledger.abandon(settled.id)) {
          await staging.remove(settled.id);
          throw new UploadError('ERR_INSPECTION_PENDING', { retryAfterSeconds: 2 });
        }
        // `abandon` found a verdict, which came after the wait.
        return { headers: acknowledge(await ledger.get(settled.id), false) };
      }
      return { headers: acknowledgeCreation(settled) };
    }
    return { headers: acknowledge(settled, settled !== undefined && mayAskAgain(settled) && append.offset === heldOffset(settled)) };
  }

  /**
   * Waits for the verdict and resolves to the row at the verdict, at the patience limit, when the client is gone, or when the server
   * shuts down.
   */
  settle(id: UploadId, response: ServerResponse): Promise<Upload | undefined> {
    const { patienceMs, draining } = this.#options;
    return awaitVerdict(this.#options, id, patienceMs, draining, response);
  }

  /** Answers a PATCH to an upload that is complete. */
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
      // A verdict that came while the body was read may have deleted the bytes.
      requireNotRefused(await ledger.get(upload.id));
      throw error;
    });
    if (!stored.equals(sent)) throw new UploadError('ERR_SOURCE_CHANGED');
    return acknowledge(await this.settle(upload.id, response), mayAskAgain(upload));
  }
}

/**
 * True when a client that gets an unchanged offset asks again. After a declaration of the length, that offset is the whole file, which
 * usual clients take for success.
 */
function mayAskAgain({ held }: Upload): boolean {
  return held === 'byte';
}
