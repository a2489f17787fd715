import { areCounts, areTexts, fieldsOf, isObject } from '../json.ts';

/** What is kept of an upload so that a later visit or process goes on with it. Plain JSON. */
export interface ResumeRecord {
  readonly version: 1;
  /** What makes it the same upload: endpoint, name, size, time of modification, path. */
  readonly key: string;
  /** Absolute. */
  readonly endpoint: string;
  /** Address of the upload; null until the creation was answered. */
  readonly url: string | null;
  readonly name: string;
  readonly size: number;
  /** Milliseconds since 1970; null where the source has none. */
  readonly lastModified: number | null;
  /** Absolute path on this machine (Node only). */
  readonly path?: string;
  /** Where the file stands in the folder that was dropped or named, `/` between. */
  readonly relativePath?: string;
  /** Of head, middle and tail: another content under the same key is refused. */
  readonly fingerprint: string;
  /** Sent with the creation, so that one whose answer was lost is not made twice. */
  readonly idempotencyKey: string;
  /** What the creation told of the file: the key stands for a creation with this, and no other. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Bytes the server acknowledged when this was written. The server's own word counts. */
  readonly confirmed: number;
  /** Running CRC-32 of the first `offset` bytes. */
  readonly checksum?: { readonly offset: number; readonly crc32: number };
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly updatedAt: string;
}

/**
 * Keeps records by key. Whatever it throws is not fatal: the upload goes on and only its resumption is lost.
 * What can't be read counts as not there.
 */
export interface ResumeStore {
  list(): Promise<ResumeRecord[]>;
  get(key: string): Promise<ResumeRecord | undefined>;
  /** Replaces what has the same key, whole or not at all. */
  put(record: ResumeRecord): Promise<void>;
  remove(key: string): Promise<void>;
}

/** What a store read back: another version's, or half of one, is none. */
export function isResumeRecord(value: unknown): value is ResumeRecord {
  const { version, url, lastModified, path, relativePath, metadata, checksum, ...record } = fieldsOf(value);
  return (
    version === 1 &&
    areTexts(record.key, record.endpoint, record.name, record.fingerprint, record.idempotencyKey, record.createdAt, record.updatedAt) &&
    (url === null || (typeof url === 'string' && URL.canParse(url))) &&
    areCounts(record.size, record.confirmed) &&
    (lastModified === null || typeof lastModified === 'number') &&
    areTexts(path ?? '', relativePath ?? '') &&
    (metadata === undefined || (isObject(metadata) && areTexts(...Object.values(metadata)))) &&
    (checksum === undefined || areCounts(fieldsOf(checksum).offset, fieldsOf(checksum).crc32))
  );
}
