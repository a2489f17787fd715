import { StartError } from '../runtime/start-error.ts';

/** A request to S3 failed after all retries. */
export class S3Fault extends Error {
  override readonly name = 'S3Fault';
  /** By this code, `staging/faults.ts` answers that the storage is unavailable, instead of an internal error. */
  readonly code = 'ES3';
  /** S3's name of the error: `NoSuchKey`, `SlowDown`. */
  readonly reason: string;
  readonly status: number | undefined;

  constructor(message: string, reason: string, status?: number, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
    this.status = status;
  }
}

/** The bucket cannot be used: it is unreachable, or refuses the credentials. `isMistake` is false when it is unreachable. */
export class BucketUnusable extends StartError {
  override readonly name = 'BucketUnusable';
  override readonly code = 'ERR_BUCKET_UNUSABLE';
  override readonly isMistake: boolean;

  constructor(message: string, isMistake: boolean, cause: S3Fault) {
    super(message, { cause });
    this.isMistake = isMistake;
  }
}

const MISSING = new Set(['NoSuchKey', 'NotFound', 'NoSuchUpload']);
/** Some servers answer 404 for these, too, which says nothing about the object. */
const NOT_OF_THE_OBJECT = new Set(['NoSuchBucket', 'InvalidAccessKeyId', 'XAdminUserNotFound']);

export function isMissing(error: unknown): boolean {
  if (!(error instanceof S3Fault)) return false;
  return MISSING.has(error.reason) || (error.status === 404 && !NOT_OF_THE_OBJECT.has(error.reason));
}

/** Awaits a request. @throws S3Fault */
export async function outcome<T>(what: string, request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    throw faultOf(what, error);
  }
}

export function faultOf(what: string, error: unknown): S3Fault {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const metadata = error instanceof Error && '$metadata' in error ? (error.$metadata as { httpStatusCode?: number }) : {};
  return new S3Fault(`S3, ${what}: ${name}: ${message}`, name, metadata.httpStatusCode, error);
}
