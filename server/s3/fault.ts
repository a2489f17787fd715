import { StartError } from '../runtime/start-error.ts';

/** S3 did not do what it was asked, after all retries. */
export class S3Fault extends Error {
  override readonly name = 'S3Fault';
  /** So that it is told from a mistake of ours: storage is not there, try again. */
  readonly code = 'ES3';
  /** What S3 calls it: `NoSuchKey`, `SlowDown`. */
  readonly reason: string;
  readonly status: number | undefined;

  constructor(message: string, reason: string, status?: number, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
    this.status = status;
  }
}

/** The bucket cannot be used: it is away, or refuses the credentials. `isMistake` is false where it is only away. */
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
/** Some servers say 404 for these, too: nothing is known of the object then. */
const NOT_OF_THE_OBJECT = new Set(['NoSuchBucket', 'InvalidAccessKeyId', 'XAdminUserNotFound']);

export function isMissing(error: unknown): boolean {
  if (!(error instanceof S3Fault)) return false;
  return MISSING.has(error.reason) || (error.status === 404 && !NOT_OF_THE_OBJECT.has(error.reason));
}

/** The outcome of a request, its failure told as a fault. @throws S3Fault */
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
