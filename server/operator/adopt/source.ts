/** An upload as another server left it. */
export interface FoundUpload {
  /** What its address ends in, as that server named it. */
  id: string;
  /** Bytes; null while deferred. */
  length: number | null;
  /** Bytes that are there, and follow one another from the first. */
  offset: number;
  /** What was told to its sender, where that is more. */
  told?: number;
  metadata: Record<string, string | null>;
  /** By the wall's clock. */
  createdAt: number;
  /** The file that has all of it, and nothing else. */
  path?: string;
  /** The bytes from 0 to `offset`. What has to be put together first, is; nothing is taken away. */
  content(): AsyncIterable<Buffer>;
  /** Takes all of it away from where it was. Fine when some of it is gone already. */
  remove(): Promise<void>;
}

/** Something that looks like an upload and is none that could go on. */
export interface UnusableUpload {
  id: string;
  reason: string;
  /** Takes what is left away, where it may be the rest of one that was taken away before. */
  remove?(): Promise<void>;
}

export interface AdoptionSource {
  uploads(): AsyncIterable<FoundUpload | UnusableUpload>;
  close(): void;
}

/** What the JSON beside an upload says of it, in either server's words. */
export interface UploadInfo {
  id: string | undefined;
  length: number | null;
  metadata: Record<string, string | null>;
  createdAt: number | undefined;
  /** Of a parallel upload: not a file of its own. */
  isPartial: boolean;
}

/** @param json of `@tus/server`'s stores or of tusd. Undefined: it is of neither, or was half written */
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
