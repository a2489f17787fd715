// What operators' commands have in common: how they are written, and where they write.
import { StartError } from '../runtime/start-error.ts';

/** The command line is not one there is; the message says what to write instead. */
export class UsageError extends StartError {
  override readonly name = 'UsageError';
  override readonly code = 'ERR_USAGE';
}

export interface Output {
  /** False while more is written than is taken. */
  write(text: string): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

/** Of `ls`, `url` and `events ls`. */
export interface ListOptions {
  /** How long the address is good for. */
  expires?: string | undefined;
  state?: string | undefined;
  /** Of how many. */
  limit?: string | undefined;
  /** The id of the last one of the page before. */
  after?: string | undefined;
  json?: boolean | undefined;
}

/** @throws UsageError */
export function limitOf(limit: string | undefined): number {
  if (limit !== undefined && !/^[1-9]\d{0,8}$/.test(limit)) throw new UsageError('--limit is a number of lines.');
  return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit);
}

/** Of what is read slowly no more is kept in memory than what was written last. */
export async function writePaced(output: Output, text: string): Promise<void> {
  if (!output.write(text)) await new Promise<void>((resolve) => output.once('drain', resolve));
}
