// /get-upload-url: for senders that upload their bytes directly to S3.
//   POST /get-upload-url       {name, type?, length, relativePath?}  → 201, the addresses of the parts
//   GET  /get-upload-url/:id   new addresses of the parts that are missing
//   POST /get-upload-url/:id   every part is sent: the answer is the verdict
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { z } from 'zod';
import { UploadError } from '../../shared/errors.ts';
import type { Downloads } from '../access/downloads.ts';
import { type Access, hasAccessTo, type Identity } from '../access/identity.ts';
import { awaitVerdict } from '../finish/await-verdict.ts';
import type { DirectCompletion } from '../finish/direct-completion.ts';
import type { InspectionStarts } from '../finish/inspection-starts.ts';
import { toRecord } from '../finish/record.ts';
import { requireNotRefused } from '../finish/verdict-answers.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload } from '../ledger/upload.ts';
import { newUploadId, parseUploadId } from '../ledger/upload-id.ts';
import type { TryLock } from '../locking/locker.ts';
import { collectBody } from '../staging/body-source.ts';
import { refusalOf } from '../staging/faults.ts';
import type { Receiver } from '../staging/receiver.ts';
import type { S3Direct } from '../staging/s3/s3-direct.ts';
import { streamBody } from '../staging/stream-source.ts';
import { isMediaType, readIdempotencyKey, wrongMediaType } from '../tus/headers.ts';
import { answerOptions, methodNotAllowed } from './methods.ts';

export interface DirectUploadBackend {
  staging: S3Direct;
  completion: DirectCompletion;
}

export interface DirectOptions {
  /** Undefined when staging is on a disk: direct uploads are not available. */
  backend: DirectUploadBackend | undefined;
  access: Access;
  downloads: Downloads;
  ledger: Ledger;
  receiver: Receiver;
  inspectionStarts: InspectionStarts;
  locker: TryLock;
  patienceMs: number;
  expireAfterMs: number;
  bodyTimeoutMs: number;
  draining: AbortSignal;
  log: Logger;
}

const MAX_REQUEST_BYTES = 64 * 1024;
const ADDRESS = /^\/?(?:([0-9a-f]{32})(?:\?from=([1-9]\d{0,4}))?)?$/;

const Wanted = z.strictObject({
  name: z.string().max(4096).optional(),
  type: z.string().max(255).optional(),
  relativePath: z.string().max(8192).optional(),
  length: z.number().int().nonnegative(),
});

export class Direct {
  readonly #options: DirectOptions;
  #isClosed = false;

  constructor(options: DirectOptions) {
    this.#options = options;
  }

  /** `path` is what follows `/get-upload-url`, query included. @throws UploadError */
  async answer(request: IncomingMessage, response: ServerResponse, path: string, collectionUrl: string): Promise<void> {
    const [matched, name, from] = ADDRESS.exec(path) ?? [];
    const id = parseUploadId(name);
    const { backend, downloads } = this.#options;
    if (backend === undefined || matched === undefined) throw new UploadError('ERR_NOT_FOUND');
    const allow = id === undefined ? 'OPTIONS, POST' : 'OPTIONS, GET, POST';
    if (request.method === 'OPTIONS') {
      answerOptions(response, allow);
      return;
    }
    const identity = await this.#options.access(request, id === undefined ? 'create' : 'append', id);
    if (!(await backend.staging.isSafe())) {
      if (!this.#isClosed)
        this.#options.log.warn('direct uploads are off: this S3 server obeys unsigned headers, also those that copy other objects');
      this.#isClosed = true;
      throw new UploadError('ERR_NOT_FOUND');
    }
    if (id === undefined) {
      if (request.method !== 'POST') throw methodNotAllowed(allow);
      const upload = await this.#create(request, identity);
      await this.#answerLinks(response, 201, upload, backend, collectionUrl, 1);
      return;
    }
    const upload = await this.#options.ledger.get(id);
    if (upload === undefined || !hasAccessTo(identity, upload)) throw new UploadError('ERR_UPLOAD_NOT_FOUND');
    if (request.method === 'GET') await this.#answerLinks(response, 200, upload, backend, collectionUrl, Number(from ?? 1));
    else if (request.method === 'POST')
      await this.#complete(response, upload, backend, (settled) => downloads.addressFor(identity, settled, collectionUrl));
    else throw methodNotAllowed(allow);
  }

  async #create(request: IncomingMessage, grantee: Identity): Promise<Upload> {
    const idempotencyKey = readIdempotencyKey(request);
    const wanted = Wanted.safeParse(await this.#readJson(request));
    if (!wanted.success)
      throw new UploadError('ERR_BAD_REQUEST', { detail: wanted.error.issues[0]?.message ?? 'The request does not describe an upload.' });
    const { name, type, relativePath, length } = wanted.data;
    const metadata = new Map(
      Object.entries({ filename: name, filetype: type, relativePath }).filter((pair): pair is [string, string] => pair[1] !== undefined),
    );
    const { receiver } = this.#options;
    const { upload } = await receiver.create({ id: newUploadId(), grantee, length, metadata, rawMetadata: '', idempotencyKey });
    return upload;
  }

  async #readJson(request: IncomingMessage): Promise<unknown> {
    // A form on another site's page can send any other type without a preflight.
    if (!isMediaType(request, 'application/json')) throw wrongMediaType('application/json');
    const { bodyTimeoutMs, draining } = this.#options;
    const { bytes, end } = await collectBody(streamBody(request), {
      maxBytes: MAX_REQUEST_BYTES,
      signal: draining,
      bodyTimeoutMs,
      inOne: true,
    });
    if (end === 'too-long') throw new UploadError('ERR_BAD_REQUEST', { detail: 'The request is too long.' });
    if (end !== 'whole') throw refusalOf(end, draining);
    try {
      return JSON.parse(bytes.toString());
    } catch (cause) {
      throw new UploadError('ERR_BAD_REQUEST', { detail: 'The request is not JSON.', cause });
    }
  }

  async #answerLinks(
    response: ServerResponse,
    status: number,
    upload: Upload,
    { staging }: DirectUploadBackend,
    collectionUrl: string,
    from: number,
  ): Promise<void> {
    const { ledger, expireAfterMs } = this.#options;
    const { id, length } = upload;
    if (upload.state !== 'receiving' || length === null) {
      // The upload was completed before, and the answer was lost: no part is missing.
      answerJson(response, 200, { id, url: `${collectionUrl}/${id}`, partSize: 0, parts: [] });
      return;
    }
    const { partBytes, parts } = await staging.links(id, length, from);
    const now = ledger.now();
    const changes = { expiresAt: now + expireAfterMs, directDueAt: now + staging.linkLifetimeMs };
    // S3 receives bytes without this server. So the time by which the first addresses expire must survive a power cut.
    await ledger.change(id, { from: 'receiving' }, changes, upload.directDueAt === null);
    answerJson(response, status, { id, url: `${collectionUrl}/${id}`, partSize: partBytes, parts });
  }

  async #complete(
    response: ServerResponse,
    upload: Upload,
    { completion }: DirectUploadBackend,
    urlOf: (upload: Upload) => string | null,
  ): Promise<void> {
    const { ledger, inspectionStarts, locker, patienceMs, draining } = this.#options;
    const { id } = upload;
    if (upload.state === 'receiving' && !inspectionStarts.has(id)) {
      let isWhole = true;
      const isFree = await locker.tryWith(id, async () => {
        isWhole = await completion.startIfComplete(id);
      });
      if (!isFree) throw new UploadError('ERR_UPLOAD_LOCKED', { retryAfterSeconds: 1 });
      if (!isWhole) throw new UploadError('ERR_MISMATCHED_OFFSET', { detail: 'Some parts are missing.' });
    }
    const settled = requireNotRefused(await awaitVerdict(this.#options, id, patienceMs, draining));
    answerJson(response, settled.state === 'accepted' ? 200 : 202, toRecord(ledger, settled, 0, urlOf(settled)));
  }
}

function answerJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }).end(JSON.stringify(body));
}
