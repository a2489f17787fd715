/** A call of a store failed. Stores of @tus/* throw objects that are not errors, and errors that do not name the failed call. */
export class StoreFault extends Error {
  override readonly name = 'StoreFault';
  /** By this code, `staging/faults.ts` answers that the storage is unavailable, instead of an internal error. */
  readonly code = 'ESTORE';
}

/** Runs a call of a store. @throws StoreFault */
export async function storeOutcome<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw error instanceof StoreFault ? error : new StoreFault(`The store failed to ${what}: ${textOf(error)}`, { cause: error });
  }
}

/** True for an error that means "not found", from the system, S3, Azure, Google, or @tus/utils. */
export function saysMissing(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { code, name, statusCode, status_code: tusStatus, $metadata } = error as Record<string, unknown>;
  const http = ($metadata as { httpStatusCode?: number } | undefined)?.httpStatusCode;
  // S3 also answers 404 when the bucket is missing, which says nothing about the object.
  if (name === 'NoSuchBucket') return false;
  return code === 'ENOENT' || [code, statusCode, tusStatus, http].includes(404) || name === 'NoSuchKey' || name === 'NoSuchUpload';
}

/** Resolves to undefined instead of rejecting with a "not found" error. */
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
