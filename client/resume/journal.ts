import { UploadError } from '../../shared/errors.ts';
import type { Source } from '../ports.ts';
import type { Checkpoint, Crc32 } from '../transfer/checksum.ts';
import type { ResumeRecord, ResumeStore } from './store.ts';

const SAMPLE_BYTES = 64 * 1024;
/** Often enough that a later visit knows how far it came and reads little again, seldom enough to cost nothing. */
const KEEP_EVERY_MS = 1000;

/** The same file to the same place, whoever asks when. Null for a source that a later visit can't know again. */
export function resumeKey(endpoint: string, source: Source, name: string, fingerprint: string): string | null {
  if (!source.isResumable || source.size === null) return null;
  const { size, lastModified, path = '', relativePath = '' } = source;
  // Bytes without a time of modification are told apart by what they are.
  return JSON.stringify([endpoint, name, size, lastModified ?? fingerprint, path, relativePath]);
}

/** Of head, middle and tail, at most 192 KiB read. Not against forgery: it is the sender's own file. @throws what `read` throws */
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
  /** Undefined: kept for the life of this handle only. */
  store: ResumeStore | undefined;
  key: string | null;
  endpoint: string;
  name: string;
  source: Source;
  fingerprint: string;
  /** What the creation tells of it. */
  metadata: Readonly<Record<string, string>>;
}

/**
 * What this upload needs to go on, written down. A store that fails costs the resumption, never the upload, so nothing
 * here throws on its account.
 */
export class Journal {
  readonly #store: ResumeStore | undefined;
  readonly #draft: Omit<ResumeRecord, 'url' | 'idempotencyKey' | 'metadata' | 'confirmed' | 'checksum' | 'updatedAt'>;
  readonly #wanted: Readonly<Record<string, string>>;
  #metadata: Readonly<Record<string, string>>;
  #url: string | null = null;
  #idempotencyKey = randomId();
  #confirmed = 0;
  #checkpoint: Checkpoint | undefined;
  #isAsked = false;
  #keptAt = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor({ store, key, endpoint, name, source, fingerprint, metadata }: JournalOptions) {
    this.#store = key === null ? undefined : store;
    this.#wanted = metadata;
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

  /** What to hold a lock on; undefined where nothing is shared. */
  get lockName(): string | undefined {
    return this.#store === undefined ? undefined : this.#draft.key;
  }

  get url(): string | null {
    return this.#url;
  }

  get idempotencyKey(): string {
    return this.#idempotencyKey;
  }

  /** What goes with the key: as the creation was asked for first, whatever is wanted by now. */
  get metadata(): Readonly<Record<string, string>> {
    return this.#metadata;
  }

  /** The creation was asked for and may have happened, answered or not. */
  get isAsked(): boolean {
    return this.#isAsked;
  }

  get checkpoint(): Checkpoint | undefined {
    return this.#checkpoint;
  }

  /**
   * Takes over what an earlier visit, or whoever held the lock, left. What was seen before is not forgotten when the record
   * is gone meanwhile: the upload has ended then, and its address tells how.
   *
   * @throws UploadError ERR_SOURCE_CHANGED when it is of another content; the record is gone then
   */
  async recall(): Promise<void> {
    const { key, size, fingerprint } = this.#draft;
    const record = await this.#read(key);
    if (record === undefined || record.size !== size) return;
    if (record.fingerprint !== fingerprint) {
      await this.forget();
      throw new UploadError('ERR_SOURCE_CHANGED', { detail: 'Its content changed since the upload began. Upload it again to start anew.' });
    }
    this.#url = record.url;
    this.#idempotencyKey = record.idempotencyKey;
    this.#metadata = record.metadata ?? this.#wanted;
    this.#checkpoint = record.checksum;
    this.#isAsked = true;
  }

  /** Before the creation is asked for, so that it is not made twice. */
  async asking(): Promise<void> {
    this.#isAsked = true;
    await this.#write();
  }

  async created(url: string): Promise<void> {
    this.#url = url;
    await this.#write();
  }

  /** Not at once, and not each time. */
  keep(confirmed: number, checkpoint: Checkpoint | undefined): void {
    this.#confirmed = confirmed;
    this.#checkpoint = checkpoint;
    if (performance.now() - this.#keptAt >= KEEP_EVERY_MS) void this.#write();
  }

  /** Now, for whoever goes on later. */
  async save(): Promise<void> {
    if (this.#isAsked) await this.#write();
  }

  /** The upload is gone on the server: a new one. */
  async startOver(): Promise<void> {
    this.#url = null;
    this.#idempotencyKey = randomId();
    this.#metadata = this.#wanted;
    this.#confirmed = 0;
    this.#checkpoint = undefined;
    await this.forget();
  }

  /** There is nothing to go on with. */
  async forget(): Promise<void> {
    const store = this.#store;
    this.#isAsked = false;
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

  /** One after the other: an older record must not come after a newer one. */
  async #write(): Promise<void> {
    const store = this.#store;
    if (store === undefined) return;
    this.#keptAt = performance.now();
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

/** 128 random bits in hex. `crypto.randomUUID` is not there on a page that came over plain http. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (value) => value.toString(16).padStart(2, '0')).join('');
}
