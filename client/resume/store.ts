import { areCounts, areTexts, fieldsOf, isObject } from '../json.ts';

/**
 * The resume record of an upload, from which a later visit or process resumes it. Plain JSON.
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
  /** Version of this format. */
  readonly version: 1;
  /** Identifies the upload: endpoint, name, size, time of modification, path, metadata. */
  readonly key: string;
  /** Absolute address at which the upload was created. */
  readonly endpoint: string;
  /** Address of the upload; null until the server answered the creation. */
  readonly url: string | null;
  /** Name of the file. */
  readonly name: string;
  /** Bytes of the file. */
  readonly size: number;
  /** Time of modification in milliseconds since 1970; null when the source has none. */
  readonly lastModified: number | null;
  /** Absolute path on this machine (Node only). */
  readonly path?: string;
  /** Path of the file in the chosen or dropped folder, with `/` between segments. */
  readonly relativePath?: string;
  /** Checksums of head, middle and tail. A file with the same key and another fingerprint is not resumed. */
  readonly fingerprint: string;
  /** Sent with the creation, so that a creation whose response was lost can be repeated. */
  readonly idempotencyKey: string;
  /**
   * Metadata of the creation. Pass it to `upload` to resume this upload. A repeated creation with the same `Idempotency-Key` must carry
   * the same metadata.
   */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Bytes that the server had acknowledged when the record was written. Only for display: the client resumes from the server's offset. */
  readonly confirmed: number;
  /** Running CRC-32 of the first `offset` bytes. */
  readonly checksum?: { readonly offset: number; readonly crc32: number };
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** ISO 8601, UTC. */
  readonly updatedAt: string;
}

/**
 * Keeps resume records by key. When the store fails, an upload continues, but a later visit cannot resume it. A record that cannot be
 * read counts as absent.
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
  /** The record of a key; undefined when there is none. */
  get(key: string): Promise<ResumeRecord | undefined>;
  /** Stores a record, atomically, in place of any record with the same key. */
  put(record: ResumeRecord): Promise<void>;
  /** Removes the record of a key, if there is one. */
  remove(key: string): Promise<void>;
}

/** Checks what a store read back. A record of another version, or a damaged one, is not valid. */
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
