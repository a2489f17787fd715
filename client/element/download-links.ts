// The download links of files that were accepted in this visit: to copy, and to list in later visits.
import { copyText } from '../browser/optional-apis.ts';
import type { UploadResult } from '../handle/snapshot.ts';
import { removeCompleted, saveCompleted } from './completed/completed-store.ts';
import type { Language } from './language.ts';

/** Time for which a copy button shows its result. */
export const COPY_RESULT_MS = 2000;

/** Copies links. Call while a click is handled. Resolves to the text that the button shows. */
export async function copyLinks(urls: readonly string[], { strings }: Language, announce: (message: string) => void): Promise<string> {
  const isCopied = await copyText(urls.join('\n'));
  announce(isCopied ? strings.announceCopied(urls.length) : strings.copyFailed);
  return isCopied ? strings.copied : strings.copyFailed;
}

export class DownloadLinks {
  /** By the id of the handle, in the order in which the files were accepted. */
  readonly #results = new Map<string, UploadResult>();

  /** @param endpoint saves the link for later visits of this endpoint; undefined: does not save it */
  save(handleId: string, result: UploadResult, endpoint: string | undefined): void {
    this.#results.set(handleId, result);
    const { id, url, name, size } = result;
    if (endpoint !== undefined && url !== null) saveCompleted({ id, endpoint, url, name, size, at: Date.now() });
  }

  /** Removes a link, also from later visits. */
  remove(handleId: string): void {
    const result = this.#results.get(handleId);
    if (result !== undefined) removeCompleted(result.id);
    this.#results.delete(handleId);
  }

  of(handleIds: readonly string[]): string[] {
    return handleIds.map((id) => this.#results.get(id)?.url).filter((url) => url != null);
  }
}
