// A creation: a new upload, or the one it made before, when its answer was lost.

import { UploadError } from '../../shared/errors.ts';
import { TUS_VERSION } from '../../shared/protocol.ts';
import type { Beginnings } from '../finish/beginnings.ts';
import { readStored } from '../finish/stored-bytes.ts';
import { acknowledge, acknowledgedOffset, expiry } from '../finish/verdict-answers.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { UploadLocker } from '../locking/locker.ts';
import { bodyOf } from '../staging/lifted-body.ts';
import type { Receiver } from '../staging/receiver.ts';
import type { StoredBody } from '../staging/repeated-body.ts';
import { advance, type Checksum } from '../staging/running-checksum.ts';
import type { Staging } from '../staging/staging.ts';
import type { Storage } from '../storage/storage.ts';
import type { Endings } from './endings.ts';
import { ANNOUNCEMENT, type Creation, mayHaveBody } from './headers.ts';
import type { Context, UploadsRequest } from './request-context.ts';

/** What comes in one piece, or hardly more: when it is cut off, nobody minds starting over. */
const WHOLE_BYTES = 64 * 1024;

/** The idempotency key was used before. */
export class Replayed extends Error {
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
  beginnings: Beginnings;
  locker: UploadLocker;
  maxUploadBytes: number;
  /** Aborted with the reason when the server shuts down. */
  draining: AbortSignal;
}

export class Creations {
  readonly #options: CreationsOptions;
  readonly #endings: Endings;

  constructor(options: CreationsOptions, endings: Endings) {
    this.#options = options;
    this.#endings = endings;
  }

  /** @throws Replayed, UploadError */
  async add(context: Context, id: UploadId): Promise<Record<string, never>> {
    const { request, creation } = context;
    if (creation === undefined) throw new Error('A creation has been read before.');
    const { receiver, ledger, staging } = this.#options;
    // Where others serve too, one that starts would take bytes without a row for left over.
    const comesWhole = ledger.isAlone && staging.isReadableInProgress && isWholeInBody(creation);
    const { upload, created } = await receiver.create({ id, grantee: request.identity, ...creation, comesWhole });
    if (!created) throw new Replayed(upload);
    context.upload = upload;
    context.comesWhole = comesWhole;
    return {};
  }

  /** The answer to a creation was lost, and it is asked again: the same upload, as it is now. */
  async replay({ raw, response, collectionUrl }: UploadsRequest, creation: Creation, earlier: Upload): Promise<void> {
    let upload = earlier;
    const { ledger, receiver, beginnings, locker, maxUploadBytes, draining } = this.#options;
    const headers: Record<string, string> = { ...ANNOUNCEMENT, Location: `${collectionUrl}/${upload.id}`, 'Tus-Resumable': TUS_VERSION };
    // Whoever created an empty one may have died before its inspection.
    if (upload.state === 'receiving' && upload.length === 0) void beginnings.begin(upload.id, 0, 'byte');
    else if (upload.state === 'receiving') {
      // The first request may still be sending.
      await locker.quiesce(upload.id);
      upload = (await ledger.get(upload.id)) ?? upload;
    }
    // Other bytes than those stored are another file, which is not to be told as stored.
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
      const settled = await this.#endings.settle(upload.id, response);
      if (settled === undefined) throw new UploadError('ERR_INSPECTION_PENDING', { retryAfterSeconds: 2 });
      // An offset of 0 is the whole of an empty file, unless it is yet to be declared.
      Object.assign(headers, acknowledge(settled, settled.length !== 0 || settled.held === 'length'));
    }
    response.writeHead(201, headers).end();
  }

  /** What a body that comes again is held against. */
  async #stored(upload: Upload): Promise<StoredBody> {
    const { ledger, receiver, staging } = this.#options;
    const { id, checksum, checksumOffset } = upload;
    const isReceiving = upload.state === 'receiving';
    // What can't be read before it is whole has its running checksum, for a body that comes as far as that.
    if (isReceiving && !staging.isReadableInProgress) return checksummed({ checksum, offset: Math.max(checksumOffset, 0) });
    return {
      size: isReceiving ? await receiver.confirmed(upload) : (upload.length ?? 0),
      isSame: async (bytes, offset) => {
        const stored = await readStored(this.#options, id, offset, offset + bytes.byteLength).catch(async (error) => {
          // It has ended meanwhile, and its bytes are gone: its verdict is the answer.
          if (hasBytes(await ledger.get(id))) throw error;
          return bytes;
        });
        // Fewer where what could not be proved was taken back meanwhile: that has yet to come again.
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

/** With a key, it may be asked for again while it still comes. */
function isWholeInBody({ length, bodyBytes, checksums, idempotencyKey }: Creation): boolean {
  return idempotencyKey === null && checksums.chunk === undefined && length === bodyBytes && length > 0 && length <= WHOLE_BYTES;
}
