import type { UploadError } from '../../shared/errors.ts';

export const EXIT = {
  accepted: 0,
  /** Some files were refused or failed, or files failed for different kinds of reasons. */
  failed: 1,
  usage: 2,
  source: 3,
  notAllowed: 4,
  temporary: 5,
} as const;

export function exitCodeOf(error: UploadError): number {
  switch (error.code) {
    case 'ERR_SOURCE_UNREADABLE':
    case 'ERR_SOURCE_CHANGED':
      return EXIT.source;
    case 'ERR_UNAUTHORIZED':
    case 'ERR_ACCESS_EXPIRED':
    case 'ERR_ACCESS_WITHDRAWN':
    case 'ERR_FORBIDDEN':
    case 'ERR_ACTION_NOT_ALLOWED':
    case 'ERR_ACCESS_USED_UP':
      return EXIT.notAllowed;
    default:
      return error.retryable ? EXIT.temporary : EXIT.failed;
  }
}

/** The exit code of the run: the code of its failures if they have the same code, otherwise `failed`. */
export function combinedExitCode(codes: readonly number[]): number {
  const kinds = new Set(codes.filter((code) => code !== EXIT.accepted));
  const [only = EXIT.accepted] = kinds;
  return kinds.size > 1 ? EXIT.failed : only;
}
