// Uploads that go from their sender to S3 past this server: into staging, by addresses signed for a while, then the same finish.

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
  /** What is still to be sent, in the order of its place; the next ones are asked for when these are. */
  parts: { number: number; url: string }[];
}

export interface S3DirectOptions {
  bucket: Bucket;
  partBytes: number;
  /** Seconds that an address is good for. */
  linkSeconds: number;
}

interface Begun {
  multipart: Multipart;
  stored: StoredPart[];
}

/** Addresses in one answer. */
const LINKS_AT_ONCE = 100;

/**
 * A file of one part is put under a key of its own and copied from there before anybody looks at it: its address stays good
 * for a while, and what is inspected must not be what can still be overwritten. Parts of a larger one can't be, once they are
 * one object.
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

  /** Whether addresses for this server can be used for nothing else than what they are given out for. @throws S3Fault */
  async isSafe(): Promise<boolean> {
    return (await this.#findGuard()) !== undefined;
  }

  /** Addresses for what S3 does not have yet, from a part on. @throws S3Fault */
  async links(id: UploadId, length: number, from = 1): Promise<DirectLinks> {
    const partBytes = partBytesFor(this.#options.partBytes, length);
    if (length === 0) return { partBytes, parts: [] };
    const staged = await readStaged(this.#bucket, id);
    if (staged.sealed !== undefined || staged.direct === length) return { partBytes, parts: [] };
    const begun = staged.hasMultipart ? await this.#begun(id) : undefined;
    // What was begun in parts goes on in them, whatever their size would be today.
    if (begun === undefined && length <= partBytes) {
      const put = new PutObjectCommand({ ...this.#bucket.at(directKey(id)), ContentLength: length });
      return { partBytes: length, parts: [{ number: 1, url: await this.#sign(put) }] };
    }
    // What was begun is gone, by a rule of the bucket for one.
    if (staged.hasMultipart && begun === undefined) await this.#bucket.remove([multipartKey(id)]);
    const { multipart, stored } = begun ?? { multipart: await startMultipart(this.#bucket, id, partBytes), stored: [] };
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
   * Makes one object of what was sent; under the upload's lock. A file may have been given addresses of both kinds, by processes
   * with parts of other sizes: whichever it came by whole. False: by none. @throws S3Fault
   */
  async complete(id: UploadId, length: number): Promise<boolean> {
    const staged = await readStaged(this.#bucket, id);
    if (staged.sealed !== undefined) return staged.sealed === length;
    // An empty file is all there before anything is sent.
    if (length === 0) {
      await this.#bucket.put(bytesKey(id), Buffer.alloc(0));
      return true;
    }
    const begun = staged.hasMultipart ? await this.#begun(id) : undefined;
    if (begun !== undefined && isWhole(begun, length)) {
      await seal({ bucket: this.#bucket }, id, begun.multipart, length);
      return true;
    }
    if (staged.direct !== length) return false;
    await this.#bucket.copy(this.#bucket.source(directKey(id)), bytesKey(id), {});
    return (await this.#bucket.head(bytesKey(id)))?.size === length;
  }

  /** The multipart upload that is written down, and its parts; undefined: S3 has none any more. */
  async #begun(id: UploadId): Promise<Begun | undefined> {
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
    if (guard === undefined) throw new Error('An address for this server could be used to copy what is not its sender’s.');
    return signPut(this.#bucket.signing, command, this.#options.linkSeconds, guard);
  }

  /** Asked once; again where it could not be told. */
  #findGuard(): Promise<HeaderGuard | undefined> {
    this.#guard ??= findHeaderGuard(this.#bucket).catch((error: unknown) => {
      this.#guard = undefined;
      throw error;
    });
    return this.#guard;
  }
}

function isWhole({ multipart, stored }: Begun, length: number): boolean {
  const parts = stored.slice(0, Math.ceil(length / multipart.partBytes));
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  return (
    size === length && parts.every(({ number, size }, index) => number === index + 1 && size === sizeOfPart(number, multipart, length))
  );
}

function sizeOfPart(number: number, { partBytes }: Multipart, length: number): number {
  return Math.min(partBytes, length - (number - 1) * partBytes);
}
