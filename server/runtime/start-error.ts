/** Stable codes of the reasons why a server does not start. Programs test the code, not the message. docs/errors.md lists them. */
export type StartErrorCode =
  | 'ERR_CONFIG'
  | 'ERR_PACKAGE_MISSING'
  | 'ERR_LEDGER_IN_USE'
  | 'ERR_LEDGER_ELSEWHERE'
  | 'ERR_LEDGER_TOO_NEW'
  | 'ERR_DATABASE_UNUSABLE'
  | 'ERR_BUCKET_UNUSABLE'
  | 'ERR_STAGED_ELSEWHERE'
  | 'ERR_KEY_FILE_UNUSABLE'
  | 'ERR_INTERNAL_ADDRESS_UNUSABLE'
  // From the command only
  | 'ERR_ADDRESS_UNUSABLE'
  | 'ERR_STILL_SERVED'
  | 'ERR_NOTHING_TO_ADOPT'
  | 'ERR_USAGE';

/**
 * The server cannot start. `message` is a sentence for the person who set it up.
 *
 * @example
 * ```ts
 * import { createLandfall, StartError } from 'landfall-server';
 *
 * try {
 *   await createLandfall({ dataDir: './data' }).start();
 * } catch (error) {
 *   if (!(error instanceof StartError)) throw error;
 *   console.error(error.code, error.message);
 *   process.exitCode = error.isMistake ? 2 : 1;
 * }
 * ```
 */
export abstract class StartError extends Error {
  /** Stable code of the reason. */
  abstract readonly code: StartErrorCode;
  /** True: the operator has to change something first. False: the same start may succeed later. */
  readonly isMistake: boolean = true;
}
