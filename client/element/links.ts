// The links of what was accepted in this visit: to copy, and kept for later visits.
import { copyText } from '../browser/optional-apis.ts';
import type { UploadResult } from '../handle/snapshot.ts';
import { dropArrival, keepArrival } from './arrived/arrivals.ts';
import type { Language } from './language.ts';

/** So long a button says what became of it. */
export const SAID_FOR_MS = 2000;

/** While a click is handled. Resolves with what the button says of it. */
export async function copyLinks(urls: readonly string[], { strings }: Language, say: (message: string) => void): Promise<string> {
  const isCopied = await copyText(urls.join('\n'));
  say(isCopied ? strings.spokenCopied(urls.length) : strings.copyFailed);
  return isCopied ? strings.copied : strings.copyFailed;
}

export class Links {
  /** By the id of the handle, in the order in which they were accepted. */
  readonly #results = new Map<string, UploadResult>();

  /** @param endpoint where later visits look for it; undefined: they are not to find it */
  keep(handleId: string, result: UploadResult, endpoint: string | undefined): void {
    this.#results.set(handleId, result);
    const { id, url, name, size } = result;
    if (endpoint !== undefined && url !== null) keepArrival({ id, endpoint, url, name, size, at: Date.now() });
  }

  /** Later visits do not list it either. */
  drop(handleId: string): void {
    const result = this.#results.get(handleId);
    if (result !== undefined) dropArrival(result.id);
    this.#results.delete(handleId);
  }

  of(handleIds: readonly string[]): string[] {
    return handleIds.map((id) => this.#results.get(id)?.url).filter((url) => url != null);
  }
}
