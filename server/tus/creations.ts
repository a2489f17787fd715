// Creations: a new upload, or the upload that an earlier creation with the same idempotency key made.
import { UploadError } from '../../shared/errors.ts';
import { TUS_VERSION } from '../../shared/protocol.ts';
import type { InspectionStarts } from '../finish/inspection-starts.ts';
import { readStored } from '../finish/stored-bytes.ts';
import { acknowledge, acknowledgedOffset, expiry } from '../finish/verdict-answers.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { UploadLocker } from '../locking/locker.ts';
import { mayComeWhole, WHOLE_BYTES } from '../staging/admission.ts';
import { bodyOf } from '../staging/lifted-body.ts';
import type { Receiver } from '../staging/receiver.ts';
import type { StoredBody } from '../staging/repeated-body.ts';
import { advance, type Checksum } from '../staging/running-checksum.ts';
import type { Staging } from '../staging/staging.ts';
import type { Storage } from '../storage/storage.ts';
import { ANNOUNCEMENT, type Creation, mayHaveBody } from './headers.ts';
import type { Context, UploadsRequest } from './request-context.ts';
import type { VerdictResponses } from './verdict-responses.ts';

/** An earlier creation used the idempotency key and made `upload`. */
export class CreationRepeated extends Error {
  readonly upload: Upload;
  constructor(upload: Upload) {
    super();
    this.upload = upload;
  }
}

export interface CreationsOptions {
  ledger: Ledger;
  staging: Staging;
  storage: Storage;
  receiver: Receiver;
  inspectionStarts: InspectionStarts;
  locker: UploadLocker;
  maxUploadBytes: number;
  /** Aborted with the reason when the server shuts down. */
  draining: AbortSignal;
}

export class Creations {
  readonly #options: CreationsOptions;
  readonly #verdictResponses: VerdictResponses;

  constructor(options: CreationsOptions, verdictResponses: VerdictResponses) {
    this.#options = options;
    this.#verdictResponses = verdictResponses;
  }

  /** @throws CreationRepeated, UploadError */
  async add(context: Context, id: UploadId): Promise<Record<string, never>> {
    const { request, creation } = context;
    if (creation === undefined) throw new Error('The headers of the creation were not read.');
    const { receiver, staging, locker } = this.#options;
    const comesWhole = mayComeWhole(staging) && isWholeInBody(creation);
    const { upload, created } = await receiver.create({ id, grantee: request.identity, ...creation, comesWhole });
    if (!created) throw new CreationRepeated(upload);
    context.upload = upload;
    context.comesWhole = comesWhole;
    if (comesWhole) locker.expectNew(id);
    return {};
  }

  /** Answers a repeated creation, whose first response was lost, with the upload as it is now. */
  async replay({ raw, response, collectionUrl }: UploadsRequest, creation: Creation, earlier: Upload): Promise<void> {
    let upload = earlier;
    const { ledger, receiver, inspectionStarts, locker, maxUploadBytes, draining } = this.#options;
    const headers: Record<string, string> = { ...ANNOUNCEMENT, Location: `${collectionUrl}/${upload.id}`, 'Tus-Resumable': TUS_VERSION };
    // The process that created an empty upload may have died before its inspection.
    if (upload.state === 'receiving' && upload.length === 0) void inspectionStarts.start(upload.id, 0, 'byte');
    else if (upload.state === 'receiving') {
      // The first request may still be sending.
      await locker.quiesce(upload.id);
      upload = (await ledger.get(upload.id)) ?? upload;
    }
    // A body that differs from the stored bytes is another file, and the response must not claim that it is stored.
    if (mayHaveBody(raw) && hasBytes(upload)) {
      const maxBytes = creation.length ?? maxUploadBytes;
      await receiver.requireSameBody(bodyOf(raw), maxBytes, draining, creation.checksums.chunk, await this.#stored(upload));
      upload = (await ledger.get(upload.id)) ?? upload;
    }
    raw.resume();
    if (upload.state === 'receiving' && upload.length !== 0) {
      Object.assign(headers, expiry(ledger, upload), {
        'Upload-Offset': String(acknowledgedOffset(upload, await receiver.confirmed(upload))),
      });
    } else {
      const settled = await this.#verdictResponses.settle(upload.id, response);
      if (settled === undefined) throw new UploadError('ERR_INSPECTION_PENDING', { retryAfterSeconds: 2 });
      // Offset 0 means that all of an empty file is stored, unless its length is not declared yet.
      Object.assign(headers, acknowledge(settled, settled.length !== 0 || settled.held === 'length'));
    }
    response.writeHead(201, headers).end();
  }

  /** The stored bytes, with which a repeated body is compared. */
  async #stored(upload: Upload): Promise<StoredBody> {
    const { ledger, receiver, staging } = this.#options;
    const { id, checksum, checksumOffset } = upload;
    const isReceiving = upload.state === 'receiving';
    // Bytes that cannot be read in progress are compared by the running checksum, once the body has reached its offset.
    if (isReceiving && !staging.isReadableInProgress) return checksummed({ checksum, offset: Math.max(checksumOffset, 0) });
    return {
      size: isReceiving ? await receiver.confirmed(upload) : (upload.length ?? 0),
      isSame: async (bytes, offset) => {
        const stored = await readStored(this.#options, id, offset, offset + bytes.byteLength).catch(async (error) => {
          // The upload has ended meanwhile and its bytes are deleted: its verdict is the response.
          if (hasBytes(await ledger.get(id))) throw error;
          return bytes;
        });
        // `stored` is shorter when bytes that were not durable were removed meanwhile. The sender has to send those again.
        return stored.equals(bytes.subarray(0, stored.byteLength));
      },
    };
  }
}

function hasBytes(upload: Upload | undefined): upload is Upload {
  return upload?.state === 'receiving' || upload?.state === 'inspecting' || upload?.state === 'accepted';
}

function checksummed(known: Checksum): StoredBody {
  const sent = { checksum: 0, offset: 0 };
  return {
    size: known.offset,
    isSame: async (bytes) => {
      advance(sent, [bytes]);
      return sent.offset < known.offset || sent.checksum === known.checksum;
    },
  };
}

/** True when the creation's body is a whole small file. Not with an idempotency key: a repeated creation must find the upload's row. */
function isWholeInBody({ length, bodyBytes, checksums, idempotencyKey }: Creation): boolean {
  return idempotencyKey === null && checksums.chunk === undefined && length === bodyBytes && length > 0 && length <= WHOLE_BYTES;
}
