import { StartError } from '../runtime/start-error.ts';

/** The command line is not one there is; the message says what to write instead. */
export class UsageError extends StartError {
  override readonly name = 'UsageError';
}
