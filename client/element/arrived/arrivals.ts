// What the server accepted from this browser, so that its links are there after a reload.
import { localStorageOrNone } from '../../browser/optional-apis.ts';
import { areCounts, areTexts, fieldsOf, parseJson } from '../../json.ts';

export interface Arrival {
  /** The server's id of the upload. */
  readonly id: string;
  /** Absolute. */
  readonly endpoint: string;
  readonly url: string;
  readonly name: string;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

const PREFIX = 'landfall:arrived:';
/** The oldest are forgotten beyond this: the storage of a page is small, and what unfinished uploads keep there matters more. */
const MOST = 200;

/** To this endpoint, the latest first. */
export function arrivalsAt(endpoint: string): Arrival[] {
  return all().filter((arrival) => arrival.endpoint === endpoint);
}

/** Where the browser denies storage, or has no more room, the link is there for this visit. */
export function keepArrival(arrival: Arrival): void {
  try {
    localStorageOrNone()?.setItem(PREFIX + arrival.id, JSON.stringify(arrival));
    for (const { id } of all().slice(MOST)) dropArrival(id);
  } catch {}
}

export function dropArrival(id: string): void {
  localStorageOrNone()?.removeItem(PREFIX + id);
}

function all(): Arrival[] {
  const storage = localStorageOrNone();
  if (storage === undefined) return [];
  const keys = Array.from({ length: storage.length }, (_, index) => storage.key(index) ?? '');
  return keys
    .filter((key) => key.startsWith(PREFIX))
    .map((key) => parseJson(storage.getItem(key) ?? ''))
    .filter(isArrival)
    .sort((a, b) => b.at - a.at);
}

function isArrival(value: unknown): value is Arrival {
  const { id, endpoint, url, name, size, at } = fieldsOf(value);
  return areTexts(id, endpoint, name) && isAddress(url) && areCounts(size) && Number.isFinite(at);
}

/** It becomes a link: nothing that runs may. */
function isAddress(value: unknown): boolean {
  return typeof value === 'string' && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol);
}
