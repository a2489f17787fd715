import type { UploadError } from '../../shared/errors.ts';
import type { UploadResult } from '../handle/snapshot.ts';

export interface Summary {
  accepted: number;
  rejected: number;
  failed: number;
  /** Stopped by a signal; the same command resumes them. */
  interrupted: number;
  /** Bytes of the accepted files. */
  bytes: number;
  seconds: number;
  exitCode: number;
}

/** Writes results, and nothing else, to standard output as soon as they are known. */
export interface Output {
  accepted(file: string, result: UploadResult): void;
  ended(file: string, event: 'rejected' | 'failed' | 'interrupted', details: { error?: UploadError; url?: string }): void;
  summary(summary: Summary): void;
}

/** Prints the address of each accepted file that the sender may download. */
export function plainOutput(write: (text: string) => unknown): Output {
  return { accepted: (_file, { url }) => void (url !== null && write(`${url}\n`)), ended: () => {}, summary: () => {} };
}

/** NDJSON: each line has an `event`; the last is `summary`. */
export function jsonOutput(write: (text: string) => unknown): Output {
  const line = (event: string, fields: object) => void write(`${JSON.stringify({ event, ...fields })}\n`);
  return {
    accepted: (file, result) => line('accepted', { file, ...result }),
    ended: (file, event, { error, url }) => {
      const { code, title, detail, status, result } = error ?? {};
      line(event, { file, ...(url === undefined ? {} : { url }), ...(code === undefined ? {} : { code, title, detail, status, result }) });
    },
    summary: (summary) => line('summary', summary),
  };
}
