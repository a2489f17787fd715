/** An upload as another server left it. */
export interface FoundUpload {
  /** The last part of its address, as that server named it. */
  id: string;
  /** Bytes; null while deferred. */
  length: number | null;
  /** Contiguous bytes from the first one on. */
  offset: number;
  /** The offset that the other server acknowledged, if it is higher. */
  acknowledged?: number;
  metadata: Record<string, string | null>;
  /** By the wall clock. */
  createdAt: number;
  /** A file with exactly these bytes. */
  path?: string;
  /** The bytes from 0 to `offset`. Joins parts first where needed; removes nothing. */
  content(): AsyncIterable<Buffer>;
  /** Removes the original. Idempotent. */
  remove(): Promise<void>;
}

/** Something that looks like an upload but cannot be continued. */
export interface UnusableUpload {
  id: string;
  reason: string;
  /** Removes what an interrupted removal may have left. */
  remove?(): Promise<void>;
}

export interface AdoptionSource {
  uploads(): AsyncIterable<FoundUpload | UnusableUpload>;
  close(): void;
}

/** The JSON beside an upload, from either server. */
export interface UploadInfo {
  id: string | undefined;
  length: number | null;
  metadata: Record<string, string | null>;
  createdAt: number | undefined;
  /** A part of a parallel upload, and not a file of its own. */
  isPartial: boolean;
}

/** @param json of `@tus/server`'s stores or of tusd. Undefined: it is of neither, or is incomplete */
export function readInfo(json: string): UploadInfo | undefined {
  const info = parseJson(json);
  if (info === undefined) return undefined;
  const { ID, Size, SizeIsDeferred, MetaData, IsPartial } = info;
  // tusd's keys begin with a capital letter.
  if (typeof ID === 'string') {
    const length = SizeIsDeferred === true ? null : byteCount(Size);
    return length === undefined
      ? undefined
      : { id: ID, length, metadata: texts(MetaData), createdAt: undefined, isPartial: IsPartial === true };
  }
  const { id, size, metadata, creation_date: created } = info;
  if (typeof id !== 'string') return undefined;
  const length = size === undefined || size === null ? null : byteCount(size);
  const time = typeof created === 'string' ? Date.parse(created) : Number.NaN;
  if (length === undefined) return undefined;
  return { id, length, metadata: texts(metadata), createdAt: Number.isFinite(time) ? time : undefined, isPartial: false };
}

function byteCount(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

function texts(value: unknown): Record<string, string | null> {
  if (typeof value !== 'object' || value === null) return {};
  const entries = Object.entries(value).filter(
    (entry): entry is [string, string | null] => entry[1] === null || typeof entry[1] === 'string',
  );
  return Object.fromEntries(entries);
}

/** An object, or undefined for anything else. */
function parseJson(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
