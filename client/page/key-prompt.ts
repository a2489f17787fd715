// Asks the user for a key when the server requires one. The key is kept for this tab only.
import { sessionStorageOrNone } from '../browser/optional-apis.ts';
import { h } from '../element/dom.ts';
import type { TokenRequest } from '../element/token.ts';

/** Includes the path, because the same origin may serve other pages. */
const STORAGE_KEY = `landfall:key:${location.pathname}`;

export class KeyPrompt {
  readonly #form: HTMLFormElement;
  readonly #input = h('input', {
    attributes: { id: 'key', type: 'password', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', required: true },
  });
  readonly #notice = h('p', { class: 'notice', attributes: { role: 'alert', hidden: true } });
  readonly #onAsking: (isAsking: boolean) => void;
  /** Kept in memory too, in case the browser denies storage. */
  #key: string | undefined;
  #entered: ((key: string) => void) | undefined;

  /** @param onAsking called with true before the user is asked, and with false after the answer */
  constructor(onAsking: (isAsking: boolean) => void) {
    this.#onAsking = onAsking;
    this.#key = storedKey();
    this.#form = h(
      'form',
      { class: 'plain', on: { submit: (event) => this.#submit(event) } },
      h('label', { attributes: { for: 'key' } }, 'Your key'),
      this.#input,
      this.#notice,
      h('button', { attributes: { type: 'submit' } }, 'Continue'),
      h('p', {}, 'Ask the operator of this server for a key. It is forgotten when you close this tab.'),
    );
  }

  get element(): HTMLElement {
    return this.#form;
  }

  /** Implements `LandfallUploadElement.getToken`. */
  async token({ reason }: TokenRequest): Promise<string | undefined> {
    if (reason === 'request') return this.#key;
    const isWrong = this.#key !== undefined;
    storeKey('');
    this.#key = undefined;
    this.#notice.hidden = !isWrong;
    this.#notice.textContent = isWrong ? 'The server did not accept this key. Check that it is complete, or ask for another one.' : '';
    this.#form.hidden = false;
    this.#onAsking(true);
    this.#input.focus();
    const key = await new Promise<string>((resolve) => {
      this.#entered = resolve;
    });
    this.#form.hidden = true;
    this.#onAsking(false);
    this.#key = key;
    storeKey(key);
    return key;
  }

  #submit(event: Event): void {
    event.preventDefault();
    const key = this.#input.value.trim();
    // A text that no header can carry is refused at once.
    if (!/^[\w.~+/-]+=*$/.test(key)) {
      this.#notice.hidden = false;
      this.#notice.textContent = 'This is not a key. A key is one word of letters and digits.';
      return;
    }
    this.#input.value = '';
    this.#entered?.(key);
  }
}

function storedKey(): string | undefined {
  try {
    return sessionStorageOrNone()?.getItem(STORAGE_KEY) || undefined;
  } catch {
    return undefined;
  }
}

function storeKey(key: string): void {
  try {
    if (key === '') sessionStorageOrNone()?.removeItem(STORAGE_KEY);
    else sessionStorageOrNone()?.setItem(STORAGE_KEY, key);
  } catch {}
}
