import { copyText } from '../browser/optional-apis.ts';
import type { Language } from './language.ts';

/** So long a button says what became of it. */
export const SAID_FOR_MS = 2000;

/** While a click is handled. Resolves with what the button says of it. */
export async function copyLinks(urls: readonly string[], { strings }: Language, say: (message: string) => void): Promise<string> {
  const isCopied = await copyText(urls.join('\n'));
  say(isCopied ? strings.spokenCopied(urls.length) : strings.copyFailed);
  return isCopied ? strings.copied : strings.copyFailed;
}
