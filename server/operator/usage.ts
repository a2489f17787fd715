// Shared by the operators' commands: options, usage errors, paced output.
import { StartError } from '../runtime/start-error.ts';

/** The command line is wrong; the message says what to write instead. */
export class UsageError extends StartError {
  override readonly name = 'UsageError';
  override readonly code = 'ERR_USAGE';
}

export interface Output {
  /** False while the reader is slower than the writer. */
  write(text: string): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

/** The options of `ls`, `url` and `events ls`. */
export interface ListOptions {
  /** Lifetime of the address. */
  expires?: string | undefined;
  state?: string | undefined;
  /** Most lines to print. */
  limit?: string | undefined;
  /** The id of the last line of the page before. */
  after?: string | undefined;
  json?: boolean | undefined;
}

/** @throws UsageError */
export function limitOf(limit: string | undefined): number {
  if (limit !== undefined && !/^[1-9]\d{0,8}$/.test(limit)) throw new UsageError('--limit is not a number of lines.');
  return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit);
}

/** Waits for a slow reader, so that memory holds no more than the last write. */
export async function writePaced(output: Output, text: string): Promise<void> {
  if (!output.write(text)) await new Promise<void>((resolve) => output.once('drain', resolve));
}
