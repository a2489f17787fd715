import { UploadError } from '../../shared/errors.ts';
import type { UploadRecord } from '../../shared/upload.ts';
import { withoutCredentials } from '../address.ts';
import type { UploadResult } from '../handle/snapshot.ts';
import { formatChecksum } from './checksum.ts';
import { Failure, UploadEnded } from './failure.ts';
import type { GuardedHttp } from './guarded-http.ts';
import { askStatus, rejectionOf } from './status.ts';

/** Attempts to read the record of a file of known length. The server has accepted the file already; the record only adds details. */
const STATUS_TRIES = 3;
/** Half of the 60 s after which proxies commonly time out. */
const WAIT_SECONDS = 30;

export interface AcceptanceOptions {
  http: GuardedHttp;
  url: string;
  name: string;
  /** Bytes of the file; null when the source was a stream of unknown length. */
  size: number | null;
  /** Bytes the server acknowledged. */
  sent: number;
  /** CRC-32 of the first `size` bytes; undefined when the client did not read exactly that far. */
  crc32: (size: number) => number | undefined;
  resumed: boolean;
  signal: AbortSignal;
  /** Called before the record is requested again while the server is still inspecting. */
  beforeNextPoll(): Promise<void>;
  /** Called after a failed request; resolves when the request may be repeated. */
  afterFailure(error: UploadError): Promise<void>;
}

/**
 * The result of an upload whose last byte was acknowledged, completed from the server's record if the server has one. The server
 * cannot hold back the last byte of a stream of unknown length, so only the record carries its verdict.
 *
 * @throws Failure when the server stopped before it stored the declared length, and still waits for it
 * @throws UploadEnded when the server rejected the file, or stored other bytes than the client read
 */
export async function acceptedResult(options: AcceptanceOptions): Promise<UploadResult> {
  const { url, name, resumed } = options;
  const record = await awaitVerdict(options);
  if (record?.state === 'receiving') {
    throw new Failure(new UploadError('ERR_INSPECTION_PENDING'), { cause: 'interrupted', method: 'PATCH' });
  }
  if (record?.state === 'rejected') throw new UploadEnded('rejected', rejectionOf(record));
  const size = record?.length ?? options.size ?? options.sent;
  const crc32 = options.crc32(size);
  const ownChecksum = crc32 === undefined ? null : formatChecksum(crc32);
  if (ownChecksum !== null && record?.checksum && record.checksum !== ownChecksum) {
    throw new UploadEnded(
      'failed',
      new UploadError('ERR_UNEXPECTED_RESPONSE', { detail: 'The server stored other bytes than this client read.' }),
    );
  }
  return resultOf(record, { url, name, size, checksum: ownChecksum, resumed });
}

/** The result as the server recorded it. @param known what this client knows of the upload, for what the record lacks */
export function resultOf(
  record: UploadRecord | undefined,
  known: Pick<UploadResult, 'name' | 'size' | 'checksum' | 'resumed'> & { url: string },
): UploadResult {
  const { url } = known;
  return {
    id: record?.id ?? (new URL(url).pathname.split('/').at(-1) || url),
    url: record?.url === null ? null : withoutCredentials(new URL(record?.url ?? url, url).href),
    name: record?.name ?? known.name,
    size: record?.length ?? known.size,
    type: record?.type ?? null,
    checksum: record?.checksum ?? known.checksum,
    resumed: known.resumed,
    ...(record?.result === undefined ? {} : { result: record.result }),
  };
}

async function awaitVerdict({
  http,
  url,
  size,
  signal,
  beforeNextPoll,
  afterFailure,
}: AcceptanceOptions): Promise<UploadRecord | undefined> {
  // The verdict is nearly always known by now, so the first request does not ask the server to wait.
  let waitSeconds = 0;
  for (let tries = 1; ; tries++) {
    try {
      const record = await askStatus(http, url, waitSeconds, signal);
      if (record?.state !== 'inspecting') return record;
      if (waitSeconds > 0) await beforeNextPoll();
      waitSeconds = WAIT_SECONDS;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      // Other tus servers have no records: the acknowledged last byte is their only verdict.
      const isRefused = error.reason === 'refused' && error.status < 500;
      if (isRefused || (size !== null && tries >= STATUS_TRIES)) return undefined;
      await afterFailure(error.error);
    }
  }
}
