// Stores the links of files that the server accepted from this browser, for later visits.
import { localStorageOrNone } from '../../browser/optional-apis.ts';
import { areCounts, areTexts, fieldsOf, parseJson } from '../../json.ts';

export interface CompletedUpload {
  /** The server's id of the upload. */
  readonly id: string;
  /** Absolute address. */
  readonly endpoint: string;
  readonly url: string;
  readonly name: string;
  readonly size: number;
  /** Time of completion, in milliseconds since 1970. */
  readonly at: number;
}

/** Do not change: entries of earlier versions have this prefix. */
const PREFIX = 'landfall:arrived:';
/** The oldest entries beyond this are removed, because browser storage is small and resume records need it more. */
const MAX_KEPT = 200;

/** Completed uploads to this endpoint, the latest first. */
export function completedUploadsAt(endpoint: string): CompletedUpload[] {
  return all().filter((upload) => upload.endpoint === endpoint);
}

/** If the browser denies storage or has no space, the link is available in this visit only. */
export function saveCompleted(upload: CompletedUpload): void {
  try {
    localStorageOrNone()?.setItem(PREFIX + upload.id, JSON.stringify(upload));
    for (const { id } of all().slice(MAX_KEPT)) removeCompleted(id);
  } catch {}
}

export function removeCompleted(id: string): void {
  localStorageOrNone()?.removeItem(PREFIX + id);
}

function all(): CompletedUpload[] {
  const storage = localStorageOrNone();
  if (storage === undefined) return [];
  const keys = Array.from({ length: storage.length }, (_, index) => storage.key(index) ?? '');
  return keys
    .filter((key) => key.startsWith(PREFIX))
    .map((key) => parseJson(storage.getItem(key) ?? ''))
    .filter(isCompletedUpload)
    .sort((a, b) => b.at - a.at);
}

function isCompletedUpload(value: unknown): value is CompletedUpload {
  const { id, endpoint, url, name, size, at } = fieldsOf(value);
  return areTexts(id, endpoint, name) && isAddress(url) && areCounts(size) && Number.isFinite(at);
}

/** The address becomes a link, so `javascript:` and the like are refused. */
function isAddress(value: unknown): boolean {
  return typeof value === 'string' && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol);
}
