/** A store did not do what it was asked. Stores of @tus/* throw objects that are no errors, and errors that say nothing of what failed. */
export class StoreFault extends Error {
  override readonly name = 'StoreFault';
  /** So that it is told from a mistake of ours: storage is not there, try again. */
  readonly code = 'ESTORE';
}

/** The outcome of a store's call. @throws StoreFault */
export async function storeOutcome<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw error instanceof StoreFault ? error : new StoreFault(`The store failed to ${what}: ${textOf(error)}`, { cause: error });
  }
}

/** That there is nothing by that name, in the words of the system, of S3, Azure, Google, or @tus/utils. */
export function saysMissing(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { code, name, statusCode, status_code: tusStatus, $metadata } = error as Record<string, unknown>;
  const http = ($metadata as { httpStatusCode?: number } | undefined)?.httpStatusCode;
  // S3 says 404 for a bucket that is not there, too: nothing is known of the object then.
  if (name === 'NoSuchBucket') return false;
  return code === 'ENOENT' || [code, statusCode, tusStatus, http].includes(404) || name === 'NoSuchKey' || name === 'NoSuchUpload';
}

/** Undefined in the stead of an error that says that there is nothing. */
export async function unlessMissing<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (saysMissing(error)) return undefined;
    throw error;
  }
}

function textOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  if (typeof error === 'object' && error !== null && 'body' in error) return String(error.body).trim();
  return String(error);
}
