import { areCounts, areTexts, fieldsOf, isObject } from '../json.ts';

/**
 * What is kept of an upload so that a later visit or process goes on with it. Plain JSON.
 *
 * @example
 * ```ts
 * import { interrupted, type ResumeRecord } from 'landfall';
 *
 * const percent = ({ confirmed, size }: ResumeRecord) => Math.floor((100 * confirmed) / size);
 * for (const record of await interrupted()) console.log(record.name, percent(record));
 * ```
 */
export interface ResumeRecord {
  /** Of this format. */
  readonly version: 1;
  /** What makes it the same upload: endpoint, name, size, time of modification, path. */
  readonly key: string;
  /** Absolute. */
  readonly endpoint: string;
  /** Address of the upload; null until the creation was answered. */
  readonly url: string | null;
  /** Name of the file. */
  readonly name: string;
  /** Bytes of the file. */
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
  /** ISO 8601, UTC. */
  readonly updatedAt: string;
}

/**
 * Keeps records by key. An error that it throws ends no upload: only that it can be resumed later is lost.
 * A record that cannot be read counts as absent.
 *
 * @example
 * ```ts
 * import { type ResumeRecord, type ResumeStore, upload } from 'landfall';
 *
 * const records = new Map<string, ResumeRecord>();
 * const store: ResumeStore = {
 *   list: async () => [...records.values()],
 *   get: async (key) => records.get(key),
 *   put: async (record) => void records.set(record.key, record),
 *   remove: async (key) => void records.delete(key),
 * };
 * upload(file, { endpoint: '/files', store });
 * ```
 */
export interface ResumeStore {
  /** All records, in any order. */
  list(): Promise<ResumeRecord[]>;
  /** The record of a key; undefined where there is none. */
  get(key: string): Promise<ResumeRecord | undefined>;
  /** Replaces what has the same key, whole or not at all. */
  put(record: ResumeRecord): Promise<void>;
  /** Removes the record of a key, where there is one. */
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
