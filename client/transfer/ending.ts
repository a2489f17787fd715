import type { UploadError } from '../../shared/errors.ts';

/** An upload is over without `accepted`. */
export class Ending extends Error {
  readonly state: 'rejected' | 'failed';
  readonly error: UploadError;

  constructor(state: 'rejected' | 'failed', error: UploadError) {
    super(error.message, { cause: error });
    this.state = state;
    this.error = error;
  }
}
