import { UploadError } from '../../shared/errors.ts';
import type { Source } from '../ports.ts';
import type { Checkpoint, Crc32 } from '../transfer/checksum.ts';
import type { ResumeRecord, ResumeStore } from './store.ts';

const SAMPLE_BYTES = 64 * 1024;
/** Often enough for a later visit to show the progress and to read little again; seldom enough to cost nothing. */
const WRITE_EVERY_MS = 1000;

/** Identifies the same file sent to the same endpoint, in every visit. Null for a source that a later visit cannot open again. */
export function resumeKey(endpoint: string, source: Source, name: string, fingerprint: string): string | null {
  if (!source.isResumable || source.size === null) return null;
  const { size, lastModified, path = '', relativePath = '' } = source;
  // Without a time of modification the content tells sources apart.
  return JSON.stringify([endpoint, name, size, lastModified ?? fingerprint, path, relativePath]);
}

/**
 * CRC-32 of head, middle and tail; reads at most 192 KiB. Detects changes, not forgery: the file is the sender's own.
 *
 * @throws what `read` throws
 */
export async function fingerprintOf(source: Pick<Source, 'size' | 'read'>, crc32: Crc32): Promise<string> {
  const size = source.size ?? 0;
  const last = Math.max(size - SAMPLE_BYTES, 0);
  const starts = [0, Math.floor(last / 2), last];
  const sums: string[] = [];
  for (const start of starts) {
    const bytes = await source.read(start, Math.min(start + SAMPLE_BYTES, size));
    sums.push(crc32(bytes, 0).toString(16).padStart(8, '0'));
  }
  return sums.join('-');
}

export interface JournalOptions {
  /** Undefined: the upload can be resumed by this handle only. */
  store: ResumeStore | undefined;
  key: string | null;
  endpoint: string;
  name: string;
  source: Source;
  fingerprint: string;
  /** `Upload-Metadata` of the creation. */
  metadata: Readonly<Record<string, string>>;
}

/**
 * The resume record of one upload. When the store fails, the upload continues, but a later visit cannot resume it. So no method
 * throws an error of the store.
 */
export class Journal {
  readonly #store: ResumeStore | undefined;
  readonly #draft: Omit<ResumeRecord, 'url' | 'idempotencyKey' | 'metadata' | 'confirmed' | 'checksum' | 'updatedAt'>;
  readonly #requestedMetadata: Readonly<Record<string, string>>;
  #metadata: Readonly<Record<string, string>>;
  #url: string | null = null;
  #idempotencyKey = randomId();
  #confirmed = 0;
  #checkpoint: Checkpoint | undefined;
  #isCreationRequested = false;
  #writtenAt = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor({ store, key, endpoint, name, source, fingerprint, metadata }: JournalOptions) {
    this.#store = key === null ? undefined : store;
    this.#requestedMetadata = metadata;
    this.#metadata = metadata;
    const { size, lastModified, path, relativePath } = source;
    this.#draft = {
      version: 1,
      key: key ?? '',
      endpoint,
      name,
      size: size ?? 0,
      lastModified,
      ...(path === undefined ? {} : { path }),
      ...(relativePath === undefined ? {} : { relativePath }),
      fingerprint,
      createdAt: new Date().toISOString(),
    };
  }

  /** Name of the lock for this upload; undefined when no other tab or process can see the record. */
  get lockName(): string | undefined {
    return this.#store === undefined ? undefined : this.#draft.key;
  }

  get url(): string | null {
    return this.#url;
  }

  get idempotencyKey(): string {
    return this.#idempotencyKey;
  }

  /** Metadata of the first creation request. A repeated request must carry the same metadata under the same `Idempotency-Key`. */
  get metadata(): Readonly<Record<string, string>> {
    return this.#metadata;
  }

  /** The creation was requested, so the upload may exist on the server even without a response. */
  get isCreationRequested(): boolean {
    return this.#isCreationRequested;
  }

  get checkpoint(): Checkpoint | undefined {
    return this.#checkpoint;
  }

  /**
   * Loads the record that an earlier visit or the last lock holder wrote. When the record is gone, the values of the previous `load`
   * stay: the upload has ended, and its address tells the verdict.
   *
   * @throws UploadError ERR_SOURCE_CHANGED when the content of the file changed; removes the record
   */
  async load(): Promise<void> {
    const { key, size, fingerprint } = this.#draft;
    const record = await this.#read(key);
    if (record === undefined || record.size !== size) return;
    if (record.fingerprint !== fingerprint) {
      await this.remove();
      throw new UploadError('ERR_SOURCE_CHANGED', { detail: 'Upload it again to start over.' });
    }
    this.#url = record.url;
    this.#idempotencyKey = record.idempotencyKey;
    this.#metadata = record.metadata ?? this.#requestedMetadata;
    this.#checkpoint = record.checksum;
    this.#isCreationRequested = true;
  }

  /** Call before the creation is requested, so that a repetition uses the same key. */
  async creationRequested(): Promise<void> {
    this.#isCreationRequested = true;
    await this.#write();
  }

  async created(url: string): Promise<void> {
    this.#url = url;
    await this.#write();
  }

  /** Updates progress. Writes the record at most once a second. */
  progressed(confirmed: number, checkpoint: Checkpoint | undefined): void {
    this.#confirmed = confirmed;
    this.#checkpoint = checkpoint;
    if (performance.now() - this.#writtenAt >= WRITE_EVERY_MS) void this.#write();
  }

  /** Writes the record now, for a later visit. */
  async save(): Promise<void> {
    if (this.#isCreationRequested) await this.#write();
  }

  /** Starts over with a new key, after the upload was lost on the server. */
  async reset(): Promise<void> {
    this.#url = null;
    this.#idempotencyKey = randomId();
    this.#metadata = this.#requestedMetadata;
    this.#confirmed = 0;
    this.#checkpoint = undefined;
    await this.remove();
  }

  /** Removes the record: there is nothing to resume. */
  async remove(): Promise<void> {
    const store = this.#store;
    this.#isCreationRequested = false;
    if (store === undefined) return;
    this.#writing = this.#writing.then(() => store.remove(this.#draft.key)).catch(() => {});
    await this.#writing;
  }

  async #read(key: string): Promise<ResumeRecord | undefined> {
    try {
      return await this.#store?.get(key);
    } catch {
      return undefined;
    }
  }

  /** Writes run one after the other, so that an older record never replaces a newer one. */
  async #write(): Promise<void> {
    const store = this.#store;
    if (store === undefined) return;
    this.#writtenAt = performance.now();
    const record: ResumeRecord = {
      ...this.#draft,
      url: this.#url,
      idempotencyKey: this.#idempotencyKey,
      metadata: this.#metadata,
      confirmed: this.#confirmed,
      ...(this.#checkpoint === undefined ? {} : { checksum: this.#checkpoint }),
      updatedAt: new Date().toISOString(),
    };
    this.#writing = this.#writing.then(() => store.put(record)).catch(() => {});
    await this.#writing;
  }
}

/** 128 random bits in hex. Pages on plain http have no `crypto.randomUUID`. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (value) => value.toString(16).padStart(2, '0')).join('');
}
