import type { UploadError } from '../../shared/errors.ts';
import type { UploadResult } from '../handle/snapshot.ts';

export interface Summary {
  accepted: number;
  rejected: number;
  failed: number;
  /** Stopped by a signal: run again, these go on. */
  interrupted: number;
  /** Of the accepted files. */
  bytes: number;
  seconds: number;
  exitCode: number;
}

/** Standard output: results and nothing else, each as soon as it is known. */
export interface Output {
  accepted(file: string, result: UploadResult): void;
  ended(file: string, event: 'rejected' | 'failed' | 'interrupted', details: { error?: UploadError; url?: string }): void;
  summary(summary: Summary): void;
}

/** The address of each accepted file that its sender may download. */
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
