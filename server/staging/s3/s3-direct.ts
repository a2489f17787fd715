// Direct uploads: the sender sends the bytes to S3 by signed addresses with an expiry, into staging. The finish is the same as for
// other uploads.

import { PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import type { UploadId } from '../../ledger/upload-id.ts';
import type { Bucket } from '../../s3/bucket.ts';
import { isMissing } from '../../s3/fault.ts';
import type { StoredPart } from '../../s3/multiparts.ts';
import { type HeaderGuard, type SignedPut, signPut } from '../../s3/signed-put.ts';
import { findHeaderGuard } from './header-guard.ts';
import { bytesKey, directKey, type Multipart, multipartKey, partBytesFor, readMultipart, readStaged, startMultipart } from './s3-parts.ts';
import { seal } from './s3-seal.ts';

export interface DirectLinks {
  /** Bytes of every part but the last. */
  partBytes: number;
  /** The next parts to send, in order. When they are sent, the sender asks for more. */
  parts: { number: number; url: string }[];
}

export interface S3DirectOptions {
  bucket: Bucket;
  partBytes: number;
  /** Seconds for which an address is valid. */
  linkSeconds: number;
}

interface StartedMultipart {
  multipart: Multipart;
  stored: StoredPart[];
}

/** Addresses in one response. */
const LINKS_AT_ONCE = 100;

/**
 * A file of one part is sent to its own key and copied before its inspection, because its address stays valid for a while, and the
 * inspected bytes must not be overwritten. The parts of a larger file cannot be overwritten once they are one object.
 */
export class S3Direct {
  readonly #options: S3DirectOptions;
  readonly #bucket: Bucket;
  #guard: Promise<HeaderGuard | undefined> | undefined;

  constructor(options: S3DirectOptions) {
    this.#options = options;
    this.#bucket = options.bucket;
  }

  get linkLifetimeMs(): number {
    return this.#options.linkSeconds * 1000;
  }

  /** Resolves to true when an address for this S3 server can be used for its own upload only. @throws S3Fault */
  async isSafe(): Promise<boolean> {
    return (await this.#findGuard()) !== undefined;
  }

  /** Signed addresses of the parts that S3 does not have yet, from part `from` on. @throws S3Fault */
  async links(id: UploadId, length: number, from = 1): Promise<DirectLinks> {
    const partBytes = partBytesFor(this.#options.partBytes, length);
    if (length === 0) return { partBytes, parts: [] };
    const staged = await readStaged(this.#bucket, id);
    if (staged.sealed !== undefined || staged.direct === length) return { partBytes, parts: [] };
    const started = staged.hasMultipart ? await this.#startedMultipart(id) : undefined;
    // An upload that was started in parts continues in parts of that size, whatever the settings are now.
    if (started === undefined && length <= partBytes) {
      const put = new PutObjectCommand({ ...this.#bucket.at(directKey(id)), ContentLength: length });
      return { partBytes: length, parts: [{ number: 1, url: await this.#sign(put) }] };
    }
    // The multipart upload is gone, for instance by a lifecycle rule of the bucket.
    if (staged.hasMultipart && started === undefined) await this.#bucket.remove([multipartKey(id)]);
    const { multipart, stored } = started ?? { multipart: await startMultipart(this.#bucket, id, partBytes), stored: [] };
    const whole = new Set(stored.filter((part) => part.size === sizeOfPart(part.number, multipart, length)).map(({ number }) => number));
    const parts: DirectLinks['parts'] = [];
    for (let number = from; number <= Math.ceil(length / multipart.partBytes) && parts.length < LINKS_AT_ONCE; number++) {
      if (whole.has(number)) continue;
      const ContentLength = sizeOfPart(number, multipart, length);
      const part = new UploadPartCommand({
        ...this.#bucket.at(bytesKey(id)),
        UploadId: multipart.uploadId,
        PartNumber: number,
        ContentLength,
      });
      parts.push({ number, url: await this.#sign(part) });
    }
    return { partBytes: multipart.partBytes, parts };
  }

  /**
   * Makes one object of the bytes that were sent. Call under the upload's lock. Processes with different part sizes may have given out
   * addresses both for parts and for one object: those that are complete count. Resolves to false when neither are complete.
   * @throws S3Fault
   */
  async complete(id: UploadId, length: number): Promise<boolean> {
    const staged = await readStaged(this.#bucket, id);
    if (staged.sealed !== undefined) return staged.sealed === length;
    // An empty file is complete before anything is sent.
    if (length === 0) {
      await this.#bucket.put(bytesKey(id), Buffer.alloc(0));
      return true;
    }
    const started = staged.hasMultipart ? await this.#startedMultipart(id) : undefined;
    if (started !== undefined && isWhole(started, length)) {
      await seal({ bucket: this.#bucket }, id, started.multipart, length);
      return true;
    }
    if (staged.direct !== length) return false;
    await this.#bucket.copy(this.#bucket.source(directKey(id)), bytesKey(id), {});
    return (await this.#bucket.head(bytesKey(id)))?.size === length;
  }

  /** The upload's multipart upload and its parts; undefined when S3 no longer has it. */
  async #startedMultipart(id: UploadId): Promise<StartedMultipart | undefined> {
    try {
      const multipart = await readMultipart(this.#bucket, id);
      return { multipart, stored: await this.#bucket.multiparts.parts(bytesKey(id), multipart.uploadId) };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async #sign(command: SignedPut): Promise<string> {
    const guard = await this.#findGuard();
    if (guard === undefined) throw new Error('A sender could use an address for this S3 server to copy other objects.');
    return signPut(this.#bucket.signing, command, this.#options.linkSeconds, guard);
  }

  /** Finds the guard once, and again after a failure. */
  #findGuard(): Promise<HeaderGuard | undefined> {
    this.#guard ??= findHeaderGuard(this.#bucket).catch((error: unknown) => {
      this.#guard = undefined;
      throw error;
    });
    return this.#guard;
  }
}

function isWhole({ multipart, stored }: StartedMultipart, length: number): boolean {
  const parts = stored.slice(0, Math.ceil(length / multipart.partBytes));
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  return (
    size === length && parts.every(({ number, size }, index) => number === index + 1 && size === sizeOfPart(number, multipart, length))
  );
}

function sizeOfPart(number: number, { partBytes }: Multipart, length: number): number {
  return Math.min(partBytes, length - (number - 1) * partBytes);
}
