import type { Source } from '../ports.ts';
import type { Checkpoint, Crc32 } from '../transfer/checksum.ts';
import type { ResumeRecord, ResumeStore } from './store.ts';

const SAMPLE_BYTES = 64 * 1024;
/** Often enough for a later visit to show the progress and to read little again; seldom enough to cost nothing. */
const WRITE_EVERY_MS = 1000;

type Metadata = Readonly<Record<string, string>>;

/** What tells one upload from another, in every visit. */
export interface UploadIdentity {
  endpoint: string;
  name: string;
  source: Source;
  /** `Upload-Metadata` of the creation. */
  metadata: Metadata;
}

/**
 * The key of an upload's record. Metadata is part of it: the same file sent for another project or from another folder is another
 * upload, and nothing would be stored for it if it joined the first. Null for a source that a later visit cannot open again.
 *
 * @param fingerprint tells sources apart that have no time of modification
 */
export function resumeKey({ endpoint, name, source, metadata }: UploadIdentity, fingerprint: string): string | null {
  if (!source.isResumable || source.size === null) return null;
  const { size, lastModified, path = '' } = source;
  // Not the type: the system claims it, and may claim another one after an update.
  const { filename, filetype: _, relativePath = '', ...others } = metadata;
  const pairs = Object.entries(filename === name ? others : { ...others, filename }).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([endpoint, name, size, lastModified ?? fingerprint, path, relativePath, ...pairs]);
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

export interface JournalOptions extends UploadIdentity {
  /** Undefined: the upload can be resumed by this handle only. */
  store: ResumeStore | undefined;
  fingerprint: string;
}

/**
 * The resume record of one upload. Only the holder of the lock writes or removes it. When the store fails, the upload continues, but a
 * later visit cannot resume it. So no method throws an error of the store.
 */
export class Journal {
  readonly #store: ResumeStore | undefined;
  readonly #draft: Omit<ResumeRecord, 'url' | 'idempotencyKey' | 'metadata' | 'confirmed' | 'checksum' | 'updatedAt'>;
  readonly #requestedMetadata: Metadata;
  #metadata: Metadata;
  #url: string | null = null;
  #idempotencyKey = randomId();
  #confirmed = 0;
  #checkpoint: Checkpoint | undefined;
  #isCreationRequested = false;
  /** The values are those of a record, or of the holder of the lock. */
  #isAdopted = false;
  #hasVanished = false;
  /** Key of the upload that the server lost, until the server has created the next one. */
  #lostKey: string | undefined;
  #writtenAt = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor({ store, fingerprint, ...identity }: JournalOptions) {
    const { endpoint, name, source, metadata } = identity;
    const key = resumeKey(identity, fingerprint);
    this.#store = key === null ? undefined : store;
    this.#requestedMetadata = metadata;
    this.#metadata = metadata;
    const { size, lastModified, path } = source;
    const { relativePath } = metadata;
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

  /** Name of the channel for the progress of this upload. Another file under the same key waits for the lock, but has other progress. */
  get progressName(): string {
    return `${this.#draft.key}${this.#draft.fingerprint}`;
  }

  get url(): string | null {
    return this.#url;
  }

  /** Another holder of the lock knew the upload, and its record is gone now: that holder ended the upload. */
  get hasVanished(): boolean {
    return this.#hasVanished;
  }

  /** The server lost the upload, and the next one is not created yet. The record is that of the lost one. */
  get isReplacing(): boolean {
    return this.#lostKey !== undefined;
  }

  get idempotencyKey(): string {
    return this.#idempotencyKey;
  }

  /** Metadata of the first creation request. A repeated request must carry the same metadata under the same `Idempotency-Key`. */
  get metadata(): Metadata {
    return this.#metadata;
  }

  /** The creation was requested, so the upload may exist on the server even without a response. */
  get isCreationRequested(): boolean {
    return this.#isCreationRequested;
  }

  get checkpoint(): Checkpoint | undefined {
    return this.#checkpoint;
  }

  /** Whether there is a record, perhaps of a file with other content. */
  async hasRecord(): Promise<boolean> {
    return (await this.#read()) !== undefined;
  }

  /** The holder of the lock reported the address of the upload, which may end before the record is read. */
  follow(url: string): void {
    this.#url = url;
    this.#isCreationRequested = true;
    this.#isAdopted = true;
  }

  /**
   * Loads the record that an earlier visit or the last holder of the lock wrote. When the record is gone, the values that are known stay:
   * the upload has ended, and its address tells the verdict.
   *
   * @returns false when the record is of a file with other content
   */
  async load(): Promise<boolean> {
    const record = await this.#read();
    this.#hasVanished = record === undefined && this.#isAdopted;
    if (record === undefined) return true;
    if (record.fingerprint !== this.#draft.fingerprint) return false;
    this.#isAdopted = true;
    // An upload that is sent again after a pause: its record is still that of the lost one.
    if (record.idempotencyKey === this.#lostKey) return true;
    this.#lostKey = undefined;
    this.#url = record.url;
    this.#idempotencyKey = record.idempotencyKey;
    this.#metadata = record.metadata ?? this.#requestedMetadata;
    this.#confirmed = record.confirmed;
    this.#checkpoint = record.checksum;
    this.#isCreationRequested = true;
    return true;
  }

  /** Call before the creation is requested, so that a repetition uses the same key. */
  async creationRequested(): Promise<void> {
    this.#isCreationRequested = true;
    await this.#write();
  }

  async created(url: string): Promise<void> {
    this.#url = url;
    this.#lostKey = undefined;
    this.#hasVanished = false;
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

  /** Starts over with a new key, after the upload was lost on the server. The old record stays until the server has created the new upload. */
  restart(): void {
    this.#lostKey = this.#idempotencyKey;
    this.#url = null;
    this.#idempotencyKey = randomId();
    this.#metadata = this.#requestedMetadata;
    this.#confirmed = 0;
    this.#checkpoint = undefined;
    this.#isCreationRequested = false;
  }

  /** Removes the record: there is nothing to resume. */
  async remove(): Promise<void> {
    const store = this.#store;
    this.#isCreationRequested = false;
    if (store === undefined) return;
    this.#writing = this.#writing.then(() => store.remove(this.#draft.key)).catch(() => {});
    await this.#writing;
  }

  async #read(): Promise<ResumeRecord | undefined> {
    try {
      return await this.#store?.get(this.#draft.key);
    } catch {
      return undefined;
    }
  }

  /** Writes run one after the other, so that an older record never replaces a newer one. */
  async #write(): Promise<void> {
    const store = this.#store;
    if (store === undefined || this.isReplacing) return;
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
