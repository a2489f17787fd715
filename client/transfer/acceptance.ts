import { UploadError } from '../../shared/errors.ts';
import type { UploadRecord } from '../../shared/upload.ts';
import type { UploadResult } from '../handle/snapshot.ts';
import { formatChecksum } from './checksum.ts';
import { Ending, Failure } from './failure.ts';
import type { GuardedHttp } from './guarded-http.ts';
import { askStatus, rejectionOf } from './status.ts';

/** For the details of an accepted file: the verdict is known, so they are not worth more. */
const STATUS_TRIES = 3;
/** Proxies commonly give up after 60 s. */
const WAIT_SECONDS = 30;

export interface AcceptanceOptions {
  http: GuardedHttp;
  url: string;
  name: string;
  /** Null for what had no known end. */
  size: number | null;
  /** Bytes the server acknowledged. */
  sent: number;
  /** Of the file, where it was read up to there. */
  crc32: (size: number) => number | undefined;
  resumed: boolean;
  signal: AbortSignal;
  /** Before the record is asked for again while the verdict is out. */
  askAgain(): Promise<void>;
  /** After a failed request. */
  wait(error: UploadError): Promise<void>;
}

/**
 * The result of an upload whose last byte was acknowledged, filled from the server's record where it has one. Of a file
 * without a known end no byte could be held back: there the record tells the verdict.
 *
 * @throws Failure when the server still waits for the end to be declared: it was stopped before it wrote down that it was
 * @throws Ending when it was refused, or what is stored is not what was read here
 */
export async function acceptedResult(options: AcceptanceOptions): Promise<UploadResult> {
  const { url, name, resumed } = options;
  const record = await verdictOf(options);
  if (record?.state === 'receiving') {
    throw new Failure(new UploadError('ERR_INSPECTION_PENDING'), { cause: 'interrupted', method: 'PATCH' });
  }
  if (record?.state === 'rejected') throw new Ending('rejected', rejectionOf(record));
  const size = record?.length ?? options.size ?? options.sent;
  const crc32 = options.crc32(size);
  const ours = crc32 === undefined ? null : formatChecksum(crc32);
  if (ours !== null && record?.checksum && record.checksum !== ours) {
    throw new Ending('failed', new UploadError('ERR_UNEXPECTED_RESPONSE', { detail: 'What the server stored is not what was read here.' }));
  }
  return {
    id: record?.id ?? (new URL(url).pathname.split('/').at(-1) || url),
    url: record === undefined ? url : record.url === null ? null : new URL(record.url, url).href,
    name: record?.name ?? name,
    size,
    type: record?.type ?? null,
    checksum: record?.checksum ?? ours,
    resumed,
    ...(record?.result === undefined ? {} : { result: record.result }),
  };
}

async function verdictOf({ http, url, size, signal, askAgain, wait }: AcceptanceOptions): Promise<UploadRecord | undefined> {
  // Nearly always the verdict is there already, so the first answer need not be held.
  let waitSeconds = 0;
  for (let tries = 1; ; tries++) {
    try {
      const record = await askStatus(http, url, waitSeconds, signal);
      if (record?.state !== 'inspecting') return record;
      if (waitSeconds > 0) await askAgain();
      waitSeconds = WAIT_SECONDS;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      // Another tus server has no records: its word on the last byte is all there is.
      const isRefused = error.reason === 'refused' && error.status < 500;
      if (isRefused || (size !== null && tries >= STATUS_TRIES)) return undefined;
      await wait(error.error);
    }
  }
}
